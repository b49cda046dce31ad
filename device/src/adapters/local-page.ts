/** The board's local page, for whoever starts a browser on it: `azukari-device page`. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { Problem } from '@azukari/protocol/problem'

const lookMs = 1_000

/** Where the page is now; undefined when no board with a page runs. @param directory of the board's parts */
export function pageAddress(directory: string): string | undefined {
  try {
    return readFileSync(`${directory}/page-address`, 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/**
 * Shows the page in Chromium's kiosk mode, in a profile that is thrown away, and again whenever the board has started anew
 * or the browser has ended. Until aborted.
 * @throws {Problem} `config.invalid` when there is no such browser
 */
export async function showPage(
  { directory, browser }: { directory: string; browser: string },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const address = pageAddress(directory)
    if (address) await showOnce(address, browser, () => pageAddress(directory) !== address, signal)
    else await rest(signal)
  }
}

async function showOnce(address: string, browser: string, isOver: () => boolean, signal: AbortSignal): Promise<void> {
  const profile = mkdtempSync(join(tmpdir(), 'azukari-page-'))
  const child = spawn(
    browser,
    [
      '--kiosk',
      '--noerrdialogs',
      '--no-first-run',
      '--disable-translate',
      '--autoplay-policy=no-user-gesture-required',
      `--user-data-dir=${profile}`,
      address,
    ],
    { stdio: 'ignore' },
  )
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>()
  child.once('error', (cause) => reject(new Problem('config.invalid', `${browser} does not start`, { cause })))
  child.once('exit', () => resolve())
  let isRunning = true
  const end = ended.finally(() => {
    isRunning = false
  })
  try {
    while (isRunning && !signal.aborted && !isOver()) await Promise.race([rest(signal), end])
    child.kill()
    await end
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
  // A browser that ends at once is not started a thousand times.
  await rest(signal)
}

function rest(signal: AbortSignal): Promise<void> {
  return systemClock.sleep(lookMs, signal).catch(() => undefined)
}
