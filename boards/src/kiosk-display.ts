/**
 * A board's local page (S17): a browser on the board itself, in kiosk mode or on a desk, is its display, and where it can
 * be touched or has a keyboard its panel, too. What is shown counts as shown when the browser has drawn it.
 */
import { type Display, partProblem, type Raster, type Shown } from '@azukari/device/drivers'
import { shrink } from '@azukari/device/picture'
import type { Clock, Files, Random } from '@azukari/protocol/ports'
import { type PageAct, type PageServer, servePage } from './adapters/page-server.ts'
import { kioskPage } from './kiosk-page.ts'
import { KioskPanel } from './kiosk-panel.ts'
import { KioskPlayer } from './kiosk-player.ts'
import { encodePng } from './png.ts'

export interface KioskDisplayOptions {
  clock: Clock
  random: Random
  /** Of the page; any free one by default. */
  port?: number
  rows?: number
  /** How long a browser may take to draw. */
  drawMs?: number
  /** Whether people can enter something at it; true by default. */
  touch?: boolean
  /** Where the page's address is written down for whoever starts the browser; readable by this account alone. */
  addressFile?: { files: Files; path: string }
}

const pictureMaxSide = 1024
const againMs = 1_000
const lineMaxLength = 200

export class KioskDisplay implements Display {
  readonly model = 'local page'
  readonly rows: number
  readonly touch?: KioskPanel
  readonly player: KioskPlayer
  readonly #o: KioskDisplayOptions
  readonly #server: PageServer
  readonly #page: PageState

  private constructor(options: KioskDisplayOptions, page: PageState, server: PageServer) {
    this.#o = options
    this.#page = page
    this.#server = server
    this.rows = options.rows ?? 6
    if (page.panel) this.touch = page.panel
    this.player = page.player
    page.player.viewers = () => server.viewers
    page.tell = (data) => server.tell(data)
    if (page.panel) page.panel.viewers = () => server.viewers
  }

  /** @throws {Problem} `part.busy` when the port is taken */
  static async open(options: KioskDisplayOptions): Promise<KioskDisplay> {
    const { random, port = 0, addressFile } = options
    const text = (bytes: number) => Buffer.from(random.bytes(bytes)).toString('base64url')
    const page = new PageState(options)
    let server: PageServer
    try {
      server = await servePage({
        port,
        token: text(24),
        ...kioskPage(text(16)),
        greeting: () => page.greeting(),
        act: (act) => page.act(act),
        picture: (name, signal) => page.picture(name, signal),
        medium: (name) => page.player.medium(name),
      })
    } catch (cause) {
      throw partProblem('display', 'busy', `port ${port}: ${String(cause)}`, { cause })
    }
    if (addressFile) await writeAddress(addressFile, server.url)
    return new KioskDisplay(options, page, server)
  }

  /** What the browser opens: whoever knows it may see and work the page. */
  get address(): string {
    return this.#server.url
  }

  /** Whether a browser is there. */
  get isReady(): boolean {
    return this.#server.viewers > 0
  }

  /** @throws {Problem} `part.absent` without a browser (one that comes later shows it then), `part.timeout` */
  async show({ lines, picture, tone = 'calm' }: Shown): Promise<void> {
    const page = this.#page
    if (page.isClosed) throw partProblem('display', 'absent', 'closed')
    const { clock, drawMs = 5_000 } = this.#o
    const n = page.show(
      lines.slice(0, this.rows).map((line) => line.slice(0, lineMaxLength)),
      tone,
      picture,
    )
    let saidMs = clock.monotonicMs()
    const endMs = saidMs + drawMs
    // What was drawn over at once was shown, too.
    while (page.seen < n) {
      if (page.isClosed || !this.isReady) throw partProblem('display', 'absent', 'no browser shows the page')
      if (clock.monotonicMs() > endMs) throw partProblem('display', 'timeout', 'the browser does not draw')
      const { promise, resolve } = page.news
      using _limit = clock.timer(againMs, resolve)
      await promise
      // Said again, in case it or its answer was lost; to draw it twice changes nothing.
      if (page.seen < n && page.shownNow === n && clock.monotonicMs() > saidMs + againMs) {
        saidMs = clock.monotonicMs()
        page.tellShown()
      }
    }
  }

  async close(): Promise<void> {
    if (this.#page.isClosed) return
    this.#page.close()
    await this.#server.close()
    const { addressFile } = this.#o
    await addressFile?.files.remove(addressFile.path)
  }
}

/** What stands on the page: words and a picture, and what is asked. */
class PageState {
  readonly panel: KioskPanel | undefined
  readonly player: KioskPlayer
  tell: (data: string) => void = () => undefined
  isClosed = false
  /** Number of what is shown now, and of the latest that a browser has drawn. */
  shownNow = 0
  seen = 0
  news = Promise.withResolvers<void>()
  #shown: string | undefined
  #picture: Raster | undefined

  constructor({ touch = true, clock }: KioskDisplayOptions) {
    this.panel = touch ? new KioskPanel(clock, () => this.#tellPanel()) : undefined
    this.player = new KioskPlayer(clock, () => this.tell(this.player.state))
  }

  show(lines: readonly string[], tone: string, picture: Raster | undefined): number {
    const n = ++this.shownNow
    this.#picture = picture
    this.#shown = JSON.stringify({
      type: 'shown',
      n,
      lines,
      tone,
      ...(picture ? { picture: `picture/shown/${n}` } : {}),
    })
    this.tellShown()
    return n
  }

  tellShown(): void {
    if (this.#shown) this.tell(this.#shown)
  }

  greeting(): string[] {
    return [this.#shown, this.panel?.state, this.player.state].filter((one) => one !== undefined)
  }

  act(act: PageAct): boolean {
    if (act.type === 'played') return this.player.act(act)
    if (act.type !== 'seen') return this.panel?.act(act) ?? false
    if (act.n > this.shownNow) return false
    this.seen = Math.max(this.seen, act.n)
    this.#wake()
    return true
  }

  async picture(name: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    if (name === `shown/${this.shownNow}`) return this.#picture && encodePng(shrink(this.#picture, pictureMaxSide))
    return this.panel?.picture(name, signal)
  }

  close(): void {
    this.isClosed = true
    this.#picture = undefined
    void this.panel?.close()
    this.player.close()
    this.#wake()
  }

  #tellPanel(): void {
    if (this.panel) this.tell(this.panel.state)
  }

  #wake(): void {
    this.news.resolve()
    this.news = Promise.withResolvers()
  }
}

/** Whole or not at all: a browser is started with what stands there. */
async function writeAddress({ files, path }: { files: Files; path: string }, url: string): Promise<void> {
  const file = await files.open(`${path}.new`, 'create')
  try {
    await file.truncate(0)
    await file.write(0, new TextEncoder().encode(`${url}\n`))
  } finally {
    await file.close()
  }
  await files.rename(`${path}.new`, path)
}
