/** Between the gateway and the services, in one process or several (D4): CBOR calls over HTTP/2 when apart. */
import {
  Bytes,
  Count,
  contract,
  Hash,
  Id,
  MemberToken,
  Nothing,
  Region,
  Slug,
  type Static,
  Text,
  TimeMs,
  Type,
} from '../contract.ts'

/**
 * Which device asked, and where it stands: the gateway vouches for it. Or which service sends, as `service:NAME` without
 * a region: its own certificate says so. Or `https:` for somebody outside the site, who brings a key or a link.
 */
export const Caller = Type.Object({
  device: Type.Union([Slug, Type.String({ pattern: '^service:[a-z-]{1,24}$' }), Type.Literal('https:')]),
  region: Type.Union([Region, Type.Literal('')]),
  roles: Type.Array(Text(16), { maxItems: 8 }),
})
export type Caller = Static<typeof Caller>

/** What somebody outside the site brings to the HTTPS listener. */
export const Outsider = Type.Object({
  /** Id and hash of an API key, or a signed link's token. */
  credential: Bytes(40, 1_024),
  /** The path that was asked for. */
  path: Text(256),
  /** The idempotency key. */
  once: Type.Optional(Text(64)),
})
export type Outsider = Static<typeof Outsider>

/** A device's request, handed on to the service of its contract. */
export const handleRequest = contract({
  name: 'service.handle',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'A device’s request for a service, or an act that another service sends',
  serves: ['D4'],
  request: Type.Object({
    caller: Caller,
    contract: Text(64),
    id: Id,
    atMs: TimeMs,
    stream: Type.Optional(Id),
    seq: Type.Optional(Type.Integer({ minimum: 1 })),
    trace: Type.Optional(Bytes(24)),
    token: Type.Optional(MemberToken),
    https: Type.Optional(Outsider),
    body: Type.Unknown(),
  }),
  reply: Type.Object({
    body: Type.Optional(Type.Unknown()),
    problem: Type.Optional(Type.Unknown()),
    want: Type.Optional(Count),
  }),
})

/** Events that wait for devices; the gateway asks with the ids it has handed over. */
export const takeEvents = contract({
  name: 'service.events',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'Events of a service for devices',
  serves: ['D4', 'D5'],
  request: Type.Object({
    after: Count,
    limit: Type.Integer({ minimum: 1, maximum: 256 }),
    /** How long to wait for the first; events that are not kept come only to one who waits. */
    waitMs: Type.Integer({ minimum: 0, maximum: 30_000 }),
    /** Only this device’s. */
    device: Type.Optional(Slug),
  }),
  reply: Type.Object({
    events: Type.Array(
      Type.Object({
        at: Count,
        device: Slug,
        id: Id,
        contract: Text(64),
        atMs: TimeMs,
        body: Type.Unknown(),
        keep: Type.Boolean(),
      }),
      { maxItems: 256 },
    ),
  }),
})

export const eventsDone = contract({
  name: 'service.events-done',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'Events that devices have kept',
  serves: ['D5'],
  request: Type.Object({ device: Slug, ids: Type.Array(Id, { maxItems: 64 }) }),
  reply: Nothing,
})

/** What an operator gives besides the command: options by name, then what follows them. */
export const CommandValues = Type.Record(
  Text(64),
  Type.Union([Text(65_536), Type.Boolean(), Type.Array(Text(65_536), { maxItems: 10_000 })]),
)
export const CommandWords = Type.Array(Text(4_096), { maxItems: 1_000 })
/** Files that go along with a command, whose bytes follow in this order. */
export const CommandFiles = Type.Array(
  Type.Object({ name: Text(64), sizeBytes: Type.Integer({ minimum: 0, maximum: 64 << 20 }) }),
  { maxItems: 256 },
)
export const CommandLanguage = Type.Union([Type.Literal('ja'), Type.Literal('en')])

/**
 * An operator's command for a service that runs as a process of its own. The gateway has checked who it is and the role.
 * The files' bytes follow the request; what the command tells, its files and its answer follow the reply.
 */
