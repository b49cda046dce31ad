/** What operators do with jobs and the owners of devices that compute them (W1, W2, W5, W8), as contracts. */
import { Count, contract, Nothing, type Static, Text, TimeMs, Type } from '../contract.ts'
import { BookingState, Points, RedemptionShown } from './work.ts'

const frame = { kind: 'command', service: 'work', authority: 'operator', operator: { role: 'work' } } as const

const JobId = Type.String({ pattern: '^[0-9a-f]{32}$', description: 'the job’s id, 32 hexadecimal digits' })
const OwnerName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,31}$', description: 'who owns devices, such as shop-1' })
/** Of a member at settlement. */
const numberPattern = '^\\d{14}$'
const Member = Type.String({ pattern: numberPattern, description: 'the member’s number at settlement' })
const HashHex = Type.String({ pattern: '^[0-9a-f]{64}$' })
const whole = (minimum: number, maximum: number, description: string) =>
  Type.Optional(Type.Integer({ minimum, maximum, description }))

export const addOwner = contract({
  ...frame,
  name: 'work.owner.add',
  title: 'Registers an owner of devices; the code, shown once, is typed at each of them',
  serves: ['W3', 'W8'],
  request: Type.Object({
    owner: OwnerName,
    contact: Type.String({ minLength: 1, maxLength: 200, description: 'how the owner is reached' }),
    member: Type.Optional(Member),
  }),
  reply: Type.Object({ owner: OwnerName, code: Text(16) }),
  problems: ['work.owner-known'],
})

export const setOwnerMember = contract({
  ...frame,
  name: 'work.owner.member',
  title: 'Says which member of settlement an owner is: points are redeemed into that member’s stored value',
  serves: ['W11'],
  request: Type.Object({ owner: OwnerName, member: Member }),
  reply: Type.Object({ owner: OwnerName, member: Member }),
  problems: ['work.owner-unknown'],
})

export const redeemForOwner = contract({
  ...frame,
  name: 'work.redeem',
  title: 'Turns an owner’s points into the member’s stored value, as the owner does with azukari-device work redeem',
  serves: ['W11'],
  request: Type.Object({ owner: OwnerName, points: Points }),
  reply: Type.Object({ points: Count, minor: Count, currency: Text(3), leftMicroPoints: Count }),
  problems: ['work.owner-unknown', 'work.no-member', 'work.points-short'],
})

export const listOwners = contract({
  ...frame,
  name: 'work.owner.list',
  title: 'Owners, their devices, and what these have done',
  serves: ['W3', 'W8'],
  request: Nothing,
  reply: Type.Array(
    Type.Object({
      owner: Text(32),
      contact: Text(200),
      member: Type.Optional(Member),
      leftMicroPoints: Count,
      redemptions: Type.Array(RedemptionShown, { maxItems: 10 }),
      devices: Type.Array(
        Type.Object({
          device: Text(64),
          valid: Count,
          validInRow: Count,
          wrong: Count,
          lost: Count,
          quota: Count,
          microPoints: Count,
        }),
      ),
    }),
  ),
})

export const JobState = Type.Union([
  Type.Literal('running'),
  Type.Literal('done'),
  Type.Literal('failed'),
  Type.Literal('cancelled'),
  Type.Literal('expired'),
  /** Validated fuel has cost what the customer wants to pay at most. */
  Type.Literal('ceiling'),
])
export type JobState = Static<typeof JobState>

export const JobShown = Type.Object({
  job: JobId,
  name: Text(80),
  customer: Text(80),
  /** Whose stored value pays. */
  member: Type.Optional(Member),
  state: JobState,
  mode: Type.Union([Type.Literal('strict'), Type.Literal('economical')]),
  merge: Type.Union([Type.Literal('concat'), Type.Literal('list')]),
  module: HashHex,
  units: Count,
  valid: Count,
  failed: Count,
  computing: Count,
  fuel: Count,
  costMinor: Count,
  ceilingMinor: Count,
  currency: Text(3),
  submittedMs: TimeMs,
  deadlineMs: TimeMs,
  endedMs: Type.Optional(TimeMs),
  problem: Type.Optional(Text(64)),
})
export type JobShown = Static<typeof JobShown>

