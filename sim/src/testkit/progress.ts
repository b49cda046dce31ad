/**
 * Waits that follow progress in place of the clock: a busy machine makes everything slow and nothing wrong.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'

const lookMs = 250
/** A process that only turns in circles ends, too. */
const circleFactor = 40

/**
 * Time as it would be on a quiet machine: an hour of wall time with ten programs for two processors counts twelve minutes.
 */
export class QuietTime {
  #lastMs: number
  #spentMs = 0
  readonly #now: () => number
  readonly #busy: () => number

  /** @param busy how many programs there are for each processor */
  constructor(now = () => performance.now(), busy = () => loadavg()[0]! / availableParallelism()) {
    this.#now = now
    this.#busy = busy
    this.#lastMs = now()
  }

  /** Ms since it was made. Asked often, since it counts what the machine was like meanwhile. */
  get ms(): number {
    const now = this.#now()
    this.#spentMs += (now - this.#lastMs) / Math.max(1, this.#busy())
    this.#lastMs = now
    return this.#spentMs
  }
}

/**
 * Calls `stalled` when a process has used no processor for `limitMs` of quiet time, or forty times that in all. Looks are counted, not the
 * clock: who is not given the processor does not look either. Dispose it when the process is there.
 */
export function watchProgress(pid: number, limitMs: number, stalled: () => void): Disposable {
  const inAll = new QuietTime()
  let still = new QuietTime()
  let used = processorTicks(pid)
  const timer = setInterval(() => {
    const now = processorTicks(pid)
    if (now !== undefined && now !== used) {
      used = now
      still = new QuietTime()
    }
    if (still.ms < limitMs && inAll.ms < limitMs * circleFactor) return
    clearInterval(timer)
    stalled()
  }, lookMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Processor time of a process in the kernel's ticks; undefined where the kernel does not tell. */
function processorTicks(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(fields[11]) + Number(fields[12])
  } catch {
    return undefined
  }
}
