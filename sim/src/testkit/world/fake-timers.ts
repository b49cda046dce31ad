/**
 * Puts the simulated clock under code that takes no port: libraries that call `setTimeout` and `Date.now` themselves. Only
 * one run at a time may do so in a thread.
 */
import type { SimClock } from './clock.ts'

interface FakeTimer {
  cancel(): void
}

const fakes = new WeakMap<object, FakeTimer>()

/** Replaces the timers of this thread until disposed of. */
export function fakeTimers(clock: SimClock): Disposable {
  const real = { setTimeout, setInterval, clearTimeout, clearInterval, now: Date.now }
  const handle = (start: (self: { timer: FakeTimer | undefined }) => void): object => {
    const state: { timer: FakeTimer | undefined } = { timer: undefined }
    const self = {
      ref: () => self,
      unref: () => self,
      hasRef: () => true,
      refresh: () => {
        state.timer?.cancel()
        start(state)
        return self
      },
      [Symbol.dispose]: () => state.timer?.cancel(),
    }
    fakes.set(self, { cancel: () => state.timer?.cancel() })
    start(state)
    return self
  }
  type Callback = (...values: unknown[]) => void
  const timeout = (work: Callback, ms = 0, ...values: unknown[]) =>
    handle((state) => {
      state.timer = clock.timer(Math.max(1, ms), () => work(...values))
    })
  const interval = (work: Callback, ms = 1, ...values: unknown[]) =>
    handle((state) => {
      const again = () => {
        state.timer = clock.timer(Math.max(1, ms), () => {
          again()
          work(...values)
        })
      }
      again()
    })
  const clear = (timer: unknown) => {
    const fake = typeof timer === 'object' && timer !== null ? fakes.get(timer) : undefined
    if (fake) fake.cancel()
    else real.clearTimeout(timer as number)
  }
  Object.assign(globalThis, { setTimeout: timeout, setInterval: interval, clearTimeout: clear, clearInterval: clear })
  Date.now = () => clock.now()
  return {
    [Symbol.dispose]: () => {
      const { now, ...timers } = real
      Object.assign(globalThis, timers)
      Date.now = now
    },
  }
}

/** Resolves when nothing is left to do in this thread but to wait for time: streams and libraries take several turns. */
export async function quietThread(): Promise<void> {
  for (let quiet = 0; quiet < 2; ) {
    await new Promise((resolve) => setImmediate(resolve))
    quiet = process.getActiveResourcesInfo().includes('Immediate') ? 0 : quiet + 1
  }
}