export const submitJob = contract({
  ...frame,
  name: 'work.submit',
  title: 'Submits a job: a module that devices run on each input',
  serves: ['W1', 'W2'],
  request: Type.Object({
    module: Type.String({ maxLength: 4096, description: 'file of the WebAssembly module' }),
    input: Type.Array(Type.String({ maxLength: 4096 }), {
      minItems: 1,
      maxItems: 200,
      description: 'file of input: a unit each, or more with --split-*; may be repeated',
    }),
    name: Type.String({ minLength: 1, maxLength: 80, description: 'what people call it' }),
    customer: Type.String({ minLength: 1, maxLength: 80, description: 'who pays for it' }),
    member: Type.Optional(
      Type.String({
        pattern: numberPattern,
        description: 'the customer’s number at settlement: books it there',
      }),
    ),
    'price-ceiling': Type.Integer({
      minimum: 1,
      maximum: 999_999_999_999,
      description: 'what it may cost, minor units',
    }),
    hours: whole(1, 24 * 366, 'until its deadline; 24 unless told'),
    strict: Type.Optional(Type.Boolean({ description: 'every unit twice, on devices of different owners' })),
    economical: Type.Optional(
      Type.Boolean({ description: 'one device that proved itself is enough, with spot checks; else it is strict' }),
    ),
    'split-lines': whole(1, 1_000_000, 'a unit for so many lines of each input'),
    'split-bytes': whole(1, 16 << 20, 'a unit for so many bytes of each input'),
    merge: Type.Optional(
      Type.String({
        pattern: '^(concat|list)$',
        description: 'concat: outputs one after another; list: as a CBOR array',
      }),
    ),
    fuel: whole(1, Number.MAX_SAFE_INTEGER, 'how many instructions a unit may run; 10⁹ unless told'),
    memory: whole(1, 1024, 'what a unit’s memory may grow to, MiB; 64 unless told'),
    seconds: whole(1, 24 * 3600, 'how long a unit may take; 600 unless told'),
  }),
  reply: Type.Object({ job: JobId, units: Count, module: HashHex, priceMinorPerGigafuel: Count, currency: Text(3) }),
  problems: ['work.module-refused', 'work.memory', 'work.job-too-large'],
})

export const listJobs = contract({
  ...frame,
  name: 'work.list',
  title: 'Jobs, newest first',
  serves: ['W1', 'W5'],
  request: Nothing,
  reply: Type.Array(JobShown),
})

export const showJob = contract({
  ...frame,
  name: 'work.show',
  title: 'How far a job is',
  serves: ['W1', 'W5'],
  request: Type.Object({
    job: JobId,
    follow: Type.Optional(Type.Boolean({ description: 'show progress until it has ended' })),
  }),
  reply: JobShown,
  problems: ['work.job-unknown'],
})

export const cancelJob = contract({
  ...frame,
  name: 'work.cancel',
  title: 'Ends a job: no unit is given out any more, devices stop at their next sign of life',
  serves: ['W1'],
  request: Type.Object({ job: JobId }),
  reply: JobShown,
  problems: ['work.job-unknown', 'work.job-ended'],
})

export const fetchJob = contract({
  ...frame,
  name: 'work.fetch',
  title: 'Writes a job’s merged result to a file',
  serves: ['W5'],
  request: Type.Object({
    job: JobId,
    out: Type.String({ maxLength: 4096, description: 'file that the result is written to' }),
    partial: Type.Optional(Type.Boolean({ description: 'the outputs that are there, though some are missing' })),
    unit: whole(0, 1_000_000, 'the output of this unit alone'),
  }),
  reply: Type.Object({ job: JobId, sizeBytes: Count, sha256: HashHex, units: Count }),
  problems: ['work.job-unknown', 'work.job-not-done', 'work.job-too-large'],
})

export const UnitShown = Type.Object({
  unit: Count,
  state: Text(16),
  inputBytes: Count,
  sha256: Type.Optional(HashHex),
  problem: Type.Optional(Text(64)),
  copies: Type.Array(
    Type.Object({
      attempt: Count,
      device: Text(64),
      owner: Text(32),
      state: Text(16),
      fuel: Type.Optional(Count),
      sha256: Type.Optional(HashHex),
      problem: Type.Optional(Text(64)),
      microPoints: Count,
    }),
  ),
})
export type UnitShown = Static<typeof UnitShown>

export const listUnits = contract({
  ...frame,
  name: 'work.units',
  title: 'A job’s units, who computed them, and the arithmetic of their credit',
  serves: ['W5', 'W7', 'W11'],
  request: Type.Object({ job: JobId }),
  reply: Type.Array(UnitShown),
  problems: ['work.job-unknown'],
})

/** What a customer is asked to pay for a job: each result that counts, its fuel, and the hash of what its device signed. */
export const WorkInvoice = Type.Object({
  job: JobId,
  name: Text(80),
  customer: Text(80),
  member: Type.Optional(Member),
  issuedMs: TimeMs,
  /** The job has ended: the sum stays as it is. */
  isFinal: Type.Boolean(),
  lines: Type.Array(
    Type.Object({
      unit: Count,
      attempt: Count,
      owner: Text(32),
      device: Text(64),
      fuel: Count,
      /** SHA-256 of the COSE_Sign1. */
      receipt: HashHex,
    }),
  ),
  fuel: Count,
  priceMinorPerGigafuel: Count,
  ceilingMinor: Count,
  currency: Text(3),
  /** Fuel × price ÷ 10⁹, rounded down, at most the ceiling. */
  dueMinor: Count,
})
export type WorkInvoice = Static<typeof WorkInvoice>

export const invoiceJob = contract({
  ...frame,
  name: 'work.invoice',
  title: 'What a job costs, line by line; signed and with the devices’ receipts in a file',
  serves: ['W5', 'W11'],
  request: Type.Object({
    job: JobId,
    out: Type.Optional(
      Type.String({ maxLength: 4096, description: 'file for the signed invoice and the receipts, as CBOR' }),
    ),
  }),
  reply: Type.Object({
    ...WorkInvoice.properties,
    /** Where settlement stands with it; absent while the job runs, and for a customer without a number. */
    booking: Type.Optional(Type.Object({ state: BookingState, problem: Type.Optional(Text(64)) })),
  }),
  problems: ['work.job-unknown'],
})
