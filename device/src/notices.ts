/**
 * What the person must see whatever an app is showing: notices of the device itself (a part that is unplugged), above what
 * the app showed last, which is alone again when the last notice goes (S17).
 */
import type { Log } from '@azukari/protocol/ports'
import type { Display, Shown } from './drivers.ts'

export interface Notice {
  title: string
  todo: string
}

/** Lines of a notice. */
const linesEach = 2

export class NoticeDisplay implements Display {
  readonly #inner: Display
  readonly #log: Log
  #last: Shown | undefined
  #notices: readonly Notice[] = []

  constructor(inner: Display, log: Log) {
    this.#inner = inner
    this.#log = log
  }

  get model(): string {
    return this.#inner.model
  }

  /** What notices leave to apps. */
  get rows(): number {
    return Math.max(0, this.#inner.rows - linesEach * this.#notices.length)
  }

  get isReady(): boolean | undefined {
    return this.#inner.isReady
  }

  show(shown: Shown): Promise<void> {
    this.#last = shown
    return this.#inner.show(this.#whole(shown))
  }

  /** Replaces the notices and shows them at once; a display that cannot is the log's. */
  notify(notices: readonly Notice[]): void {
    const before = this.#notices.length
    this.#notices = notices
    if (before === 0 && notices.length === 0) return
    this.#inner
      .show(this.#whole(this.#last ?? { lines: [], tone: 'calm' }))
      .catch((error) => this.#log.warn('the display failed', { error: String(error) }))
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  #whole(shown: Shown): Shown {
    if (this.#notices.length === 0) return shown
    const notices = this.#notices.flatMap(({ title, todo }) => [title, todo])
    return {
      ...shown,
      // An app that met the same part says the same: once is enough.
      lines: [...notices, ...shown.lines.filter((line) => !notices.includes(line))],
      tone: 'problem',
    }
  }
}