export const carryOutCommand = contract({
  name: 'service.command',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'An operator’s command for a service',
  serves: ['D6'],
  idempotent: false,
  request: Type.Object({
    command: Text(64),
    operator: Text(64),
    people: Type.Array(Text(64), { minItems: 1, maxItems: 2 }),
    language: CommandLanguage,
    /** Where people outside reach the site. */
    siteUrl: Type.Optional(Text(300)),
    values: CommandValues,
    positionals: CommandWords,
    files: CommandFiles,
  }),
  reply: Nothing,
  problems: ['message.invalid', 'command.invalid', 'centre.not-leader'],
})

/** A service reads what a device transferred to it. */
export const readBuffer = contract({
  name: 'buffer.read',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'Encrypted blocks from the receive buffer',
  serves: ['S4'],
  request: Type.Object({ transfer: Id, from: Count, count: Type.Integer({ minimum: 1, maximum: 16 }) }),
  reply: Type.Object({ blocks: Type.Array(Bytes(1, 131_072), { maxItems: 16 }) }),
  problems: ['transfer.unknown', 'transfer.incomplete'],
})

export const describeBuffer = contract({
  name: 'buffer.describe',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'What is in the receive buffer under an id',
  serves: ['S4'],
  request: Type.Object({ transfer: Id }),
  reply: Type.Object({
    device: Slug,
    sizeBytes: Count,
    blockBytes: Count,
    blocks: Count,
    root: Hash,
    complete: Type.Boolean(),
  }),
  problems: ['transfer.unknown'],
})

export const releaseBuffer = contract({
  name: 'buffer.release',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'The service no longer needs the blocks',
  serves: ['S4'],
  request: Type.Object({ transfer: Id }),
  reply: Nothing,
})

/** Blocks in one answer, so that it fits into one head. */
export const downloadBlocksAtOnce = 4

export const readDownload = contract({
  name: 'download.read',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'Blocks of what a service sends to a device, as they travel',
  serves: ['S4', 'D4'],
  request: Type.Object({
    transfer: Id,
    device: Slug,
    from: Count,
    count: Type.Integer({ minimum: 1, maximum: downloadBlocksAtOnce }),
  }),
  reply: Type.Object({ blocks: Type.Array(Bytes(16, 131_072), { maxItems: downloadBlocksAtOnce }) }),
  problems: ['transfer.unknown', 'transfer.expired', 'transfer.bad-root'],
})

export const downloadEnded = contract({
  name: 'download.ended',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'A device has what a service sent it, or does not take it',
  serves: ['S4', 'D4'],
  request: Type.Object({ transfer: Id, device: Slug, problem: Type.Optional(Text(64)) }),
  reply: Nothing,
})

/** One figure of a service for the site's telemetry: technical, nothing of members. */
export const Measure = Type.Object({
  name: Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9/_-]{0,95}$',
    description: 'in SenML, below the gateway’s own name',
  }),
  key: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'in Home Assistant, where it must never change' }),
  label: Text(160),
  unit: Type.Union([Type.Literal('count'), Type.Literal('/')], { description: 'of RFC 8428; / is a ratio' }),
  value: Type.Number(),
  isFault: Type.Optional(Type.Boolean({ description: 'something is wrong while it is above zero' })),
})
export type Measure = Static<typeof Measure>

/** What a service in a process of its own shows to operators; the gateway puts it beside what it shows itself. */
export const serviceHealth = contract({
  name: 'service.health',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'How a service stands: facts, counts and metrics',
  serves: ['D6'],
  request: Nothing,
  reply: Type.Object({
    facts: Type.String({ maxLength: 65_536, description: 'one JSON object, a part of /healthz' }),
    counts: Type.Record(Type.String({ maxLength: 32 }), Count),
    metrics: Type.String({ maxLength: 524_288, description: 'Prometheus text of the service’s own metrics' }),
    measures: Type.Optional(Type.Array(Measure, { maxItems: 1_024 })),
  }),
})

export const servicePage = contract({
  name: 'service.page',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'A page that a service shows to operators',
  serves: ['D6', 'P9'],
  request: Type.Object({ path: Text(64) }),
  reply: Type.Object({
    type: Text(64),
    policy: Type.Optional(Type.String({ maxLength: 1_024, description: 'Content-Security-Policy' })),
    body: Type.String({ maxLength: 786_432 }),
  }),
  problems: ['object.unknown'],
})
