/**
 * Sends shops' events to their addresses (P6, P7): each address gets them in their order, the next when the last was taken, as
 * often as it needs. What was sent and not noted is sent again, under the same id.
 */
import { mapInOrder } from '@azukari/protocol/in-order'
import { isProblem } from '@azukari/protocol/problem'
import type { OutboundAnswer, OutboundRequest } from '../../../../adapters/guarded-fetch.ts'
import { PeriodicWorker } from '../../../../service/periodic-worker.ts'
import type { Duty } from '../../../../storage/database.ts'
import type { ServiceContext } from '../../service-context.ts'
import { type EventRow, shopEvents } from './events.ts'
import { type Answer, afterAnswer, signedHeaders, type WebhookRow, webhooks } from './webhook.ts'

/** Addresses that are spoken to at once; a slow one holds up no other for longer than its answer takes. */
const atOnce = 16
/** Events that one address gets before others have their turn. */
const inARow = 32
const answerMs = 15_000
const answerMaxBytes = 1 << 20
/** The longest that it rests: clocks are put right, and what other processes write is seen then at the latest. */
const restMs = 600_000
/** How often old events are looked for. */
const pruneEveryMs = 3_600_000
const problems = {
  unreachable: 'webhook.untaken',
  refused: 'webhook.address',
  tooLarge: 'webhook.untaken',
  type: 'webhook.untaken',
} as const

export interface WebhookWorkerOptions {
  shared: ServiceContext
  duty: Duty
  fetch: (request: OutboundRequest) => Promise<OutboundAnswer>
  /** `host:port` that the operator allows though it is not public. */
  named: readonly string[]
  /** Resolves when the backup centre has what was committed: nothing is told that could be lost with this one (P9). */
  confirmed: () => Promise<void>
}

/** The loop that sends; what happened to an order wakes it. */
export function webhookWorker(options: WebhookWorkerOptions): PeriodicWorker {
  const { shared, duty, confirmed } = options
  const { store, clock, log } = shared
  let pruneAtMs = 0

  async function prune(): Promise<void> {
    if (clock.monotonicMs() < pruneAtMs) return
    pruneAtMs = clock.monotonicMs() + pruneEveryMs
    await store.transaction(({ sql, nowMs }) => shopEvents.prune(sql, nowMs))
  }

  async function round(): Promise<number> {
    await confirmed()
    await prune()
    const due = await webhooks.due(store.sql, clock.now(), atOnce)
    await Promise.all(await mapInOrder(due, (row) => serve(options, row, worker.signal)))
    // More may wait for them.
    if (due.length > 0) worker.wake()
    const next = await webhooks.next(store.sql)
    return next === undefined ? restMs : Math.min(restMs, Math.max(1, next - clock.now()))
  }

  const worker = new PeriodicWorker({ name: 'webhooks', clock, log, duty, idleMs: restMs, round })
  return worker
}

/** Sends what waits for one address, until it does not take something. */
async function serve(options: WebhookWorkerOptions, hook: WebhookRow, signal: AbortSignal): Promise<void> {
  const { store, clock, log } = options.shared
  let row = hook
  for (const event of await shopEvents.after(store.sql, row.shop, row.sent, inARow)) {
    const answer = await send(options, row, event, signal)
    if (signal.aborted) return
    const change = afterAnswer(row, event.seq, answer, clock.now())
    await store.transaction(({ sql }) => webhooks.set(sql, row.id, change))
    row = { ...row, ...change }
    if (row.trouble === null) continue
    log.warn('a shop’s webhook was not taken', { webhook: row.id, why: row.trouble, state: row.state })
    return
  }
}

async function send(
  { shared, fetch, named }: WebhookWorkerOptions,
  { id, url }: WebhookRow,
  event: EventRow,
  signal: AbortSignal,
): Promise<Answer> {
  const limit = new AbortController()
  using _limit = shared.clock.timer(answerMs, () => limit.abort())
  try {
    const { status } = await fetch({
      url,
      method: 'POST',
      headers: signedHeaders(shared.keys, id, event, shared.clock.now()),
      body: event.body,
      named,
      maxBytes: answerMaxBytes,
      timeoutMs: answerMs,
      signal: AbortSignal.any([signal, limit.signal]),
      problems,
    })
    return { status }
  } catch (error) {
    if (limit.signal.aborted) return { failed: `no answer in ${answerMs / 1_000} s` }
    if (isProblem(error)) return { failed: error.detail ?? error.code }
    return { failed: error instanceof Error ? error.message : String(error) }
  }
}
