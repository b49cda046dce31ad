/** A thread that reads marks, one picture after the other: begun with the first, ended when there is none for now (R4). */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Plane } from '@azukari/protocol/marks/plane'
import type { Clock, Log } from '@azukari/protocol/ports'
import type { MarkReader } from '../mark-reader.ts'

/** The slowest board that is known takes a tenth of it. */
const pictureMs = 60_000
const heapMaxMb = 256

export function markThread({ clock, log }: { clock: Pick<Clock, 'timer'>; log: Log }): MarkReader {
  let thread: Worker | undefined

  async function end(): Promise<void> {
    const ended = thread
    thread = undefined
    await ended?.terminate()
  }

  function begin(): Worker {
    const program = new URL(`./mark-thread-program${extname(import.meta.filename)}`, import.meta.url)
    const worker = new Worker(program, { resourceLimits: { maxOldGenerationSizeMb: heapMaxMb } })
    worker.unref()
    return worker
  }

  return {
    async read(luma: Plane): Promise<bigint | undefined> {
      thread ??= begin()
      const worker = thread
      const { promise, resolve, reject } = Promise.withResolvers<bigint | undefined>()
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', () => reject(new Error('it ended')))
      using _late = clock.timer(pictureMs, () => reject(new Error('it took too long')))
      try {
        worker.postMessage(luma, [luma.values.buffer as ArrayBuffer])
        return await promise
      } catch (error) {
        log.warn('a picture could not be looked at for its mark', { error: String(error) })
        await end()
        return undefined
      } finally {
        worker.removeAllListeners()
      }
    },
    rest: end,
  }
}
