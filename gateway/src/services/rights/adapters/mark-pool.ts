/**
 * Threads that mark and read pictures, begun when there is something to do. Each has one picture at a time, for a picture fills
 * hundreds of megabytes; what takes too long is ended with its thread.
 */
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Fingerprint } from '@azukari/protocol/marks/fingerprint'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Case, MarkedFile } from '../marks/mark-picture.ts'
import type { MarkOrder, MarkWork, TracedPicture } from '../marks/mark-work.ts'
import type { MarkAnswer, MarkJob, MarkTask } from './mark-worker.ts'

export interface MarkPoolOptions {
  log: Log
  /** Threads at most; by default one fewer than the machine has cores, 1 or 2. */
  threads?: number
  /** Pictures that may wait; beyond it `service.busy`. */
  waiting?: number
  /** How long a picture may take, ms. */
  taskMs?: number
}

/** More for each sale that a copy is compared with, ms: measured 0.5. */
const msPerSale = 4

interface Job {
  task: MarkTask
  done(value: unknown): void
  failed(problem: Problem): void
}
interface Thread {
  worker: Worker
  job?: Job | undefined
  number: number
  timer?: NodeJS.Timeout | undefined
}

export class MarkPool implements MarkWork {
  readonly #options: Required<MarkPoolOptions>
  readonly #threads = new Set<Thread>()
  #queue: Job[] = []
  #closed = false

  constructor(options: MarkPoolOptions) {
    const threads = Math.min(2, Math.max(1, availableParallelism() - 1))
    this.#options = { threads, waiting: 32, taskMs: 120_000, ...options }
  }

  mark(order: MarkOrder): Promise<MarkedFile> {
    return this.#ask({ is: 'mark', order }) as Promise<MarkedFile>
  }

  read(bytes: Uint8Array): Promise<bigint | undefined> {
    return this.#ask({ is: 'read', bytes }) as Promise<bigint | undefined>
  }

  fingerprint(bytes: Uint8Array): Promise<Fingerprint> {
    return this.#ask({ is: 'fingerprint', bytes }) as Promise<Fingerprint>
  }

  trace(of: Case): Promise<TracedPicture> {
    return this.#ask({ is: 'trace', of }) as Promise<TracedPicture>
  }

  async close(): Promise<void> {
    this.#closed = true
    const gone = new Problem('service.unavailable', 'stopping')
    for (const { failed } of this.#queue) failed(gone)
    this.#queue = []
    await Promise.all([...this.#threads].map((thread) => this.#end(thread, gone)))
  }

  async #ask(task: MarkTask): Promise<unknown> {
    if (this.#closed) throw new Problem('service.unavailable', 'stopping')
    if (this.#queue.length >= this.#options.waiting)
      throw new Problem('service.busy', 'too many pictures wait to be marked or read')
    return new Promise((done, failed) => {
      this.#queue.push({ task, done, failed })
      this.#hand()
    })
  }

  #hand(): void {
    const free = [...this.#threads].find(({ job }) => job === undefined)
    if (!free && this.#threads.size >= this.#options.threads) return
    const job = this.#queue.shift()
    if (job) this.#send(free ?? this.#begin(), job)
  }

  #begin(): Thread {
    // The thread's own module stands beside this one, as TypeScript or as what it was compiled to.
    const worker = new Worker(new URL(`./mark-worker${extname(import.meta.filename)}`, import.meta.url))
    worker.unref()
    const thread: Thread = { worker, number: 0 }
    worker.on('message', (answer: MarkAnswer) => this.#answered(thread, answer))
    worker.on('error', (error) => this.#failed(thread, String(error)))
    worker.on('exit', () => this.#failed(thread, 'it ended'))
    this.#threads.add(thread)
    return thread
  }

  #send(thread: Thread, job: Job): void {
    thread.job = job
    thread.number++
    thread.timer = setTimeout(() => this.#failed(thread, 'it took too long'), this.#limitMs(job)).unref()
    thread.worker.postMessage({ job: thread.number, task: job.task } satisfies MarkJob)
  }

  #limitMs({ task }: Job): number {
    return this.#options.taskMs + (task.is === 'trace' ? task.of.sales.length * msPerSale : 0)
  }

  #answered(thread: Thread, answer: MarkAnswer): void {
    const { job } = thread
    // Whatever was loaded into the thread beside our module may speak, too.
    if (!job || answer.job !== thread.number) return
    clearTimeout(thread.timer)
    thread.job = undefined
    this.#hand()
    if ('done' in answer) return job.done(answer.done)
    if (answer.fault !== undefined) this.#options.log.error('a picture could not be worked on', { error: answer.fault })
    job.failed(Problem.fromWire(answer.problem))
  }

  /** The picture that was in work is refused: it may be what ended the thread. */
  #failed(thread: Thread, why: string): void {
    if (!this.#threads.has(thread)) return
    if (!this.#closed) this.#options.log.warn('a thread that marks pictures is gone', { why })
    void this.#end(thread, new Problem('mark.unreadable', `the thread that had it is gone: ${why}`))
    this.#hand()
  }

  async #end(thread: Thread, problem: Problem): Promise<void> {
    this.#threads.delete(thread)
    clearTimeout(thread.timer)
    thread.job?.failed(problem)
    thread.job = undefined
    await thread.worker.terminate()
  }
}
