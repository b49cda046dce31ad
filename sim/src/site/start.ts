/**
 * `npm start`: the simulated site with a page on loopback. The page shows what is true now and lets a person press the
 * shutter, move the card, print, cut lines and stop servers.
 */
import { randomBytes } from 'node:crypto'
import { quietLog } from '../testkit/log.ts'
import { Bulletin } from './bulletin.ts'
import { servePage } from './page-server.ts'
import { photosIn } from './photos.ts'
import { SimulatedSite } from './site.ts'

export interface StartOptions {
  folder: string
  /** 0 = any free one. */
  port: number
  photos?: string
  /** Ends the site; SIGINT and SIGTERM by default. */
  signal?: AbortSignal
  /** Told the page's address. */
  onReady?: (url: string) => void
}

/** Runs until it is told to stop. */
export async function runSite(options: StartOptions): Promise<void> {
  const say = (line: string) => console.log(line)
  if (options.photos) await photosIn(options.photos, say)
  const site = new SimulatedSite({
    folder: options.folder,
    log: quietLog,
    tell: say,
    ...(options.photos ? { photos: options.photos } : {}),
  })
  const stop = options.signal ?? stopAsked()
  let page: Awaited<ReturnType<typeof servePage>> | undefined
  const bulletin = new Bulletin(site, say)
  try {
    // The page first: a port in use is told before a whole site is started for nothing.
    page = await servePage(bulletin, { port: options.port, csrf: randomBytes(16).toString('hex') })
    await site.start()
    await bulletin.begin()
    say(`\nThe site runs. Open ${page.url} and press the shutter. Ctrl-C stops it.\n`)
    options.onReady?.(page.url)
    await new Promise<void>((resolve) => {
      if (stop.aborted) resolve()
      stop.addEventListener('abort', () => resolve(), { once: true })
    })
  } finally {
    if (page) say('Stopping: what waits is kept and goes on at the next start')
    await page?.close()
    await bulletin.end()
    await site.stop()
  }
}

function stopAsked(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  return stop.signal
}
