/** Pictures as PNG: drawn by the machine's Chromium from SVG, in a folder that is gone afterwards. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { Problem } from '@azukari/protocol/problem'

const browsers = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const drawMs = 60_000

/**
 * @param svg with `width` and `height` in pixels
 * @throws {Problem} `config.invalid` when there is no Chromium, or it draws nothing
 */
export async function drawPng(svg: string): Promise<Uint8Array> {
  const browser = process.env['CHROMIUM'] ?? browsers.find((path) => existsSync(path))
  if (!browser)
    throw new Problem('config.invalid', 'a PNG is drawn by chromium: install it, or name an .svg file instead')
  const size = /width="(\d+)" height="(\d+)"/.exec(svg)
  const folder = mkdtempSync(join(tmpdir(), 'azukari-draw-'))
  const [source, target] = [join(folder, 'picture.svg'), join(folder, 'picture.png')]
  try {
    writeFileSync(source, svg)
    await promisify(execFile)(
      browser,
      [
        '--headless',
        '--disable-gpu',
        '--hide-scrollbars',
        '--disable-background-networking',
        // Chromium refuses its own sandbox to root; what it draws is ours and has no script.
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
        `--user-data-dir=${join(folder, 'profile')}`,
        `--window-size=${size?.[1] ?? 1200},${size?.[2] ?? 800}`,
        `--screenshot=${target}`,
        pathToFileURL(source).href,
      ],
      { timeout: drawMs },
    )
    return new Uint8Array(readFileSync(target))
  } catch (cause) {
    throw new Problem('config.invalid', `${browser} drew no picture; name an .svg file instead`, { cause })
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}
