/**
 * Units of work for devices (W1–W9): a device registers with its owner's code, takes a unit under a lease, fetches module and
 * input by hash, keeps the lease while it computes, and sends a result that its own key has signed.
 */
import { Bytes, Count, contract, Hash, Id, Nothing, Slug, type Static, Text, TimeMs, Type } from '../contract.ts'

/** external_aad of what is signed. */
export const registrationDomain = new TextEncoder().encode('azukari/work-registration/1')
export const unitDomain = new TextEncoder().encode('azukari/work-unit/1')
export const resultDomain = new TextEncoder().encode('azukari/work-result/1')

export const invoiceDomain = new TextEncoder().encode('azukari/work-invoice/1')
export const redemptionDomain = new TextEncoder().encode('azukari/work-redemption/1')

/** Kinds of downloads: modules and inputs, each named by its hash in hex. */
export const workModule = 'work-module'
export const workInput = 'work-input'
/** The largest output of a unit: it travels in the message of its result. */
export const outputMaxBytes = 131_072

/** A code that names an owner: base32, as it is typed. */
export const OwnerCode = Type.String({ pattern: '^[a-z2-7]{16}$' })

export const WorkRegistration = Type.Object({
  contract: Type.Literal('work.register@1'),
  /** Thumbprint of the key with which work signs. */
  audience: Hash,
  issuedMs: TimeMs,
  device: Slug,
  /** COSE_Key of the device, with which it signs this and its results. */
  key: Bytes(32, 600),
  code: OwnerCode,
})
export type WorkRegistration = Static<typeof WorkRegistration>

export const registerForWork = contract({
  name: 'work.register',
  kind: 'call',
  service: 'work',
  authority: 'signed',
  signed: { in: 'registration', body: WorkRegistration, domain: registrationDomain, sealed: false, keyIn: 'key' },
  title: 'A device registers for work with its owner’s code, or tells its new key',
  serves: ['W3', 'W8'],
  /** COSE_Sign1 of a `WorkRegistration`. */
  request: Type.Object({ registration: Bytes(64, 2048) }),
  reply: Type.Object({ owner: Text(64) }),
  problems: ['work.owner-code', 'keys.retired', 'keys.revoked'],
})

/** What one unit may use, over all its steps. */
export const WorkLimits = Type.Object({
  fuel: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  memoryMaxBytes: Count,
  wallMs: Count,
  outputMaxBytes: Count,
  stateMaxBytes: Count,
})
export type WorkLimits = Static<typeof WorkLimits>

/** What work signs for one device: which module it runs on which input, within what, until when. */
export const WorkUnit = Type.Object({
  contract: Type.Literal('work.take@1'),
  /** The device that it is for. */
  audience: Slug,
  issuedMs: TimeMs,
  /** The job's deadline. */
  expiresMs: TimeMs,
  job: Id,
  unit: Count,
  /** Which of the copies of this unit it is. */
  attempt: Count,
  module: Hash,
  input: Hash,
  inputBytes: Count,
  limits: WorkLimits,
  /** The device tells within this time that it still computes, or the unit goes to another one. */
  leaseMs: Count,
})
export type WorkUnit = Static<typeof WorkUnit>

export const takeUnit = contract({
  name: 'work.take',
  kind: 'call',
  service: 'work',
  authority: 'device',
  title: 'A device without a unit asks for one; what it holds already it gets again',
  serves: ['W3', 'W7'],
  request: Nothing,
  reply: Type.Object({
    /** COSE_Sign1 of a `WorkUnit`; absent when there is none for this device now. */
    unit: Type.Optional(Bytes(64, 2048)),
    /** When to ask again without one, ms. */
    againMs: Count,
    /** Why there is none. */
    why: Type.Optional(Type.Union([Type.Literal('none'), Type.Literal('quota')])),
  }),
  problems: ['work.unregistered'],
})

const copy = { job: Id, unit: Count, attempt: Count }

export const fetchForUnit = contract({
  name: 'work.fetch',
  kind: 'call',
  service: 'work',
  authority: 'device',
  title: 'Asks for the module or the input of a unit that the device holds: it is offered as a download',
  serves: ['W3', 'W4'],
  request: Type.Object({ ...copy, hash: Hash }),
  reply: Nothing,
  problems: ['work.unit-gone'],
})

