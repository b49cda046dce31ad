/** Letters as clerks are shown them: what waits, and who is not reached. */
import type { ReplyOf } from '@azukari/protocol/contract'
import type { listMails } from '@azukari/protocol/contracts/settlement-mail'
import type { Sql } from '../../../storage/database.ts'
import { mailAddresses, mails } from './tables.ts'

const shownMost = 1_000

export async function mailReport(sql: Sql): Promise<ReplyOf<typeof listMails>> {
  const waiting = await mails.waiting(sql, shownMost)
  const refused = await mails.refusals(sql, shownMost)
  return {
    members: await mailAddresses.count(sql),
    waiting: waiting.map(({ at: sinceMs, trouble, ...mail }) =>
      trouble === null ? { ...mail, sinceMs } : { ...mail, sinceMs, trouble },
    ),
    refused: refused.map(({ number, refused: why, refused_at: atMs }) => ({ number, why, atMs })),
  }
}
