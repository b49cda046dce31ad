/** Whether data servers answer (S9): one that does not is away, and after a while what it held is made anew elsewhere. */
import { mapInOrder } from '@azukari/protocol/in-order'
import { isProblem } from '@azukari/protocol/problem'
import { contain } from '../audit/contain.ts'
import { identify } from '../replicas/identify.ts'
import { type ServerRow, servers } from '../store.ts'
import type { ReplacePorts } from './making.ts'

/** How long a server may take to prove itself, ms. */
const answerMs = 10_000

/** Away by an operator's word: it does not come back by itself. */
export const awayForGood = 0

/**
 * Asks every server to prove itself.
 * @param lostAfterMs how long one may be away before it counts as lost
 * @returns servers whose state has changed
 */
export async function watchServers(ports: ReplacePorts, lostAfterMs: number, signal: AbortSignal): Promise<string[]> {
  const { store } = ports
  const changed = await Promise.all(
    // One that is shut off is not asked: only an operator lets it back in.
    await mapInOrder(
      (await servers.all(store.sql)).filter(({ state }) => state !== 'contained'),
      async (server) => {
        const answers = server.away === awayForGood ? 'no' : await answerOf(ports, server, signal)
        if (signal.aborted) return undefined
        return (await note(ports, server, answers, lostAfterMs)) ? server.id : undefined
      },
    ),
  )
  return changed.filter((id) => id !== undefined)
}

type Answer = 'yes' | 'no' | 'impostor'

async function answerOf(
  { dataServers, signer, random, clock, log }: ReplacePorts,
  server: ServerRow,
  signal: AbortSignal,
): Promise<Answer> {
  if (signal.aborted) return 'no'
  const limit = new AbortController()
  using _timer = clock.timer(answerMs, () => limit.abort(new Error('no answer')))
  const { promise: late, resolve } = Promise.withResolvers<Answer>()
  const giveUp = () => resolve('no')
  limit.signal.addEventListener('abort', giveUp, { once: true })
  signal.addEventListener('abort', giveUp, { once: true })
  const asked = identify(dataServers.of(server), server, signer.kid, random, limit.signal).then(
    (): Answer => 'yes',
    (error): Answer => {
      if (!isProblem(error) && !limit.signal.aborted) log.error('a data server', { error: String(error) })
      return isProblem(error, 'server.impostor') ? 'impostor' : 'no'
    },
  )
  // The stop signal outlives every question: what stayed on it would pile up.
  return Promise.race([asked, late]).finally(() => signal.removeEventListener('abort', giveUp))
}

/** @returns whether something about it is different now */
async function note(ports: ReplacePorts, asked: ServerRow, answer: Answer, lostAfterMs: number): Promise<boolean> {
  const { store, clock, log } = ports
  // S12: it answers, so it is not away; nothing is asked of it until somebody has looked.
  if (answer === 'impostor')
    return contain(ports, asked.id, 'impostor', 'it did not prove its key when asked whether it is there')
  return store.transaction(async ({ sql }) => {
    const server = await servers.byId(sql, asked.id)
    if (!server || server.away === awayForGood) return false
    const nowMs = clock.now()
    if (answer === 'yes') {
      if (server.away === null) return false
      await servers.setAway(sql, server.id, null)
      if (server.state === 'lost') await servers.setState(sql, server.id, 'open')
      log.info('a data server is back', { server: server.id, awayMs: nowMs - server.away })
      return true
    }
    if (server.away === null) {
      await servers.setAway(sql, server.id, nowMs)
      log.warn('a data server does not answer', { server: server.id })
      return true
    }
    if (server.state === 'lost' || nowMs - server.away < lostAfterMs) return false
    await servers.setState(sql, server.id, 'lost')
    log.error('a data server is lost: what it held is made anew elsewhere', { server: server.id })
    return true
  })
}
