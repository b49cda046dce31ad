/**
 * One life of a simulated process (ARCHITECTURE §11): from its start until it stops or dies. Whatever the dead ask of
 * their ports is never answered and changes nothing, so that code of a process that lost power can do no more.
 */
import type { Clock, FileHandle, Files, Timer } from '@azukari/protocol/ports'
import type { FileOperation } from './files.ts'

/** Thrown through code that dies in the middle of something that cannot wait. */
export class Died extends Error {
  constructor() {
    super('this process is dead')
    this.name = 'Died'
  }
}

/** Never settles. */
export function never<T>(): Promise<T> {
  return new Promise(() => {})
}

export class Life {
  /** Who lives, and the how-manieth life it is. */
  readonly name: string
  /** Resolves at the end of this life. */
  readonly ended: Promise<void>
  /** Called before each change of a file and each commit of this life, and after each commit: it may end the life. */
  onStep: ((step: Step) => void) | undefined
  readonly #end: () => void
  #alive = true

  constructor(name: string) {
    this.name = name
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    this.#end = resolve
  }

  get alive(): boolean {
    return this.#alive
  }

  end(): void {
    this.#alive = false
    this.onStep = undefined
    this.#end()
  }

  /** For what answers at once: the dead go no further. */
  check(): void {
    if (!this.#alive) throw new Died()
  }

  step(step: Step): void {
    this.check()
    this.onStep?.(step)
    this.check()
  }

  /** Does the work if alive, and tells of its outcome only the living. */
  run<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#alive) return never()
    return new Promise<T>((resolve, reject) => {
      work().then(
        (value) => {
          if (this.#alive) resolve(value)
        },
        (error) => {
          if (this.#alive) reject(error)
        },
      )
    })
  }

  /** @param skewMs how far this process's wall clock is off; asked each time */
  clock(clock: Clock, skewMs: () => number = () => 0): Clock {
    const timer = (ms: number, fire: () => void): Timer => {
      if (!this.#alive) return { cancel: () => {}, [Symbol.dispose]: () => {} }
      return clock.timer(ms, () => {
        if (this.#alive) fire()
      })
    }
    return {
      now: () => clock.now() + skewMs(),
      monotonicMs: () => clock.monotonicMs(),
      timer,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) return reject(signal.reason)
          const abort = () => {
            waiting.cancel()
            reject(signal!.reason)
          }
          const waiting = timer(ms, () => {
            signal?.removeEventListener('abort', abort)
            resolve()
          })
          signal?.addEventListener('abort', abort, { once: true })
        }),
    }
  }

  files(files: Files): Files {
    const changing = <T>(operation: FileOperation, work: () => Promise<T>): Promise<T> => {
      if (!this.#alive) return never()
      this.onStep?.({ kind: 'file', operation })
      return this.run(work)
    }
    return {
      open: async (path, mode) => {
        const handle = await (mode === 'create'
          ? changing('open', () => files.open(path, mode))
          : this.run(() => files.open(path, mode)))
        return this.#handle(handle, changing)
      },
      rename: (from, to) => changing('rename', () => files.rename(from, to)),
      remove: (path) => changing('remove', () => files.remove(path)),
      list: (directory) => this.run(() => files.list(directory)),
      makeDirectory: (path) => changing('makeDirectory', () => files.makeDirectory(path)),
      syncDirectory: (path) => changing('syncDirectory', () => files.syncDirectory(path)),
      stat: (path) => this.run(() => files.stat(path)),
      freeBytes: (path) => this.run(() => files.freeBytes(path)),
    }
  }

  #handle(
    handle: FileHandle,
    changing: <T>(operation: FileOperation, work: () => Promise<T>) => Promise<T>,
  ): FileHandle {
    return {
      read: (at, length) => this.run(() => handle.read(at, length)),
      write: (at, bytes) => changing('write', () => handle.write(at, bytes)),
      truncate: (size) => changing('truncate', () => handle.truncate(size)),
      size: () => this.run(() => handle.size()),
      sync: () => changing('sync', () => handle.sync()),
      close: () => this.run(() => handle.close()),
    }
  }
}

/** A moment at which a process may die with something half done. */
export type Step = { kind: 'file'; operation: FileOperation } | { kind: 'before-commit' } | { kind: 'after-commit' }
