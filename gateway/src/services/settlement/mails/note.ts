/** That there is something to write of. */
import type { ServiceContext, Within } from '../service-context.ts'
import { isWrittenOf } from './letters.ts'
import { mailAddresses, mails } from './tables.ts'

/** Writes down that a member is to be written to, in the very transaction in which there is something to write of. */
export async function noteMail(
  shared: ServiceContext,
  within: Within,
  member: Uint8Array,
  what: string,
): Promise<void> {
  if (!shared.onMail || !isWrittenOf(what)) return
  if (await mailAddresses.get(within.sql, member)) await addMail(shared, within, member, what)
}

export async function addMail(
  { random, onMail }: ServiceContext,
  { sql, nowMs, afterCommit }: Within,
  member: Uint8Array,
  what: string,
): Promise<void> {
  await mails.add(sql, { id: random.bytes(16), member, what }, nowMs)
  if (onMail) afterCommit(onMail)
}
