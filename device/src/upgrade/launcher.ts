/**
 * The launcher (D6): starts the runtime from the slot that is to run, watches a new version until it has shown that it
 * works, and goes back to the old one when it does not. It is the part that no upgrade replaces, so it is small.
 */
import type { KeyObject } from 'node:crypto'
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { openSlot } from './bundle.ts'
import type { SlotStore } from './slot-store.ts'
import type { SlotName } from './slots.ts'

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

export interface LauncherOptions {
  store: SlotStore
  /** The key that the site's enrolment taught; without one only the runtime that came with the launcher runs. */
  releaseKey: () => Promise<KeyObject | undefined>
  start: (choice: Choice) => Started
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
  log,
}: Pick<LauncherOptions, 'store' | 'releaseKey' | 'log'>): Promise<Choice> {
  const key = await releaseKey()
  if (!key) return { slot: undefined, trial: false }
  const sound = async (slot: SlotName, trial: boolean): Promise<Choice | undefined> => {
    try {
      const directory = store.directoryOf(slot)
      const { version, entry } = await openSlot(store.files, directory, key)
      return { slot, version, entry: `${directory}/files/${entry}`, trial }
    } catch (error) {
      if (!isProblem(error) || error.code.startsWith('storage.')) throw error
      log.error('a slot is not what was signed', { slot, code: error.code, detail: error.detail })
      return undefined
    }
  }
  let slots = await store.step({ kind: 'start' })
  if (slots.attempt?.phase === 'trying') {
    const trial = await sound(slots.attempt.slot, true)
    if (trial) return trial
    slots = await store.step({ kind: 'fail', why: 'upgrade.damaged' })
  }
  // The confirmed one; should its files have rotten, the one before it, which was confirmed once, too.
  for (const slot of slots.active === 'b' ? (['b', 'a'] as const) : (['a', 'b'] as const)) {
    if (slots.active === undefined || !slots.held[slot] || slots.attempt?.slot === slot) continue
    const found = await sound(slot, false)
    if (found) return found
  }
  return { slot: undefined, trial: false }
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
