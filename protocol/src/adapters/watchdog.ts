/**
 * systemd's watchdog (sd_notify(3), WatchdogSec=): a program says that it is alive, and is ended and started again when it
 * says so no more. Node has no datagrams of local sockets, so `systemd-notify` says it: one short process every so often.
 */
import { execFile } from 'node:child_process'
import type { Log } from '../ports.ts'
import { launchedVariable } from './launched.ts'

export interface WatchdogOptions {
  environment: NodeJS.ProcessEnv
  /** Whether the program still does what it is for; that its event loop turns goes without saying. */
  alive: () => boolean
  log: Log
  /** That it is not alive is no fault: another answers then. */
  quiet?: boolean
  /** The program that tells systemd. */
  tool?: string
}

/** How long the tool may take, ms. */
const toolMs = 10_000

/** Begins to say so, until disposed of; does nothing when systemd does not ask for it. */
export function watchdog({
  environment,
  alive,
  log,
  quiet = false,
  tool = 'systemd-notify',
}: WatchdogOptions): Disposable {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, PATH } = environment
  const withinMs = Number(WATCHDOG_USEC) / 1_000
  // What a launcher starts answers in its place: systemd knows the launcher's number only.
  const meant = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid || environment[launchedVariable]
  if (!NOTIFY_SOCKET || !(withinMs > 0) || !meant) return { [Symbol.dispose]: () => undefined }
  let was = true
  const say = () => {
    const is = alive()
    if (was && !is && !quiet)
      log.error('this program does not do its work any more; systemd will start it again', { withinMs })
    was = is
    if (!is) return
    const env = { NOTIFY_SOCKET, ...(PATH !== undefined && { PATH }) }
    execFile(tool, ['WATCHDOG=1'], { env, timeout: toolMs }, (error) => {
      if (error) log.warn('systemd could not be told that this program is alive', { error: error.message })
    })
  }
  say()
  // Thrice within the time: one that is late, and one that fails, do no harm.
  const timer = setInterval(say, withinMs / 3)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
