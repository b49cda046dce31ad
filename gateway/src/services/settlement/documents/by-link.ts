/** Statements, receipts and letters by a signed link (P9, S13): a browser and nothing else is needed. */
import { createHash } from 'node:crypto'
import type { Contract } from '@azukari/protocol/contract'
import { openDocument } from '@azukari/protocol/contracts/settlement-shop'
import { Problem } from '@azukari/protocol/problem'
import { signLink } from '../../../service/links.ts'
import { type Handler, linkCall } from '../../../service/service.ts'
import type { ServiceContext } from '../service-context.ts'
import { type Document, readDocument } from './store.ts'

export function documentHandlers(shared: ServiceContext): Handler[] {
  return [
    linkCall(openDocument, async ({ document: id, from, count }) => {
      const document = await linkable(shared, new Uint8Array(Buffer.from(id, 'hex')))
      const { content, media: mediaType, name } = document
      const version = createHash('sha256').update(content).digest('hex').slice(0, 32)
      return { sizeBytes: content.length, mediaType, name, version, bytes: content.slice(from, from + count) }
    }),
  ]
}

/**
 * The path and query under which a document can be fetched.
 * @param subject for whom it is made
 * @throws {Problem} `object.unknown`, `config.invalid` for a file for the bank
 */
export async function documentLink(
  shared: ServiceContext,
  id: Uint8Array,
  { subject, lifeMs }: { subject: string; lifeMs: number },
): Promise<string> {
  await linkable(shared, id)
  const fields = { document: Buffer.from(id).toString('hex') }
  const contract: Contract = openDocument
  return signLink(contract, { fields, subject, lifeMs }, shared.clock.now(), shared)
}

/** @throws {Problem} `object.unknown`; files for the bank leave with settlement release, and by no link */
async function linkable(shared: ServiceContext, id: Uint8Array): Promise<Document> {
  const document = await readDocument(shared, shared.store.sql, id)
  if (!document || document.kind === 'payout-file' || document.kind === 'debit-file')
    throw new Problem('object.unknown', 'no such document')
  return document
}
