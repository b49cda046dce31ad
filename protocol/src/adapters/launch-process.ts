/** The launcher as it is installed (D6): what it starts is a process of its own, whose words are the launcher's own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { type Choice, type LauncherOptions, launch, type Started } from '../upgrade/launcher.ts'
import { systemClock } from './clock.ts'

/** Set for a runtime that a launcher started: it may ask to be started again. */
export const launchedVariable = 'AZUKARI_LAUNCHED'
/** How long a runtime has to end when it is told to, ms. */
const stopMs = 15_000

export interface ProcessSettings extends Omit<LauncherOptions, 'start' | 'clock'> {
  /** Script of the runtime that came with the launcher. */
  builtIn: string
  /** Words for the runtime: `run` and its options. */
  words: readonly string[]
}

/** Runs runtimes until one ends by itself or `signal` says so. @throws {Problem} `storage.*` */
export async function launchProcess(settings: ProcessSettings, signal: AbortSignal): Promise<void> {
  const { builtIn, words, ...options } = settings
  const start = (choice: Choice): Started =>
    startedBy(
      spawn(process.execPath, [choice.slot === undefined ? builtIn : choice.entry, ...words], {
        stdio: 'inherit',
        env: { ...process.env, [launchedVariable]: '1' },
      }),
    )
  await launch({ ...options, start, clock: systemClock }, signal)
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
