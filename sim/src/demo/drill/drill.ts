/** `azukari-sim drill`: a history of hazards against a site with many members, and what came of it. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { Problem } from '@azukari/protocol/problem'
import { readHistory } from './history.ts'
import { page } from './page.ts'
import { picture } from './picture.ts'
import { replay } from './replay.ts'
import { type DrillReport, reportOf } from './report.ts'

export interface DrillOptions {
  feed: string
  /** Simulated seconds per second; 0: as fast as the machine can. */
  speed: number
  members: number
  objectsPerMember: number
  seed: number
  tell: (line: string) => void
}

export async function drill(options: DrillOptions): Promise<DrillReport> {
  const { feed, members } = options
  const history = readHistory(feed)
  options.tell(`${history.documents} documents tell ${history.told.length} times of hazards`)
  for (const { file, problem } of history.unread.slice(0, 5)) options.tell(`not used: ${file}: ${problem}`)
  const replayed = await replay({ ...options, history, pace: systemClock })
  return reportOf(feed.split('/').at(-1)!, members, history, replayed)
}

/** Writes what is asked for. @throws {Problem} `config.invalid` for a PNG without a browser to draw it */
export async function writeDrill(
  report: DrillReport,
  { json, png, page: html }: { json?: string; png?: string; page?: string },
): Promise<void> {
  if (json) await writeFile(json, `${JSON.stringify(report, null, 1)}\n`)
  if (html) await writeFile(html, page(report))
  if (png) await writeFile(png, png.endsWith('.svg') ? picture(report) : await raster(picture(report)))
}

const browsers = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

async function raster(svg: string): Promise<Uint8Array> {
  const executablePath = process.env['CHROMIUM'] ?? browsers.find((path) => existsSync(path))
  if (!executablePath)
    throw new Problem('config.invalid', 'a PNG is drawn by chromium: install it, or name an .svg file instead')
  const { chromium } = await import('playwright-core')
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'], timeout: 30_000 })
  try {
    const view = await browser.newPage()
    await view.setContent(`<body style="margin:0">${svg}</body>`, { timeout: 30_000 })
    return await view.locator('svg').screenshot({ timeout: 30_000 })
  } finally {
    await browser.close()
  }
}
