/**
 * Telling how a download ended. A member who pulled the card, or a line that broke, is no reason to leave the site waiting: what
 * cannot be said now is said when the line is back, until the offer has expired. A restart forgets it; the site then waits for that.
 */
import { endDownload, type Offer } from '@azukari/protocol/contracts/download'
import type { Clock } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import type { Link } from '../link.ts'

export interface EndPorts {
  link: Pick<Link, 'call' | 'onState'>
  clock: Clock
}

/** Between two tries while the line is up, ms. */
const againMs = 30_000

/**
 * Tells it once; what may succeed later goes on in the background.
 * @throws {Problem} why it was not said now
 */
export async function tellEnd(ports: EndPorts, offer: Offer, problem?: string): Promise<void> {
  const { transfer, from, expiresMs } = offer
  const body = problem === undefined ? { transfer, from } : { transfer, from, problem }
  const tell = () => ports.link.call(endDownload, body)
  try {
    await tell()
  } catch (error) {
    if (isLater(error)) void tellLater(ports, tell, expiresMs)
    throw error
  }
}

async function tellLater({ link, clock }: EndPorts, tell: () => Promise<unknown>, untilMs: number): Promise<void> {
  const stopped = new AbortController()
  let news = new AbortController()
  const forget = link.onState((state) => {
    if (state === 'off') stopped.abort()
    if (state === 'off' || state === 'up') news.abort()
  })
  try {
    while (!stopped.signal.aborted && clock.now() < untilMs) {
      await clock.sleep(againMs, news.signal).catch(() => undefined)
      news = new AbortController()
      if (stopped.signal.aborted || (await isSaid(tell))) return
    }
  } finally {
    forget()
  }
}

/** Whether there is nothing more to say: it was heard, or it is of no use any more. */
async function isSaid(tell: () => Promise<unknown>): Promise<boolean> {
  try {
    await tell()
    return true
  } catch (error) {
    return !isLater(error)
  }
}

function isLater(error: unknown): boolean {
  return isProblem(error) && error.retry === 'later'
}
