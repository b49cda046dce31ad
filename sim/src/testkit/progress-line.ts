/** How far a long run has come, on standard error: at each step where somebody looks on, once a minute in a log. */

const everyMs = 60_000

/** @param what the steps are, in the plural @returns to be called after each step */
export function progress(what: string, of: number): (done: number, failed: number) => void {
  const began = performance.now()
  let toldMs = began
  return (done, failed) => {
    const nowMs = performance.now()
    const isWatched = process.stderr.isTTY === true
    if (!isWatched && nowMs - toldMs < everyMs) return
    toldMs = nowMs
    const minutes = Math.ceil(((nowMs - began) / done) * ((of - done) / 60_000))
    const line = `${done} of ${of} ${what}, ${failed === 0 ? 'all hold' : `${failed} failed`}; about ${minutes} min left`
    process.stderr.write(isWatched ? `\r\u001b[K${line}` : `${line}\n`)
  }
}
