/** Devices: enrolment by a one-time claim, and what a device reports of itself (D1, D5, D6). */
import {
  Bytes,
  Count,
  contract,
  Hash,
  Id,
  Nothing,
  Region,
  Slug,
  type Static,
  Text,
  TimeMs,
  Type,
} from '../contract.ts'
import { keyDirectoryMaxBytes } from '../key-directory.ts'
import { Offer } from './download.ts'

/**
 * The signed claim of a new device. Sent as COSE_Sign1 by the new key on `call/fleet.enrol`, outside any channel.
 * `proof` = HMAC-SHA-256(claim secret, deterministic CBOR of [domain, site, claim, thumbprint of the key]).
 */
export const EnrolRequest = Type.Object({
  claim: Slug,
  key: Bytes(32, 600),
  proof: Hash,
  model: Text(64),
  version: Text(32),
  roles: Type.Array(Text(16), { maxItems: 8 }),
})
export type EnrolRequest = Static<typeof EnrolRequest>

/**
 * `proof` = HMAC-SHA-256(claim secret, deterministic CBOR of [domain, device, gateway key, placement key, placement's agreement,
 * release key if any]): the site proves itself, too.
 */
export const EnrolReply = Type.Object({
  site: Slug,
  device: Slug,
  /** COSE_Key (Ed25519) of the gateway; pinned by the device. */
  gatewayKey: Bytes(32, 600),
  /** COSE_Key (Ed25519) of placement: signs receipts and manifests. */
  placementKey: Bytes(32, 600),
  /** COSE_Key (X25519) of placement: transfers are sealed to it. */
  placementAgreement: Bytes(32, 600),
  /** COSE_Key (Ed25519) that signs releases of the device's runtime; where it is, the proof covers it, too. */
  releaseKey: Type.Optional(Bytes(32, 600)),
  /** The signed key directory, which is believed for the gateway's signature. */
  directory: Type.Optional(Bytes(64, keyDirectoryMaxBytes)),
  region: Region,
  proof: Hash,
})
export type EnrolReply = Static<typeof EnrolReply>

export const enrolDomain = 'azukari/enrol/1'

export const enrol = contract({
  name: 'fleet.enrol',
  kind: 'call',
  service: 'gateway',
  authority: 'claim',
  title: 'A new device shows its claim and its key',
  serves: ['D1', 'D6'],
  request: EnrolRequest,
  reply: EnrolReply,
  problems: [
    'claim.unknown',
    'claim.used',
    'claim.expired',
    'claim.wrong',
    'cose.bad-signature',
    'cose.malformed',
    'cose.unknown-key',
    'cose.wrong-algorithm',
  ],
})

export const reportState = contract({
  name: 'fleet.report',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'What a device says of its parts: attached, missing, out of paper',
  serves: ['D6'],
  request: Type.Object({
    parts: Type.Array(
      Type.Object({
        part: Text(32),
        /** `present`, `absent`, `failed`, `out-of-media`, `jam`, `full`, `read-only`; `unknown` of what cannot be known without using it. */
        state: Text(32),
        /** Code of the problem. */
        detail: Type.Optional(Text(200)),
        /** Since when it is so. */
        sinceMs: Type.Optional(TimeMs),
      }),
      { maxItems: 32 },
    ),
    outboxRows: Count,
    outboxBytes: Count,
  }),
  reply: Nothing,
})

export const readState = contract({
  name: 'fleet.state',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'What the gateway holds of the asking device',
  serves: ['D6'],
  request: Nothing,
  reply: Type.Object({
    device: Slug,
    model: Text(64),
    version: Text(32),
    epoch: Count,
    region: Region,
    enrolledMs: TimeMs,
    nowMs: TimeMs,
  }),
  problems: ['device.unknown', 'device.revoked'],
})

/** Settings of a device by key, such as `report.minutes`. */
export const SettingValues = Type.Record(
  Type.String({ pattern: '^[a-z][a-z0-9.-]{0,47}$' }),
  Type.Union([Type.String({ maxLength: 512 }), Type.Number(), Type.Boolean(), Type.Null()]),
  // A pattern alone lets every other name, with any value, pass.
  { maxProperties: 64, additionalProperties: false },
)
export type SettingValues = Static<typeof SettingValues>
/** All settings of a device together, in bytes of JSON. */
export const settingsMaxBytes = 8 * 1024

/** What a device says its settings are, and which version of those desired it has carried out. */
export const ReportedState = Type.Object({
  /** +1 whenever it changes; the gateway keeps only a higher one. */
  version: Count,
  applied: Count,
  values: SettingValues,
  /** Desired settings that were not taken. */
  refused: Type.Array(Type.Object({ key: Text(48), code: Text(64) }), { maxItems: 64 }),
})
export type ReportedState = Static<typeof ReportedState>

export const reconcileState = contract({
  name: 'fleet.reconcile',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'A device tells its settings and learns those desired, when they are newer than it has',
  serves: ['D6'],
  request: Type.Object({
    have: Count,
    reported: ReportedState,
    /** Version of the key directory that the device has; 0 when it has none. */
    keys: Type.Optional(Count),
  }),
  reply: Type.Object({
    desired: Type.Optional(Type.Object({ version: Count, values: SettingValues })),
    /** The key directory, when it is newer. */
    directory: Type.Optional(Bytes(64, keyDirectoryMaxBytes)),
    /** The reported version that the gateway now holds. */
    reported: Count,
  }),
  problems: ['message.too-large'],
})

