/**
 * The launcher (D6): starts the runtime of a device, or the gateway, from the slot that is to run, watches a new version
 * until it has shown that it works, and goes back to the old one when it does not. It is the part that no upgrade
 * replaces, so it is small.
 */
import type { KeyObject } from 'node:crypto'
import type { Clock, Log } from '../ports.ts'
import { isProblem, Problem } from '../problem.ts'
import { openSlot } from './bundle.ts'
import type { SlotStore } from './slot-store.ts'
import type { Held, SlotName, Slots } from './slots.ts'

/** What to start. */
export type Choice =
  | { slot: SlotName; version: string /** Path of the script that Node starts. */; entry: string; trial: boolean }
  /** The runtime that came with the launcher. */
  | { slot: undefined; trial: false }

/** A runtime that was started. */
export interface Started {
  /** Its exit code, once; never rejects. */
  exited: Promise<number>
  /** Ends it, at the latest after a few seconds by force. */
  stop(): Promise<void>
}

/** What a new version may change beyond repair for the old one, such as databases that it brings up to date. */
export interface TrialData {
  /** Before a release is tried: sees to it, durably, that there is a copy of what was there before its first trial. */
  keep(release: Held): Promise<void>
  /** Before anything but a trial runs: puts back what a trial changed, or lets the copy be when it was confirmed. */
  settle(slots: Slots): Promise<void>
}

export interface LauncherOptions {
  store: SlotStore
  /** The key that the site's enrolment taught; without one only the runtime that came with the launcher runs. */
  releaseKey: () => Promise<KeyObject | undefined>
  start: (choice: Choice) => Started
  /** Where a new version changes data in a way that the old one does not know. */
  data?: TrialData
  clock: Clock
  log: Log
  /** How long a new version has to show that it works, ms. */
  healthMs: number
}

/** With this code a runtime asks to be started again at once, for instance from another slot. */
export const restartCode = 75
/** Between starts of a runtime that ends by itself, ms: doubles from the first to the second. */
const pauseMs = { first: 1_000, longest: 60_000 }

/** Runs one runtime after the other until one ends with code 0 or `signal` says so. */
export async function launch(options: LauncherOptions, signal: AbortSignal): Promise<void> {
  const { clock, log } = options
  for (let failures = 0; !signal.aborted; ) {
    const choice = await choose(options)
    log.info('the runtime is started', { slot: choice.slot ?? 'built-in', trial: choice.trial })
    const started = options.start(choice)
    const code = choice.trial ? await watch(options, started, signal) : await ended(started, signal)
    if (code === 0 || signal.aborted) return
    failures = code === restartCode || choice.trial ? 0 : failures + 1
    if (failures > 0)
      await clock.sleep(Math.min(pauseMs.first * 2 ** (failures - 1), pauseMs.longest), signal).catch(() => undefined)
  }
}

/** Which slot is to run now; a trial is counted, durably, before it is given. @throws {Problem} `storage.*` */
export async function choose({
  store,
  releaseKey,
  data,
  log,
}: Pick<LauncherOptions, 'store' | 'releaseKey' | 'data' | 'log'>): Promise<Choice> {
  const key = await releaseKey()
  if (!key) return { slot: undefined, trial: false }
  const sound = async (slot: SlotName, trial: boolean): Promise<Choice | undefined> => {
    try {
      const { version, entry } = await openSlot(store, slot, key)
      return { slot, version, entry: `${store.directoryOf(slot)}/files/${entry}`, trial }
    } catch (error) {
      if (!isProblem(error) || error.code.startsWith('storage.')) throw error
      log.error('a slot is not what was signed', { slot, code: error.code, detail: error.detail })
      return undefined
    }
  }
  let slots = await store.read()
  // What the trial before left is put right first: only the last one is remembered.
  if (slots.attempt?.phase !== 'trying') await data?.settle(slots)
  slots = await store.step({ kind: 'start' })
  if (slots.attempt?.phase === 'trying') {
    const { slot, release } = slots.attempt
    const trial = await sound(slot, true)
    const why = trial ? await refusalOfCopy(data, release, log) : 'upgrade.damaged'
    if (trial && !why) return trial
    slots = await store.step({ kind: 'fail', why: why! })
  }
  if (slots.attempt?.phase !== 'trying') await data?.settle(slots)
  // The confirmed one; should its files have rotten, the one before it, which was confirmed once, too.
  for (const slot of slots.active === 'b' ? (['b', 'a'] as const) : (['a', 'b'] as const)) {
    if (slots.active === undefined || !slots.held[slot] || slots.attempt?.slot === slot) continue
    const found = await sound(slot, false)
    if (found) return found
  }
  return { slot: undefined, trial: false }
}

/** A code when no copy could be made, for instance on a full disk: then nothing is tried. */
async function refusalOfCopy(data: TrialData | undefined, release: Held, log: Log): Promise<string | undefined> {
  try {
    await data?.keep(release)
    return undefined
  } catch (error) {
    if (!isProblem(error)) throw error
    log.error('what a new version would change could not be copied; it is not tried', {
      version: release.version,
      code: error.code,
      detail: error.detail,
    })
    return error.code
  }
}

/** Waits until a version on trial is confirmed and then until it ends; one that is not confirmed in time is ended. */
async function watch(
  { store, clock, log, healthMs }: LauncherOptions,
  started: Started,
  signal: AbortSignal,
): Promise<number> {
  const limit = Promise.withResolvers<'late'>()
  using _limit = clock.timer(healthMs, () => limit.resolve('late'))
  const first = await Promise.race([ended(started, signal), limit.promise])
  if (signal.aborted) return 0
  if ((await store.read()).attempt?.phase !== 'trying') return first === 'late' ? ended(started, signal) : first
  if (first === 'late') {
    await started.stop()
    // It may have confirmed while it was being stopped.
    if ((await store.read()).attempt?.phase === 'trying') {
      await store.step({ kind: 'fail', why: 'upgrade.rolled-back' })
      log.error('the new version did not show that it works in time; the old one is started', { healthMs })
    }
  }
  return restartCode
}

async function ended(started: Started, signal: AbortSignal): Promise<number> {
  const asked = Promise.withResolvers<void>()
  const stop = () => asked.resolve()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    const code = await Promise.race([started.exited, asked.promise])
    if (code !== undefined) return code
    await started.stop()
    return 0
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/**
 * What a runtime does once it works: confirms the version that is being tried. Nothing when none is.
 * @param version the version that asks: another's trial is not its to confirm
 */
export async function confirmHealth(store: SlotStore, version: string): Promise<boolean> {
  const { attempt } = await store.read()
  if (attempt?.phase !== 'trying') return false
  if (attempt.release.version !== version)
    throw new Problem('upgrade.busy', `${version} runs, ${attempt.release.version} is on trial`)
  await store.step({ kind: 'confirm' })
  return true
}
