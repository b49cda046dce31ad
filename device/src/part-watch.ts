/**
 * How the parts of a board are (S17, D6): attached, gone, out of paper, and since when. Parts that know it are looked at
 * twice a second, which costs nothing; printers and memory are asked when there is a report to make, and every few seconds
 * while something is wrong with them. Who listens tells the person and the operator.
 */
import type { RequestOf } from '@azukari/protocol/contract'
import type { reportState } from '@azukari/protocol/contracts/fleet'
import type { Clock } from '@azukari/protocol/ports'
import { isProblem, type ProblemCode } from '@azukari/protocol/problem'
import { type Board, type Part, type PartErrorKind, type PartKind, partProblem } from './drivers.ts'

export type ReportedPart = RequestOf<typeof reportState>['parts'][number]

export interface PartWatchOptions {
  board: Board
  clock: Clock
  /** Something went wrong or right: problems of the parts at fault, none when all is well. */
  onFaults: (faults: readonly ProblemCode[]) => void
  /** The report would say something new. */
  onNews: () => void
}

const lookMs = 500
/** A part that was just made may still be greeting. */
const graceMs = 5_000
/** Between two questions to a part with which something is wrong. */
const askAgainMs = 5_000
const askLimitMs = 5_000

/** Where a part that does not answer has words of its own. */
const absentCodes: Readonly<Record<PartKind, ProblemCode>> = {
  camera: 'camera.offline',
  printer: 'printer.offline',
  reader: 'reader.absent',
  panel: 'panel.absent',
  display: 'display.absent',
  input: 'input.absent',
  memory: 'memory.absent',
  power: 'part.absent',
}

type State =
  | 'unknown'
  | 'present'
  | Exclude<PartErrorKind, 'busy' | 'cancelled' | 'removed' | 'timeout' | 'unsupported'>

interface Watched {
  name: string
  kind: PartKind
  part: Part
  state: State
  code: ProblemCode | undefined
  /** The state is what the part answered; it stands until it is asked again. */
  isAnswer: boolean
  /** Of the monotonic clock: the other may be set meanwhile. */
  sinceMs: number
}

export class PartWatch {
  readonly #o: PartWatchOptions
  readonly #parts: readonly Watched[]
  readonly #startMs: number
  #askedMs = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined
  #wake = Promise.withResolvers<void>()

  constructor(options: PartWatchOptions) {
    this.#o = options
    const { board, clock } = options
    this.#startMs = clock.monotonicMs()
    const { model: _, inputs, ...parts } = board
    const watched = (name: string, kind: PartKind, part: Part): Watched => ({
      name,
      kind,
      part,
      state: 'unknown',
      code: undefined,
      isAnswer: false,
      sinceMs: this.#startMs,
    })
    this.#parts = [
      ...Object.entries(parts).flatMap(([kind, part]) => (part ? [watched(kind, kind as PartKind, part)] : [])),
      ...Object.entries(inputs ?? {}).map(([name, part]) => watched(`input ${name}`, 'input', part)),
    ]
  }

  /** For the site. @param nowMs the site's time */
  report(nowMs: number): ReportedPart[] {
    const monotonicMs = this.#o.clock.monotonicMs()
    return this.#parts.map(({ name, state, code, sinceMs }) => ({
      part: name.slice(0, 32),
      state,
      ...(code ? { detail: code } : {}),
      sinceMs: Math.max(0, Math.round(nowMs - (monotonicMs - sinceMs))),
    }))
  }

  /** Watches until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#o
    signal.addEventListener('abort', () => this.#wake.resolve(), { once: true })
    while (!signal.aborted) {
      const wake = this.#wake.promise
      const knowing = this.#look()
      const isWrong = this.#parts.some((one) => one.code && isAsked(one))
      if (isWrong && clock.monotonicMs() - this.#askedMs >= askAgainMs) await this.ask(signal)
      // A board whose parts know nothing of themselves is left in peace until it is asked.
      if (knowing || isWrong) await clock.sleep(knowing ? lookMs : askAgainMs, signal).catch(() => undefined)
      else await wake
    }
  }

  /** Asks those that can only be known by asking: printers and memory. One question at a time. */
  ask(signal: AbortSignal): Promise<void> {
    this.#asking ??= this.#askAll(signal).finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  /** Whether there are parts that know how they are. */
  #look(): boolean {
    let knowing = false
    const isEarly = this.#o.clock.monotonicMs() - this.#startMs < graceMs
    for (const one of this.#parts) {
      const { isReady } = one.part
      if (isReady === undefined) continue
      knowing = true
      if (one.isAnswer && one.code) continue
      if (isReady) this.#set(one, 'present')
      else if (one.state !== 'unknown' || !isEarly) this.#set(one, 'absent', absentCodes[one.kind])
    }
    return knowing
  }

  async #askAll(signal: AbortSignal): Promise<void> {
    const { clock } = this.#o
    this.#askedMs = clock.monotonicMs()
    const enough = new AbortController()
    const stop = enough.signal
    const end = () => enough.abort(signal.reason)
    signal.addEventListener('abort', end, { once: true })
    const { promise: ended, reject } = Promise.withResolvers<never>()
    ended.catch(() => undefined)
    stop.addEventListener('abort', () => reject(stop.reason), { once: true })
    using _limit = clock.timer(askLimitMs, () => enough.abort(partProblem('memory', 'timeout')))
    await Promise.all(
      this.#parts.filter(isAsked).map(async (one) => {
        try {
          const { board } = this.#o
          const question = one.kind === 'memory' ? board.memory!.freeBytes() : reasonOf(board, stop)
          const answer = await Promise.race([question, ended])
          if (signal.aborted) return
          const reason = typeof answer === 'string' ? answer : undefined
          this.#set(one, reason ? stateOf(reason) : 'present', reason && partProblem(one.kind, reason).code)
          one.isAnswer = true
        } catch (error) {
          if (signal.aborted || isProblem(error, 'part.busy')) return
          const code = isProblem(error) ? error.code : 'part.failed'
          const isAbsent = code === absentCodes[one.kind] || code === 'part.timeout'
          this.#set(one, isAbsent ? 'absent' : 'failed', isAbsent ? absentCodes[one.kind] : code)
          one.isAnswer = true
        }
      }),
    )
    signal.removeEventListener('abort', end)
  }

  #set(one: Watched, state: State, code?: ProblemCode): void {
    if (one.state === state && one.code === code) return
    one.isAnswer = false
    const isFault = one.code !== undefined || code !== undefined
    one.sinceMs = this.#o.clock.monotonicMs()
    one.state = state
    one.code = code
    this.#o.onNews()
    if (!isFault) return
    this.#o.onFaults([...new Set(this.#parts.flatMap((part) => part.code ?? []))])
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }
}

function isAsked({ kind }: Watched): boolean {
  return kind === 'printer' || kind === 'memory'
}

/** What keeps the printer from printing; being busy does not. */
async function reasonOf(board: Board, signal: AbortSignal): Promise<PartErrorKind | undefined> {
  const { ready, reason } = await board.printer!.attributes(signal)
  return ready || reason === 'busy' || reason === 'cancelled' ? undefined : (reason ?? 'failed')
}

function stateOf(reason: PartErrorKind): State {
  if (reason === 'removed' || reason === 'timeout' || reason === 'absent') return 'absent'
  return reason === 'busy' || reason === 'cancelled' || reason === 'unsupported' ? 'failed' : reason
}
