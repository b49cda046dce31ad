/** The real clock. Timers do not keep the process alive: what must finish is awaited by whoever stops it. */
import type { Clock } from '../ports.ts'

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const aborted = () => {
        clearTimeout(timeout)
        reject(signal?.reason)
      }
      const timeout = setTimeout(() => {
        signal?.removeEventListener('abort', aborted)
        resolve()
      }, ms)
      signal?.addEventListener('abort', aborted, { once: true })
    }),
  timer: (ms, fire) => {
    const timeout = setTimeout(fire, ms).unref()
    const cancel = () => clearTimeout(timeout)
    return { cancel, [Symbol.dispose]: cancel }
  },
}
