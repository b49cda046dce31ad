/**
 * The two slots of a program (D6), as values: what is in them, which one runs, and what an upgrade has come to. Pure;
 * `slot-store.ts` makes each step durable before anything is done about it.
 *
 *   staging → staged → pending → trying(1…n) → confirmed | rolled back
 *
 * An upgrade goes into the slot that does not run; the one that runs is not touched before the other is confirmed, so
 * there is a slot that works after a power cut at any step.
 */
import { Bytes, Count, type Static, Text, Type } from '../contract.ts'
import { Problem } from '../problem.ts'

const SlotName = Type.Union([Type.Literal('a'), Type.Literal('b')])
export type SlotName = Static<typeof SlotName>

const Held = Type.Object({ version: Text(32), sequence: Count, /** SHA-256 of the signed manifest. */ name: Bytes(32) })
export type Held = Static<typeof Held>

const Phase = Type.Union([
  Type.Literal('staging'),
  Type.Literal('staged'),
  Type.Literal('pending'),
  Type.Literal('trying'),
])

export const Slots = Type.Object({
  /** The confirmed slot; absent while the runtime that came with the device runs. */
  active: Type.Optional(SlotName),
  /** The highest sequence number ever confirmed; never goes down. */
  floor: Count,
  held: Type.Object({ a: Type.Optional(Held), b: Type.Optional(Held) }),
  attempt: Type.Optional(Type.Object({ slot: SlotName, phase: Phase, tries: Count, release: Held })),
  last: Type.Optional(
    Type.Object({
      outcome: Type.Union([Type.Literal('confirmed'), Type.Literal('rolled-back')]),
      version: Text(32),
      sequence: Count,
      /** A problem's code. */
      why: Type.Optional(Text(64)),
    }),
  ),
})
export type Slots = Static<typeof Slots>

export const noSlots: Slots = { floor: 0, held: {} }

/** Starts that a new version has to show that it works; a power cut in the middle uses one up. */
export const maxTries = 3

export type SlotInput =
  /** The files of a release will now be written into the slot that does not run. */
  | { kind: 'begin'; release: Held }
  /** All of them are on disk and were read back. */
  | { kind: 'staged' }
  /** To be tried at the next start. */
  | { kind: 'activate' }
  /** The launcher is about to start the runtime. */
  | { kind: 'start' }
  /** The new version has shown that it works. */
  | { kind: 'confirm' }
  /** It has not, or its files are not what was signed. */
  | { kind: 'fail'; why: string }
  /** What was being installed is not wanted any more; only before it is tried. */
  | { kind: 'abandon' }
  /** The confirmed version is not wanted any more: the one before it is to run. Releases older than it stay refused. */
  | { kind: 'back' }

/** @throws {Problem} `upgrade.busy` when a step is not possible now */
export function step(slots: Slots, input: SlotInput): Slots {
  const { attempt } = slots
  if (input.kind === 'begin') {
    if (attempt && attempt.phase !== 'staging' && attempt.phase !== 'staged') throw busy(slots)
    const slot = slots.active === 'a' ? 'b' : 'a'
    const { [slot]: _, ...held } = slots.held
    return { ...slots, held, attempt: { slot, phase: 'staging', tries: 0, release: input.release } }
  }
  if (input.kind === 'back') {
    if (attempt) throw busy(slots)
    const { active, ...rest } = slots
    if (!active) throw new Problem('upgrade.busy', 'there is no version before this one')
    const before = active === 'a' ? 'b' : 'a'
    return slots.held[before] ? { ...rest, active: before } : rest
  }
  if (!attempt) {
    if (input.kind === 'start' || input.kind === 'abandon') return slots
    throw new Problem('upgrade.busy', `${input.kind}: nothing is being installed`)
  }
  const { slot, phase, tries, release } = attempt
  switch (input.kind) {
    case 'staged':
      if (phase !== 'staging') throw busy(slots)
      return { ...slots, held: { ...slots.held, [slot]: release }, attempt: { ...attempt, phase: 'staged' } }
    case 'activate':
      if (phase !== 'staged') throw busy(slots)
      return { ...slots, attempt: { ...attempt, phase: 'pending' } }
    case 'start':
      if (phase !== 'pending' && phase !== 'trying') return slots
      if (tries >= maxTries) return rolledBack(slots, 'upgrade.rolled-back')
      return { ...slots, attempt: { ...attempt, phase: 'trying', tries: tries + 1 } }
    case 'confirm': {
      if (phase !== 'trying') throw busy(slots)
      const { attempt: _, ...rest } = slots
      const floor = Math.max(slots.floor, release.sequence)
      const last = { outcome: 'confirmed' as const, version: release.version, sequence: release.sequence }
      return { ...rest, active: slot, floor, last }
    }
    case 'fail':
      return rolledBack(slots, input.why)
    case 'abandon': {
      if (phase === 'trying') throw busy(slots)
      const { attempt: _, ...rest } = slots
      const { [slot]: __, ...held } = slots.held
      return { ...rest, held }
    }
  }
}

function rolledBack(slots: Slots, why: string): Slots {
  const { attempt, ...rest } = slots
  const { slot, release } = attempt!
  const { [slot]: _, ...held } = slots.held
  const { version, sequence } = release
  return { ...rest, held, last: { outcome: 'rolled-back', version, sequence, why: why.slice(0, 64) } }
}

function busy({ attempt }: Slots): Problem {
  return new Problem('upgrade.busy', `${attempt?.release.version} is ${attempt?.phase}`)
}
