/** Waiting for a real site: looks again until it is so, or says what did not come. */
import { Problem } from '@azukari/protocol/problem'

/** @throws {Problem} `link.timeout` naming what was waited for */
export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  limitMs = 30_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + limitMs
  for (;;) {
    const found = await look()
    if (found) return found as NonNullable<T>
    if (performance.now() > end) throw new Problem('link.timeout', `${what} did not come within ${limitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
