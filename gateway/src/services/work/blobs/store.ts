/** Modules, inputs and outputs by their hash: each once, in parts, in the database, so that they stand or fall with their job. */
import { createHash } from 'node:crypto'
import { type ContentHashes, hashBytes, type ReadContent } from '@azukari/protocol/download'
import type { Sql } from '../../../storage/database.ts'

const partBytes = 262_144

interface BlobRow {
  size_bytes: number
  root: Uint8Array
  leaves: Uint8Array
}

/** Keeps the bytes, and says by which hash. What is there already is not written again. */
export async function keepBlob(sql: Sql, bytes: Uint8Array): Promise<Uint8Array> {
  const hash = sha256(bytes)
  const known = await sql.get('SELECT 1 AS n FROM blobs WHERE hash = ?', hash)
  if (known) return hash
  const { sizeBytes, root, leaves } = hashBytes(bytes)
  await sql.run(
    'INSERT INTO blobs (hash, size_bytes, root, leaves) VALUES (?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING',
    hash,
    sizeBytes,
    root,
    leaves,
  )
  for (let part = 0; part * partBytes < bytes.length; part++)
    await sql.run(
      'INSERT INTO blob_parts (hash, part, bytes) VALUES (?, ?, ?) ON CONFLICT (hash, part) DO NOTHING',
      hash,
      part,
      bytes.subarray(part * partBytes, (part + 1) * partBytes),
    )
  return hash
}

/** What an offer says of it; undefined when it is not here. */
export async function blobHashes(sql: Sql, hash: Uint8Array): Promise<ContentHashes | undefined> {
  const row = await sql.get<BlobRow>('SELECT size_bytes, root, leaves FROM blobs WHERE hash = ?', hash)
  return row && { sizeBytes: row.size_bytes, root: row.root, leaves: row.leaves }
}

/** Reads from any place of it; undefined when it is not here. */
export async function blobSource(sql: Sql, hash: Uint8Array): Promise<ReadContent | undefined> {
  if (!(await blobHashes(sql, hash))) return undefined
  return async (at, length) => {
    const [first, last] = [Math.floor(at / partBytes), Math.floor((at + length - 1) / partBytes)]
    const rows = await sql.all<{ bytes: Uint8Array }>(
      'SELECT bytes FROM blob_parts WHERE hash = ? AND part >= ? AND part <= ? ORDER BY part',
      hash,
      first,
      last,
    )
    const start = at - first * partBytes
    return Buffer.concat(rows.map(({ bytes }) => bytes)).subarray(start, start + length)
  }
}

/** All of it; nothing when it is not here. */
export async function wholeBlob(sql: Sql, hash: Uint8Array): Promise<Uint8Array> {
  const rows = await sql.all<{ bytes: Uint8Array }>('SELECT bytes FROM blob_parts WHERE hash = ? ORDER BY part', hash)
  return Buffer.concat(rows.map(({ bytes }) => bytes))
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}
