/** What every long-running process of a site says and hears. */

let asked: Promise<void> | undefined

/** Tells whoever started this process that it works now, and may be told to stop: one JSON line on standard output. */
export function ready(fact: Record<string, unknown>): void {
  // Whoever reads the line may say so at once.
  void stopAsked()
  console.log(JSON.stringify(fact))
}

/** Resolves when it is told to stop (SIGINT, SIGTERM). */
export function stopAsked(): Promise<void> {
  asked ??= new Promise((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
  return asked
}