export const JobKind = Type.Union([
  Type.Literal('configuration'),
  Type.Literal('diagnostics'),
  Type.Literal('upgrade'),
  Type.Literal('rotation'),
  Type.Literal('card-data'),
])
export type JobKind = Static<typeof JobKind>

/** What has become of one device's part in a job. */
export const JobResult = Type.Object({
  job: Id,
  attempt: Count,
  done: Type.Boolean(),
  /** A problem's code, when it is not done. */
  code: Type.Optional(Text(64)),
  detail: Type.Optional(Text(200)),
})
export type JobResult = Static<typeof JobResult>

/** A device's part in a job. */
export const JobOrder = Type.Object({
  job: Id,
  attempt: Count,
  kind: JobKind,
  untilMs: TimeMs,
  /** Of an upgrade: SHA-256 of the signed manifest; of data for cards: of the signed release. */
  release: Type.Optional(Hash),
  /** Of a configuration: the desired version that carries it out. */
  version: Type.Optional(Count),
})
export type JobOrder = Static<typeof JobOrder>

export const nextJob = contract({
  name: 'fleet.job',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'A device says what became of its job, and asks for its next one',
  serves: ['D6'],
  request: Type.Object({ result: Type.Optional(JobResult) }),
  reply: Type.Object({ order: Type.Optional(JobOrder) }),
  problems: ['job.unknown'],
})

/** What is asked for of a bundle at once, and of a diagnostics report in all, in bytes. */
export const bundlePieceMaxBytes = 32 * 1024
export const diagnosticsMaxBytes = 64 * 1024

export const readBundle = contract({
  name: 'fleet.bundle',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'A piece of a release’s bundle; without a path, of its signed manifest',
  serves: ['D6'],
  request: Type.Object({
    release: Hash,
    path: Type.Optional(Text(200)),
    at: Count,
    length: Type.Integer({ minimum: 1, maximum: bundlePieceMaxBytes }),
  }),
  /** Fewer bytes than asked for at the end of the file, none behind it. */
  reply: Type.Object({ bytes: Bytes(0, bundlePieceMaxBytes) }),
  problems: ['object.unknown', 'upgrade.truncated'],
})

export const offerRelease = contract({
  name: 'fleet.release',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'Asks for a release’s bundle as one download: signed manifest and files, see `../upgrade/bundle-stream.ts`',
  serves: ['D6'],
  request: Type.Object({ release: Hash }),
  reply: Type.Object({ offer: Offer }),
  problems: ['object.unknown', 'upgrade.truncated', 'upgrade.damaged'],
})

export const putDiagnostics = contract({
  name: 'fleet.diagnostics',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'What a device found when it was asked to examine itself: JSON, without secrets or personal data',
  serves: ['D6'],
  request: Type.Object({ job: Id, report: Bytes(2, diagnosticsMaxBytes) }),
  reply: Nothing,
  problems: ['job.unknown'],
})

/** What became of data that a terminal was to bring to a card (docs/decisions/0008). */
export const CardResult = Type.Object({
  /** Thumbprint of its authentication key. */
  card: Hash,
  /** Which release of the data. */
  number: Count,
  /** Written now and read back; there already; the card has a newer one; not written, see `code`. */
  outcome: Type.Union([Type.Literal('written'), Type.Literal('held'), Type.Literal('newer'), Type.Literal('failed')]),
  code: Type.Optional(Text(64)),
})
export type CardResult = Static<typeof CardResult>
export const cardResultsAtOnce = 64

export const putCardResults = contract({
  name: 'fleet.cards',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'What became of data that a device was to bring to the cards that are put into it',
  serves: ['D6'],
  request: Type.Object({ results: Type.Array(CardResult, { minItems: 1, maxItems: cardResultsAtOnce }) }),
  reply: Nothing,
})

export const rotationDomain = 'azukari/rotation/1'

/**
 * What a device's present key signs to hand over to the next one. `proof` is COSE_Sign1 by the next key over
 * [site, device, thumbprint of the present key], under the same domain: it is the device's, and meant for this.
 */
export const Rotation = Type.Object({ site: Slug, device: Slug, key: Bytes(32, 600), proof: Bytes(64, 1024) })
export type Rotation = Static<typeof Rotation>

export const rotateKey = contract({
  name: 'fleet.rotate',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'A device’s next key, signed by its present one, which is refused from then on',
  serves: ['D1', 'D6'],
  /** COSE_Sign1 of a rotation. */
  request: Type.Object({ signed: Bytes(64, 4096) }),
  reply: Nothing,
  problems: [
    'cose.bad-signature',
    'cose.unknown-key',
    'cose.wrong-algorithm',
    'cose.wrong-audience',
    'device.unknown',
    'device.revoked',
    'cose.malformed',
  ],
})

export const fleetNews = contract({
  name: 'fleet.news',
  kind: 'event',
  service: 'device',
  authority: 'service',
  passing: true,
  title: 'There is a job or a desired state to ask for',
  serves: ['D6'],
  request: Nothing,
  reply: Nothing,
})

export const acknowledgeEvents = contract({
  name: 'event.ack',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'Events that the device has kept',
  serves: ['D5'],
  request: Type.Object({ ids: Type.Array(Id, { minItems: 1, maxItems: 64 }) }),
  reply: Nothing,
})
