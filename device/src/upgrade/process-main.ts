/** The launcher on a real board: the runtime is a process of its own, its words are the launcher's own (D6). */
import { type ChildProcess, spawn } from 'node:child_process'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import type { Log } from '@azukari/protocol/ports'
import { loadIdentity } from '../identity.ts'
import { type Choice, launch, type Started } from './launcher.ts'
import { SlotStore } from './slot-store.ts'

/** Set for a runtime that a launcher started: it may ask to be started again. */
export const launchedVariable = 'AZUKARI_LAUNCHED'
/** How long a runtime has to end when it is told to, ms. */
const stopMs = 15_000

export interface ProcessSettings {
  /** The device's folder. */
  folder: string
  /** Script of the runtime that came with the launcher. */
  builtIn: string
  /** Words for the runtime: `run` and its options. */
  words: readonly string[]
  healthMs: number
  log: Log
}

/** Where the slots of a device lie. */
export function slotsOf(folder: string): SlotStore {
  return new SlotStore(systemFiles(), `${folder}/slots`)
}

/** Runs runtimes until one ends by itself or `signal` says so. @throws {Problem} `storage.*` */
export async function launchProcess(settings: ProcessSettings, signal: AbortSignal): Promise<void> {
  const { folder, builtIn, words, healthMs, log } = settings
  const releaseKey = async () =>
    (await loadIdentity(systemFiles(), `${folder}/identity.cose`, systemRandom)).trust?.releaseKey
  const start = (choice: Choice): Started =>
    startedBy(
      spawn(process.execPath, [choice.slot === undefined ? builtIn : choice.entry, ...words], {
        stdio: 'inherit',
        env: { ...process.env, [launchedVariable]: '1' },
      }),
    )
  await launch({ store: slotsOf(folder), releaseKey, start, clock: systemClock, log, healthMs }, signal)
}

function startedBy(child: ChildProcess): Started {
  const { promise: exited, resolve } = Promise.withResolvers<number>()
  child.once('exit', (code) => resolve(code ?? 1))
  child.once('error', () => resolve(1))
  return {
    exited,
    stop: async () => {
      child.kill('SIGTERM')
      using _limit = systemClock.timer(stopMs, () => child.kill('SIGKILL'))
      await exited
    },
  }
}
