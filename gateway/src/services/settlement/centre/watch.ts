/** How the two centres stand, for the gateway's metrics (P9): each is asked when somebody looks, not more often than once a second. */
import type { ReplyOf } from '@azukari/protocol/contract'
import { centreStatus } from '@azukari/protocol/contracts/settlement-centre'
import type { Clock } from '@azukari/protocol/ports'
import type { Caller } from '../../../transport/spread-client.ts'

export interface CentreReport {
  /** Its name in certificates. */
  centre: string
  /** It answered. */
  up: boolean
  leading: boolean
  epoch: number
  /** What it acknowledges is on the other centre's disk too. */
  paired: boolean
  /** Commits that it has. */
  entries: number
  /** The last one that is acknowledged, as the leader says. */
  acknowledged: number
  /** Commits that the leader has and that are not acknowledged, or that this one does not have yet. */
  lag: number
}

/** An answer that does not come so soon is none, ms. */
const answerMs = 1_500
const freshMs = 1_000

export class CentreWatch {
  readonly #clients: readonly { centre: string; client: Caller }[]
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #last: { atMs: number; reports: Promise<CentreReport[]> } | undefined

  constructor(clients: readonly { centre: string; client: Caller }[], clock: Pick<Clock, 'monotonicMs'>) {
    this.#clients = clients
    this.#clock = clock
  }

  /** Always resolves: a centre that does not answer is down. */
  reports(): Promise<CentreReport[]> {
    const nowMs = this.#clock.monotonicMs()
    if (!this.#last || nowMs - this.#last.atMs >= freshMs) this.#last = { atMs: nowMs, reports: this.#ask() }
    return this.#last.reports
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map(({ client }) => client.close()))
  }

  async #ask(): Promise<CentreReport[]> {
    const answers = await Promise.allSettled(
      this.#clients.map(({ client }) => client.call(centreStatus, {}, { idleMs: answerMs })),
    )
    const statuses = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : undefined))
    // One that was cut off may believe for a moment that it leads: the newest epoch is the one that counts.
    const leader = statuses
      .filter((status) => status?.leading)
      .sort((a, b) => b!.epoch - a!.epoch)
      .at(0)
    return this.#clients.map(({ centre }, i) => reportOf(centre, statuses[i], leader))
  }
}

type Status = ReplyOf<typeof centreStatus>

function reportOf(centre: string, status: Status | undefined, leader: Status | undefined): CentreReport {
  if (!status)
    return { centre, up: false, leading: false, epoch: 0, paired: false, entries: 0, acknowledged: 0, lag: 0 }
  const { leading, epoch, paired, entries, acknowledged } = status
  const lag = leading ? entries - acknowledged : Math.max(0, (leader?.entries ?? entries) - entries)
  return { centre, up: true, leading, epoch, paired, entries, acknowledged, lag }
}
