/** Chromium for tests of pages. */
import { existsSync } from 'node:fs'
import type { Browser } from 'playwright-core'

const path = process.env['CHROMIUM'] ?? '/usr/bin/chromium'

/** Why tests with a browser are skipped, or false. */
export const noBrowser = existsSync(path) ? false : 'no chromium here; npm test installs it where it may'

export async function launchBrowser(): Promise<Browser> {
  const { chromium } = await import('playwright-core')
  return chromium.launch({
    executablePath: path,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
}
