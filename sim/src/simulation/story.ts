/** What happened, line by line: a hash of all of it, to prove that a seed replays, and the last lines for people to read. */
import { createHash } from 'node:crypto'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { SimClock } from '../testkit/world/clock.ts'

/** Lines kept for people when nobody listens. */
const keptLines = 300

/** Something that must never happen, happened. */
export class Violation extends Error {
  readonly seed: number
  readonly invariant: string
  readonly atMs: number
  /** The last lines before it. */
  readonly story: readonly string[]

  constructor(seed: number, invariant: string, what: string, atMs: number, story: readonly string[]) {
    super(`seed ${seed}, ${clockText(atMs)}: ${invariant}: ${what}`)
    this.name = 'Violation'
    this.seed = seed
    this.invariant = invariant
    this.atMs = atMs
    this.story = story
  }
}

export class Story {
  readonly #clock: SimClock
  readonly #startMs: number
  readonly #hash = createHash('sha256')
  readonly #lines: string[] = []
  readonly #listener: ((line: string) => void) | undefined

  constructor(clock: SimClock, listener?: (line: string) => void) {
    this.#clock = clock
    this.#startMs = clock.now()
    this.#listener = listener
  }

  /** Time since the start, ms. */
  get atMs(): number {
    return this.#clock.now() - this.#startMs
  }

  get lines(): readonly string[] {
    return this.#lines
  }

  say(who: string, what: string): void {
    const line = `${clockText(this.atMs)} ${who}: ${what}`
    this.#hash.update(line).update('\n')
    this.#lines.push(line)
    if (this.#lines.length > 2 * keptLines) this.#lines.splice(0, keptLines)
    this.#listener?.(line)
  }

  /** SHA-256 over all lines so far, in hex. */
  digest(): string {
    return this.#hash.copy().digest('hex')
  }

  /**
   * A process's log as part of the story.
   * @param alive lines of the dead are not told
   * @param onBug hears of errors that are no problems: bugs of ours
   */
  log(who: string, alive: () => boolean, onBug: (what: string) => void): Log {
    const write = (level: string) => (message: string, fields?: Record<string, unknown>) => {
      if (!alive()) return
      const text = fields
        ? Object.entries(fields)
            .filter(([, value]) => value !== undefined)
            .map(([name, value]) => `${name}=${String(value)}`)
            .join(' ')
        : ''
      this.say(who, `${level}${message} ${text}`)
      const error = fields?.['error']
      if (level === 'ERROR ' && typeof error === 'string' && looksLikeBug(error)) onBug(`${message}: ${error}`)
    }
    const log: Log = {
      debug: () => {},
      info: write(''),
      warn: write('warning: '),
      error: write('ERROR '),
      child: () => log,
    }
    return log
  }
}

/** A problem is expected to happen; anything else is our mistake. Its text starts with the name of its class. */
function looksLikeBug(error: string): boolean {
  return !/^(Database)?Problem\b/.test(error) && !/^Died\b/.test(error) && !/^AbortError\b/.test(error)
}

/** `hh:mm:ss.mmm` */
function clockText(ms: number): string {
  const pad = (value: number, digits = 2) => String(value).padStart(digits, '0')
  return `${pad(Math.floor(ms / 3_600_000))}:${pad(Math.floor(ms / 60_000) % 60)}:${pad(Math.floor(ms / 1000) % 60)}.${pad(ms % 1000, 3)}`
}

/** What an error is called in the story. */
export function nameOf(error: unknown): string {
  if (error instanceof Problem) return error.detail ? `${error.code} (${error.detail})` : error.code
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
