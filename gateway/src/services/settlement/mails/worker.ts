/**
 * Sends letters to members (S13), one after another; a mail server that is away for days costs nothing but the delay. What was
 * sent and not noted is sent again under the same Message-ID.
 */
import { hex } from '@azukari/protocol/bytes'
import { isProblem } from '@azukari/protocol/problem'
import type { Mailer } from '../../../mail/mailer.ts'
import { PeriodicWorker } from '../../../service/periodic-worker.ts'
import type { Duty } from '../../../storage/database.ts'
import { members } from '../members/registers.ts'
import type { ServiceContext } from '../service-context.ts'
import { openAddress } from './choice.ts'
import { letterOf } from './letters.ts'
import { type MailRow, mailAddresses, mails } from './tables.ts'

/** Letters that one look takes into view. */
const inView = 32
/** The longest that it rests: clocks are put right, and what other processes write is seen then at the latest. */
const restMs = 600_000
/** After a failure it is tried again: from a minute on, doubling up to an hour, for so many days. */
const againFirstMs = 60_000
const againMostMs = 3_600_000
const givenUpMs = 7 * 86_400_000

export interface MailWorkerOptions {
  shared: ServiceContext
  duty: Duty
  mailer: Mailer
  /** Resolves when the backup centre has what was committed: nothing is told that could be lost with this one (P9). */
  confirmed: () => Promise<void>
}

/** The loop that sends; what there is to write of wakes it. */
export function mailWorker(options: MailWorkerOptions): PeriodicWorker {
  const { shared, duty, confirmed } = options
  const { store, clock, log } = shared

  async function round(): Promise<number> {
    await confirmed()
    const due = await mails.due(store.sql, clock.now(), inView)
    for (const mail of due) {
      if (worker.signal.aborted) return restMs
      // A mail server that is away is not asked once for every letter.
      if (!(await send(options, mail))) break
    }
    const next = await mails.next(store.sql)
    return next === undefined ? restMs : Math.min(restMs, Math.max(1, next - clock.now()))
  }

  const worker = new PeriodicWorker({ name: 'mails', clock, log, duty, idleMs: restMs, round })
  return worker
}

/** @returns false when the mail server is not there */
async function send({ shared, mailer }: MailWorkerOptions, mail: MailRow): Promise<boolean> {
  const { store, keys, rules, clock, log } = shared
  const { id, member, what } = mail
  const row = await mailAddresses.get(store.sql, member)
  const letter = letterOf(what, rules.issuer.name)
  // Who has left, or says no more, is not written to.
  const isWanted = row && letter && (await members.get(store.sql, member))?.state === 'active'
  if (!isWanted) {
    await store.transaction(({ sql }) => mails.remove(sql, id))
    return true
  }
  try {
    await mailer.send({ to: openAddress(keys, member, row.address), id: hex(id), ...letter })
  } catch (error) {
    if (!isProblem(error)) throw error
    const why = (error.detail ?? error.code).slice(0, 200)
    const isRefused = error.code === 'mail.refused'
    const isGivenUp = isRefused || clock.now() - mail.at >= givenUpMs
    log.warn('a letter to a member was not taken', { mail: hex(id), what, why: error.code, isGivenUp })
    await store.transaction(async ({ sql, nowMs }) => {
      if (isRefused) await mailAddresses.refused(sql, member, why, nowMs)
      if (isGivenUp) await mails.remove(sql, id)
      else await mails.again(sql, id, nowMs + againMs(mail.tries), why)
    })
    return isRefused
  }
  await store.transaction(async ({ sql, nowMs }) => {
    await mails.remove(sql, id)
    if (row.refused !== null) await mailAddresses.refused(sql, member, null, nowMs)
  })
  return true
}

function againMs(tries: number): number {
  return Math.min(againMostMs, againFirstMs * 2 ** Math.min(tries, 12))
}
