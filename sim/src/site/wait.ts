/** Waiting for a real site: looks again until it is so, or says what did not come. */
import { Problem } from '@azukari/protocol/problem'
import { QuietTime } from '../testkit/progress.ts'

/** @param limitMs in the time of a quiet machine. @throws {Problem} `link.timeout` naming what was waited for */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  limitMs = 30_000,
): Promise<NonNullable<T>> {
  const time = new QuietTime()
  for (;;) {
    const found = await look()
    if (found) return found as NonNullable<T>
    if (time.ms > limitMs) throw new Problem('link.timeout', `${what} did not come within ${limitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
