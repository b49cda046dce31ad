/** What a board tells the site of itself (D6, S17): regularly, soon after something changed, and all of it when an operator asks. */
import { reportState } from '@azukari/protocol/contracts/fleet'
import type { Clock, Files } from '@azukari/protocol/ports'
import type { SlotStore } from '@azukari/protocol/upgrade/slot-store'
import type { KnownTime } from './known-time.ts'
import type { Link } from './link.ts'
import type { Outbox } from './outbox.ts'
import type { PartWatch } from './part-watch.ts'

export interface StateReportOptions {
  link: Link
  outbox: Outbox
  watch: PartWatch
  time: KnownTime
  /** The machine's own clock. */
  clock: Clock
  files: Files
  folder: string
  /** How often at least, ms, as the site wishes it now. */
  reportMs: () => number
  slots: SlotStore | undefined
  /** What the board is, and how it does. */
  about: () => Readonly<Record<string, unknown>>
}

/** Between two reports, also when parts come and go all the time. */
const newsMs = 5_000

export class StateReport {
  readonly #o: StateReportOptions
  #news = Promise.withResolvers<void>()

  constructor(options: StateReportOptions) {
    this.#o = options
  }

  /** Something has changed. */
  soon(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, reportMs } = this.#o
    signal.addEventListener('abort', () => this.#news.resolve(), { once: true })
    while (!signal.aborted) {
      const news = this.#news.promise
      const isTold = await this.#tell(signal)
      // What happens to a part is told soon, and not more often than the site can use.
      await clock.sleep(newsMs, signal).catch(() => undefined)
      if (!isTold) continue
      const { promise, resolve } = Promise.withResolvers<void>()
      using _rest = clock.timer(reportMs() - newsMs, resolve)
      await Promise.race([promise, news])
    }
  }

  /** @returns false when it is to be tried again soon; without a line there is nothing to try */
  async #tell(signal: AbortSignal): Promise<boolean> {
    const { link, time, watch, outbox } = this.#o
    if (!link.up) return true
    await time.learn(link.siteNow())
    await watch.ask(signal)
    const { rows, bytes } = await outbox.waiting()
    const parts = watch.report(time.now())
    return link.call(reportState, { parts, outboxRows: rows, outboxBytes: bytes }, { signal }).then(
      () => true,
      () => false,
    )
  }

  /** What an operator wants to know of a board far away: no secret, nothing of a member. */
  async examination(): Promise<Record<string, unknown>> {
    const { clock, files, folder, link, outbox, slots, time, watch, about } = this.#o
    const { rows, bytes } = await outbox.waiting()
    return {
      ...about(),
      atMs: clock.now(),
      link: link.state,
      aheadMs: link.siteNow() - clock.now(),
      outbox: { rows, bytes },
      freeBytes: await files.freeBytes(folder),
      parts: watch.report(time.now()),
      slots: slots && slotsForPeople(await slots.read()),
    }
  }
}

function slotsForPeople({ active, floor, attempt, last }: Awaited<ReturnType<SlotStore['read']>>) {
  return { active, floor, attempt: attempt && { slot: attempt.slot, phase: attempt.phase, tries: attempt.tries }, last }
}
