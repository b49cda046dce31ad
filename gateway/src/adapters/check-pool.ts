/**
 * The pool of threads that check signatures (ARCHITECTURE §9, B6; docs/decisions/0010). Threads begin when enough waits at
 * once to be worth them, so a small site never has any; each gets whole batches, because a batch costs little more to
 * hand over than one message.
 */
import type { KeyObject } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Checked, SignatureChecks } from '../service/checks.ts'
import type { CheckAnswers, CheckBatch } from './check-worker.ts'

export interface CheckPoolOptions {
  /** Settlement's private agreement key, to which messages are sealed. */
  agreement: KeyObject
  log: Log
  /** Threads at most; by default one fewer than the machine has cores, from 1 to 4. */
  threads?: number
  /** Messages that may wait; beyond it `service.busy`. */
  waiting?: number
  /** Fewer than this at once are left to whoever needs them. */
  worthwhile?: number
  /** A thread that takes longer over a batch is ended, ms. */
  batchMs?: number
}

/** Messages in one batch: some milliseconds of work. */
const maxBatch = 32
/** Batches that a thread has at once: one in work, one that waits for it. */
const batchesAhead = 2

interface Job {
  sealed: Uint8Array
  domain: Uint8Array
  done(checked: Checked | undefined): void
}
interface Thread {
  worker: Worker
  /** Learned and not yet sent. */
  keys: Set<Uint8Array>
  batches: { number: number; jobs: Job[] }[]
  timer: NodeJS.Timeout | undefined
}

export class CheckPool implements SignatureChecks {
  readonly #options: Required<CheckPoolOptions>
  readonly #threads = new Set<Thread>()
  /** What every thread that begins later must know. */
  readonly #known = new Map<string, Uint8Array>()
  #queue: Job[] = []
  #batches = 0
  #asked = false
  #closed = false
  /** Messages that threads have looked at. */
  checked = 0

  constructor(options: CheckPoolOptions) {
    const threads = Math.min(4, Math.max(1, availableParallelism() - 1))
    this.#options = { threads, waiting: 8_192, worthwhile: 4, batchMs: 10_000, ...options }
  }

  get threads(): number {
    return this.#threads.size
  }

  check(sealed: Uint8Array, domain: Uint8Array): Promise<Checked | undefined> {
    if (this.#closed) return Promise.resolve(undefined)
    if (this.#queue.length >= this.#options.waiting)
      throw new Problem('service.busy', 'too many signatures wait to be checked')
    return new Promise((done) => {
      this.#queue.push({ sealed, domain, done })
      if (this.#asked) return
      this.#asked = true
      setImmediate(() => {
        this.#asked = false
        this.#hand()
      })
    })
  }

  learn(key: Uint8Array): void {
    const name = Buffer.from(key).toString('latin1')
    if (!this.#known.has(name)) {
      if (this.#known.size >= 8_192) this.#known.delete(this.#known.keys().next().value!)
      this.#known.set(name, key.slice())
    }
    for (const { keys } of this.#threads) keys.add(this.#known.get(name)!)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#answerAll(this.#queue)
    this.#queue = []
    await Promise.all([...this.#threads].map((thread) => this.#end(thread)))
  }

  #hand(): void {
    const { threads, worthwhile } = this.#options
    const idle = ![...this.#threads].some(({ batches }) => batches.length > 0)
    if (idle && this.#queue.length < worthwhile) {
      this.#answerAll(this.#queue)
      this.#queue = []
      return
    }
    while (this.#queue.length > 0) {
      const thread = this.#freest()
      if (thread && (thread.batches.length === 0 || this.#threads.size >= threads)) {
        if (thread.batches.length >= batchesAhead) return
        this.#send(thread)
      } else this.#begin()
    }
  }

  #freest(): Thread | undefined {
    let best: Thread | undefined
    for (const thread of this.#threads) if (!best || thread.batches.length < best.batches.length) best = thread
    return best
  }

  #begin(): void {
    // The thread's own module stands beside this one, as TypeScript or as what it was compiled to.
    const module = new URL(`./check-worker${extname(import.meta.filename)}`, import.meta.url)
    const worker = new Worker(module, { workerData: { agreement: this.#options.agreement } })
    worker.unref()
    const thread: Thread = { worker, keys: new Set(this.#known.values()), batches: [], timer: undefined }
    worker.on('message', (answers: CheckAnswers) => this.#answered(thread, answers))
    worker.on('error', (error) => this.#failed(thread, String(error)))
    worker.on('exit', () => this.#failed(thread, 'it ended'))
    this.#threads.add(thread)
  }

  #send(thread: Thread): void {
    const jobs = this.#queue.slice(0, maxBatch)
    this.#queue = this.#queue.slice(maxBatch)
    const number = ++this.#batches
    thread.batches.push({ number, jobs })
    const batch: CheckBatch = {
      number,
      keys: [...thread.keys],
      jobs: jobs.map(({ sealed, domain }) => ({ sealed, domain })),
    }
    thread.keys.clear()
    thread.worker.postMessage(batch)
    thread.timer ??= this.#limit(thread)
  }

  #limit(thread: Thread): NodeJS.Timeout {
    return setTimeout(() => this.#failed(thread, 'it took too long'), this.#options.batchMs).unref()
  }

  #answered(thread: Thread, { number, answers }: CheckAnswers): void {
    // Whatever was loaded into the thread beside our module may speak, too: a stray word must not pass for an answer.
    const batch = thread.batches[0]
    if (!batch || batch.number !== number) return
    thread.batches.shift()
    const { jobs } = batch
    clearTimeout(thread.timer)
    thread.timer = thread.batches.length > 0 ? this.#limit(thread) : undefined
    this.checked += jobs.length
    // The thread gets more to do before what it found keeps this one busy.
    this.#hand()
    for (const [i, { done }] of jobs.entries()) done(answers[i])
  }

  /** Its work is done by whoever needs it; another thread begins when there is enough again. */
  #failed(thread: Thread, why: string): void {
    if (!this.#threads.has(thread)) return
    if (!this.#closed) this.#options.log.warn('a thread that checks signatures is gone', { why })
    void this.#end(thread)
  }

  async #end(thread: Thread): Promise<void> {
    this.#threads.delete(thread)
    clearTimeout(thread.timer)
    for (const { jobs } of thread.batches) this.#answerAll(jobs)
    thread.batches = []
    await thread.worker.terminate()
  }

  #answerAll(jobs: readonly Job[]): void {
    for (const { done } of jobs) done(undefined)
  }
}
