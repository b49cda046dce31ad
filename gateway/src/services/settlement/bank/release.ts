/**
 * Files leave for the bank once (P9): the centre that leads notes the release, waits until the other centre has that on disk
 * too, and only then gives the file out, with a signed note that carries its epoch. Before the bank stands a gate that lets
 * every file through once and refuses notes of an older epoch than it has seen: a centre that was taken over and does not
 * know it yet gets nothing through.
 */
import { createHash, type KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import { BankRelease, bankReleaseDomain } from '@azukari/protocol/contracts/settlement-centre'
import { type DirectSigner, sign1, verify1 } from '@azukari/protocol/cose'
import { thumbprint } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import type { Database, Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { presentEpoch } from '../centre/epoch.ts'

export const bankReleaseTables = `
CREATE TABLE bank_out (
  document BLOB PRIMARY KEY, kind TEXT NOT NULL, epoch INTEGER NOT NULL, at INTEGER NOT NULL, released INTEGER,
  released_epoch INTEGER, times INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO bank_out (document, kind, epoch, at, released, released_epoch, times)
  SELECT id, kind, 1, at, at, 1, 1 FROM documents WHERE kind IN ('payout-file', 'debit-file');
`

/** A file that was made for the bank. */
export interface BankOutRow {
  document: Uint8Array
  kind: string
  /** Of the leadership under which it was made. */
  epoch: number
  at: number
  /** When it was given out last; null: not yet. */
  released: number | null
  released_epoch: number | null
  times: number
}

/** Notes a file for the bank, in the transaction that books what is in it. */
export async function enterBankFile(sql: Sql, nowMs: number, document: Uint8Array, kind: string): Promise<void> {
  await insertRow(sql, 'bank_out', { document, kind, epoch: await presentEpoch(sql), at: nowMs })
}

/** Files that were not given out, oldest first. */
export async function bankFilesWaiting(sql: Sql, limit: number): Promise<BankOutRow[]> {
  return sql.all<BankOutRow>('SELECT * FROM bank_out WHERE released IS NULL ORDER BY at LIMIT ?', limit)
}

/**
 * Notes the release. What comes after it must wait until it is acknowledged.
 * @param again it was given out before, and may not have reached the bank: the gate tells
 * @returns the epoch that its note carries
 * @throws {Problem} `object.unknown`, `bank.released`
 */
export async function noteRelease(sql: Sql, nowMs: number, document: Uint8Array, again: boolean): Promise<number> {
  const row = await sql.get<BankOutRow>('SELECT * FROM bank_out WHERE document = ?', document)
  if (!row) throw new Problem('object.unknown', 'no such file for the bank')
  if (row.released !== null && !again) throw new Problem('bank.released')
  const epoch = await presentEpoch(sql)
  await sql.run(
    'UPDATE bank_out SET released = ?, released_epoch = ?, times = times + 1 WHERE document = ?',
    nowMs,
    epoch,
    document,
  )
  return epoch
}

/** The note that goes with a file, COSE_Sign1 of a `BankRelease`. */
export function releaseNote(signer: DirectSigner, content: Uint8Array, note: Omit<BankRelease, 'sha256'>): Uint8Array {
  return sign1(
    encodeDeterministic({ ...note, sha256: sha256(content) } satisfies BankRelease),
    signer,
    bankReleaseDomain,
  )
}

const checkNote = checker(BankRelease, 'release of a bank file')

/** Stands where files go to the bank, with a small file of its own. */
export class BankGate {
  readonly #database: Database
  readonly #key: KeyObject

  private constructor(database: Database, key: KeyObject) {
    this.#database = database
    this.#key = key
  }

  /** @param key settlement's public key */
  static async open(database: Database, key: KeyObject): Promise<BankGate> {
    await database.script(`
CREATE TABLE IF NOT EXISTS gate_files (hash BLOB PRIMARY KEY, epoch INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS gate_epoch (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL) STRICT;
INSERT INTO gate_epoch (id, epoch) VALUES (1, 0) ON CONFLICT DO NOTHING;`)
    return new BankGate(database, key)
  }

  /** The newest epoch that it has seen. */
  async epoch(): Promise<number> {
    return (await this.#database.get<{ epoch: number }>('SELECT epoch FROM gate_epoch'))!.epoch
  }

  /**
   * Lets a file through, once.
   * @throws {Problem} `cose.*`, `bank.note-differs`, `centre.old-epoch`, `bank.file-known`
   */
  async admit(content: Uint8Array, note: Uint8Array, nowMs: number): Promise<BankRelease> {
    const own = thumbprint(this.#key)
    const keyFor = (kid: Uint8Array) => (Buffer.compare(kid, own) === 0 ? this.#key : undefined)
    const said = checkNote(decode(verify1(note, keyFor, bankReleaseDomain).payload))
    const hash = sha256(content)
    if (Buffer.compare(hash, said.sha256) !== 0) throw new Problem('bank.note-differs')
    return this.#database.transaction(async (sql) => {
      const epoch = (await sql.get<{ epoch: number }>('SELECT epoch FROM gate_epoch'))!.epoch
      if (said.epoch < epoch) throw new Problem('centre.old-epoch', `a file of epoch ${said.epoch} after ${epoch}`)
      if (await sql.get('SELECT 1 AS there FROM gate_files WHERE hash = ?', hash)) throw new Problem('bank.file-known')
      await sql.run('UPDATE gate_epoch SET epoch = ?', said.epoch)
      await sql.run('INSERT INTO gate_files (hash, epoch, at) VALUES (?, ?, ?)', hash, said.epoch, nowMs)
      return said
    })
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}