export const keepUnit = contract({
  name: 'work.keep',
  kind: 'call',
  service: 'work',
  authority: 'device',
  title: 'A device still computes a unit: its lease begins anew',
  serves: ['W7'],
  request: Type.Object(copy),
  reply: Type.Object({ leaseMs: Count }),
  problems: ['work.unit-gone'],
})

export const giveUnitBack = contract({
  name: 'work.give-back',
  kind: 'call',
  service: 'work',
  authority: 'device',
  title: 'A device does not end a unit: it goes to another one',
  serves: ['W7'],
  request: Type.Object({ ...copy, problem: Text(64) }),
  reply: Nothing,
})

/** What a device's key vouches for: what came of a unit, with which fuel. */
export const WorkResult = Type.Object({
  contract: Type.Literal('work.result@1'),
  audience: Hash,
  act: Id,
  issuedMs: TimeMs,
  expiresMs: TimeMs,
  ...copy,
  /** SHA-256 of the output; of nothing where the unit failed. */
  hash: Hash,
  sizeBytes: Count,
  fuelUsed: Count,
  wallMs: Count,
  /** Why it failed in a way that it fails everywhere, such as `work.trap`. */
  problem: Type.Optional(Text(64)),
})
export type WorkResult = Static<typeof WorkResult>

export const sendResult = contract({
  name: 'work.result',
  kind: 'act',
  service: 'work',
  authority: 'signed',
  signed: { in: 'result', body: WorkResult, domain: resultDomain, sealed: false },
  title: 'The result of a unit, bound to the device that computed it',
  serves: ['W4', 'W7', 'W11'],
  request: Type.Object({
    /** COSE_Sign1 of a `WorkResult`. */
    result: Bytes(64, 4096),
    /** Absent where the unit failed. */
    output: Type.Optional(Bytes(0, outputMaxBytes)),
  }),
  reply: Type.Object({
    standing: Type.Union([
      Type.Literal('waiting'),
      Type.Literal('valid'),
      Type.Literal('wrong'),
      Type.Literal('late'),
      Type.Literal('failed'),
    ]),
  }),
  problems: ['work.unit-gone', 'work.result-forged'],
})

/** Whole points that are redeemed at once. */
export const Points = Type.Integer({ minimum: 1, maximum: 1_000_000_000 })

/** `due`: settlement has not booked it yet. `refused`: the points are back. */
export const BookingState = Type.Union([Type.Literal('due'), Type.Literal('booked'), Type.Literal('refused')])
export type BookingState = Static<typeof BookingState>

export const RedemptionShown = Type.Object({
  points: Count,
  minor: Count,
  currency: Text(3),
  atMs: TimeMs,
  state: BookingState,
  problem: Type.Optional(Text(64)),
})
export type RedemptionShown = Static<typeof RedemptionShown>

export const readWorkAccount = contract({
  name: 'work.account',
  kind: 'call',
  service: 'work',
  authority: 'device',
  title: 'What this device and its owner’s others have done and earned',
  serves: ['W8', 'W11'],
  request: Nothing,
  reply: Type.Object({
    owner: Text(64),
    device: Type.Object({ valid: Count, wrong: Count, waiting: Count, fuel: Count, microPoints: Count }),
    ownerMicroPoints: Count,
    /** What is not redeemed yet. */
    leftMicroPoints: Type.Optional(Count),
    /** The latest redemptions of this owner, newest first. */
    redemptions: Type.Optional(Type.Array(RedemptionShown, { maxItems: 10 })),
  }),
  problems: ['work.unregistered'],
})

/** What a device's key vouches for: its owner wants so many points taken off what the owner pays. */
export const WorkRedemption = Type.Object({
  contract: Type.Literal('work.points.redeem@1'),
  audience: Hash,
  /** The redemption's own id: what comes again is the same one. */
  act: Id,
  issuedMs: TimeMs,
  device: Slug,
  points: Points,
})
export type WorkRedemption = Static<typeof WorkRedemption>

export const redeemPoints = contract({
  name: 'work.points.redeem',
  kind: 'act',
  service: 'work',
  authority: 'signed',
  signed: { in: 'redemption', body: WorkRedemption, domain: redemptionDomain, sealed: false },
  title: 'An owner’s points become stored value of the member that the owner is',
  serves: ['W11'],
  /** COSE_Sign1 of a `WorkRedemption`. */
  request: Type.Object({ redemption: Bytes(64, 2048) }),
  reply: Type.Object({ points: Count, minor: Count, currency: Text(3), leftMicroPoints: Count }),
  problems: ['work.unregistered', 'work.no-member', 'work.points-short'],
})
