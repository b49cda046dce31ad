/** Documents for people, banks and files (P1, P7, S13): sealed in the database until they are printed or handed over. */
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { atRestKey } from '../keystore.ts'
import type { ServiceContext } from '../service-context.ts'

export type DocumentKind =
  | 'letter'
  | 'statement'
  | 'credit-note'
  | 'decision'
  | 'receipt'
  | 'payout-file'
  | 'debit-file'
  | 'dunning'

export interface Document {
  id: Uint8Array
  kind: DocumentKind
  member: Uint8Array | null
  /** A file name. */
  name: string
  media: string
  at: number
  content: Uint8Array
}

const domain = new TextEncoder().encode('azukari/settlement-document/1')

/** Keeps a document; the same id again is the same document. */
export async function keepDocument(shared: ServiceContext, sql: Sql, document: Document): Promise<void> {
  if (await sql.get('SELECT 1 AS there FROM documents WHERE id = ?', document.id)) return
  const content = encrypt0(document.content, atRestKey(shared.keys, 'document'), shared.random.bytes(12), domain)
  await insertRow(sql, 'documents', { ...document, content })
}

export async function readDocument(shared: ServiceContext, sql: Sql, id: Uint8Array): Promise<Document | undefined> {
  const row = await sql.get<Document>('SELECT * FROM documents WHERE id = ?', id)
  return row && { ...row, content: decrypt0(row.content, atRestKey(shared.keys, 'document'), domain) }
}

/** Without content, oldest first. */
export async function listDocuments(
  sql: Sql,
  kind: DocumentKind | undefined,
  sinceMs: number,
  limit: number,
): Promise<Omit<Document, 'content'>[]> {
  return sql.all<Omit<Document, 'content'>>(
    `SELECT id, kind, member, name, media, at FROM documents WHERE at >= ? AND (CAST(?2 AS TEXT) IS NULL OR kind = ?2)
     ORDER BY at, id LIMIT ?3`,
    sinceMs,
    kind ?? null,
    limit,
  )
}
