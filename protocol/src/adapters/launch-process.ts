/** The launcher as it is installed (D6): what it starts is a process of its own, whose words are the launcher's own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { type Choice, type LauncherOptions, launch, type Started } from '../upgrade/launcher.ts'
import { systemClock } from './clock.ts'
import { launchedVariable } from './launched.ts'
import { leanEnvironment } from './lean-memory.ts'
import { watchdog } from './watchdog.ts'

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
  const { log, healthMs } = options
  // Until when the launcher answers systemd itself: while nothing runs, and while a new version may take its time, for
  // which it has its own limit. What runs otherwise answers for itself.
  let answersUntilMs = Number.POSITIVE_INFINITY
  using _ = watchdog({
    environment: process.env,
    alive: () => systemClock.monotonicMs() < answersUntilMs,
    quiet: true,
    log,
  })
  const start = (choice: Choice): Started => {
    const child = spawn(process.execPath, [choice.slot === undefined ? builtIn : choice.entry, ...words], {
      stdio: 'inherit',
      env: { ...leanEnvironment, ...process.env, [launchedVariable]: '1' },
    })
    answersUntilMs = choice.trial ? systemClock.monotonicMs() + healthMs : 0
    const started = startedBy(child)
    void started.exited.then(() => {
      answersUntilMs = Number.POSITIVE_INFINITY
    })
    return started
  }
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
