/** What every long-running process of a site says and hears. */

/** Tells whoever started this process that it works now: one JSON line on standard output. */
export function ready(fact: Record<string, unknown>): void {
  console.log(JSON.stringify(fact))
}

/** Resolves when it is told to stop (SIGINT, SIGTERM). */
export function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}
