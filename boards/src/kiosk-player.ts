/**
 * What plays on a board's local page (C14): a picture, sound or film that the browser reads from this board while it plays, and
 * that is gone when the card is (C13).
 */
import { type Medium, type Player, partProblem } from '@azukari/device/drivers'
import type { Clock } from '@azukari/protocol/ports'
import type { PageMedium } from './adapters/page-media.ts'
import type { PageAct } from './adapters/page-server.ts'

/** How the page plays it. No other pictures: those with scripts in them are none. */
const elements: readonly [RegExp, 'audio' | 'video' | 'img'][] = [
  [/^audio\/[a-z0-9.+-]+$/, 'audio'],
  [/^video\/[a-z0-9.+-]+$/, 'video'],
  [/^image\/(jpeg|png|webp|gif|avif)$/, 'img'],
]
const lookMs = 1_000

interface Playing {
  n: number
  title: string
  element: string
  medium: PageMedium
  hasBegun: boolean
  /** Why the last read failed; the browser only says that it did. */
  failure?: unknown
  begun(): void
  resolve(): void
  reject(error: unknown): void
}

export class KioskPlayer implements Player {
  /** How many browsers show the page. */
  viewers: () => number = () => 0
  readonly #clock: Clock
  readonly #onChange: () => void
  #count = 0
  #playing: Playing | undefined
  #isClosed = false

  /** @param onChange called when something else is to play, or nothing */
  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock
    this.#onChange = onChange
  }

  plays(mediaType: string): boolean {
    return elementFor(mediaType) !== undefined
  }

  async play(medium: Medium, begun: () => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const element = elementFor(medium.mediaType)
    if (!element) throw partProblem('display', 'unsupported', medium.mediaType)
    if (this.#isClosed || this.viewers() === 0) throw partProblem('display', 'absent', 'no browser shows the page')
    if (this.#playing) throw partProblem('display', 'busy', 'something else is playing')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const over = new AbortController()
    const playing: Playing = {
      n: ++this.#count,
      title: medium.title,
      element,
      medium: { ...medium, read: this.#reading(medium), signal: over.signal },
      hasBegun: false,
      begun,
      resolve,
      reject,
    }
    this.#playing = playing
    const left = () => reject(signal.reason)
    signal.addEventListener('abort', left, { once: true })
    const watch = this.#watch(playing, over.signal)
    try {
      this.#onChange()
      await promise
    } finally {
      signal.removeEventListener('abort', left)
      over.abort()
      this.#playing = undefined
      this.#onChange()
      await watch
    }
  }

  /** What the browser reads, by the name that it was told. */
  medium(name: string): PageMedium | undefined {
    return this.#playing && name === String(this.#playing.n) ? this.#playing.medium : undefined
  }

  /** What the page is to play: what it plays already goes on. */
  get state(): string {
    if (!this.#playing) return JSON.stringify({ type: 'player', n: 0 })
    const { n, title, element } = this.#playing
    return JSON.stringify({ type: 'player', n, title, element, src: `medium/${n}` })
  }

  /** What the browser says of it; false when it is about something else. */
  act({ n, what }: Extract<PageAct, { type: 'played' }>): boolean {
    const playing = this.#playing
    if (playing?.n !== n) return false
    if (what === 'begun') {
      if (!playing.hasBegun) playing.begun()
      playing.hasBegun = true
    } else if (what === 'ended') playing.resolve()
    else if (what === 'failed')
      playing.reject(playing.failure ?? partProblem('display', 'unsupported', 'the browser does not play it'))
    else return false
    return true
  }

  close(): void {
    this.#isClosed = true
    this.#playing?.reject(partProblem('display', 'absent', 'closed'))
  }

  /** One read after the other: a browser that seeks asks before it has left the place where it was. */
  #reading(medium: Medium): Medium['read'] {
    let last: Promise<unknown> = Promise.resolve()
    return (at, length) => {
      const playing = this.#playing
      const bytes = last.then(() => medium.read(at, length))
      last = bytes.catch((error: unknown) => {
        if (playing) playing.failure = error
      })
      return bytes
    }
  }

  /** A browser that went away says nothing any more. */
  async #watch(playing: Playing, over: AbortSignal): Promise<void> {
    let wasAway = false
    while (!over.aborted) {
      await this.#clock.sleep(lookMs, over).catch(() => undefined)
      const isAway = this.viewers() === 0
      // A page that lost its line comes again within a moment.
      if (isAway && wasAway) playing.reject(partProblem('display', 'absent', 'no browser shows the page'))
      wasAway = isAway
    }
  }
}

function elementFor(mediaType: string): string | undefined {
  return elements.find(([types]) => types.test(mediaType))?.[1]
}
