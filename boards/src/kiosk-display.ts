/**
 * A display that is a browser in kiosk mode (S17): Chromium on the board opens a page on loopback. What is shown counts as
 * shown when the browser has drawn it.
 */
import { type Display, partProblem, type Shown } from '@azukari/device/drivers'
import { shrink } from '@azukari/device/picture'
import type { Clock, Random } from '@azukari/protocol/ports'
import { type KioskServer, serveKiosk } from './adapters/kiosk-server.ts'
import { kioskPage } from './kiosk-page.ts'
import { encodePng } from './png.ts'

export interface KioskDisplayOptions {
  clock: Clock
  random: Random
  /** Of the page; 8070 by default, 0 = any free one. */
  port?: number
  rows?: number
  /** How long a browser may take to draw. */
  drawMs?: number
}

const pictureMaxSide = 480
const againMs = 1_000
const lineMaxLength = 200

export class KioskDisplay implements Display {
  readonly model = 'browser kiosk'
  readonly rows: number
  readonly #o: KioskDisplayOptions
  #server!: KioskServer
  #state: string | undefined
  #n = 0
  #seen = 0
  #news = Promise.withResolvers<void>()
  #isClosed = false

  private constructor(options: KioskDisplayOptions) {
    this.#o = options
    this.rows = options.rows ?? 6
  }

  /** @throws {Problem} `part.busy` when the port is taken */
  static async open(options: KioskDisplayOptions): Promise<KioskDisplay> {
    const display = new KioskDisplay(options)
    const nonce = Buffer.from(options.random.bytes(16)).toString('base64url')
    try {
      display.#server = await serveKiosk({
        port: options.port ?? 8070,
        ...kioskPage(nonce),
        greeting: () => display.#state,
        seen: (n) => display.#drawn(n),
      })
    } catch (cause) {
      throw partProblem('display', 'busy', `port ${options.port ?? 8070}: ${String(cause)}`, { cause })
    }
    return display
  }

  /** What the browser opens. */
  get url(): string {
    return this.#server.url
  }

  /** Whether a browser is there. */
  get isReady(): boolean {
    return this.#server.viewers > 0
  }

  /** @throws {Problem} `part.absent` without a browser (one that comes later shows it then), `part.timeout` */
  async show({ lines, picture, tone = 'calm' }: Shown): Promise<void> {
    if (this.#isClosed) throw partProblem('display', 'absent', 'closed')
    const { clock, drawMs = 5_000 } = this.#o
    const n = ++this.#n
    const png = picture && Buffer.from(encodePng(shrink(picture, pictureMaxSide))).toString('base64')
    this.#state = JSON.stringify({
      n,
      lines: lines.slice(0, this.rows).map((line) => line.slice(0, lineMaxLength)),
      tone,
      ...(png ? { picture: `data:image/png;base64,${png}` } : {}),
    })
    this.#server.tell(this.#state)
    let saidMs = clock.monotonicMs()
    const endMs = saidMs + drawMs
    // What was drawn over at once was shown, too.
    while (this.#seen < n) {
      if (this.#isClosed || !this.isReady) throw partProblem('display', 'absent', 'no browser shows the page')
      if (clock.monotonicMs() > endMs) throw partProblem('display', 'timeout', 'the browser does not draw')
      const { promise, resolve } = this.#news
      using _limit = clock.timer(againMs, resolve)
      await promise
      // Said again, in case it or its answer was lost; to draw it twice changes nothing.
      if (this.#seen < n && this.#n === n && clock.monotonicMs() > saidMs + againMs) {
        saidMs = clock.monotonicMs()
        this.#server.tell(this.#state)
      }
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#server.close()
    this.#wake()
  }

  #drawn(n: number): void {
    if (n > this.#n) return
    this.#seen = Math.max(this.#seen, n)
    this.#wake()
  }

  #wake(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }
}
