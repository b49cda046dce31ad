/** Statements' pages for members' devices (S13): sealed for the member, kept until the device has fetched them. */
import { statementPage, statementPageDomain } from '@azukari/protocol/contracts/settlement-billing'
import { encryptTo, sign1 } from '@azukari/protocol/cose'
import { hashBytes } from '@azukari/protocol/download'
import type { ContentSource } from '../../../service/offers.ts'
import type { Sql } from '../../../storage/database.ts'
import { memberKeys, members } from '../members/registers.ts'
import { agreementOf, type ServiceContext, type Within } from '../service-context.ts'
import type { Document } from './store.ts'

export const pageTables = `
CREATE TABLE pages (id BLOB PRIMARY KEY, sealed BLOB NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE INDEX pages_by_time ON pages (at);
`

/** How long a device may take to fetch a page. The document itself stays. */
const lifeMs = 90 * 86_400_000

/** Sends a page to the device where the member was last seen. Nothing when no key is active: nobody could open it. */
export async function sendPage(
  shared: ServiceContext,
  { sql, nowMs, offer }: Within,
  document: Document,
): Promise<void> {
  if (!document.member) return
  const key = await memberKeys.activeOf(sql, document.member)
  const member = await members.get(sql, document.member)
  if (!key || !member) return
  const signed = sign1(document.content, shared.signer, statementPageDomain)
  const sealed = encryptTo(agreementOf(key), signed, statementPageDomain, shared.random)
  await sql.run('DELETE FROM pages WHERE at <= ?', nowMs - lifeMs)
  await sql.run(
    'INSERT INTO pages (id, sealed, at) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed, at = excluded.at',
    document.id,
    sealed,
    nowMs,
  )
  await offer(member.device, {
    kind: statementPage,
    name: document.name,
    mediaType: document.media,
    reference: document.id,
    hashes: hashBytes(sealed),
    lifeMs,
  })
}

/** Where devices' pages are read from. */
export function pageSource(sql: Sql): ContentSource {
  return async (_kind, reference) => {
    const row = await sql.get<{ sealed: Uint8Array }>('SELECT sealed FROM pages WHERE id = ?', reference)
    return row && (async (at, length) => row.sealed.subarray(at, at + length))
  }
}
