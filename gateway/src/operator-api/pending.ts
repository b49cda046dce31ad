/** Acts that one person began and that wait for a second one: what is carried out is what the first one gave. */
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, checker, Type } from '@azukari/protocol/contract'
import { Problem } from '@azukari/protocol/problem'
import type { SitePorts } from '../site-folder.ts'
import type { Database } from '../storage/database.ts'
import { insertRow } from '../storage/insert.ts'
import { type Call, checkCall } from './wire.ts'

/** How long an act waits. */
export const pendingMs = 24 * 3_600_000
const maxPending = 1_000
const maxPendingBytes = 1 << 20

/** A call with the bytes of its files. */
export interface Begun {
  call: Call
  files: ReadonlyMap<string, Uint8Array>
}

export interface PendingAct {
  id: string
  operator: string
  begun: Begun
  expiresMs: number
}

interface Row {
  id: string
  operator: string
  call: Uint8Array
  expires_ms: number
}

const checkKept = checker(
  Type.Object({ call: Type.Unknown(), files: Type.Record(Type.String(), Bytes(0, maxPendingBytes)) }),
  'pending act',
)

export class PendingActs {
  readonly #database: Database
  readonly #ports: Pick<SitePorts, 'clock' | 'random'>

  constructor(database: Database, ports: Pick<SitePorts, 'clock' | 'random'>) {
    this.#database = database
    this.#ports = ports
  }

  /** Keeps an act and gives its number. @throws {Problem} `quota.exceeded`, `message.too-large` */
  async add(operator: string, { call: { token: _, ...call }, files }: Begun, digest: Uint8Array): Promise<string> {
    const kept = encodeDeterministic({ call, files: Object.fromEntries(files) })
    if (kept.length > maxPendingBytes) throw new Problem('message.too-large', `${kept.length} bytes`)
    const id = Buffer.from(this.#ports.random.bytes(8)).toString('hex')
    const now = this.#ports.clock.now()
    await this.#database.transaction(async (sql) => {
      await sql.run('DELETE FROM pending_acts WHERE expires_ms <= ?', now)
      const { n } = (await sql.get<{ n: number }>('SELECT count(*) AS n FROM pending_acts'))!
      if (n >= maxPending) throw new Problem('quota.exceeded', `${n} acts wait for a second person`)
      await insertRow(sql, 'pending_acts', {
        id,
        operator,
        command: call.command,
        digest,
        call: kept,
        expires_ms: now + pendingMs,
      })
    })
    return id
  }

  async find(id: string): Promise<PendingAct | undefined> {
    const now = this.#ports.clock.now()
    const row = await this.#database.get<Row>('SELECT * FROM pending_acts WHERE id = ? AND expires_ms > ?', id, now)
    return row && openRow(row)
  }

  /** Those that have not expired, oldest first. */
  async list(): Promise<PendingAct[]> {
    const now = this.#ports.clock.now()
    const rows = await this.#database.all<Row>(
      'SELECT * FROM pending_acts WHERE expires_ms > ? ORDER BY expires_ms',
      now,
    )
    return rows.map(openRow)
  }

  /** Takes an act out. Of two who ask at once, one gets true. */
  async take(id: string): Promise<boolean> {
    const now = this.#ports.clock.now()
    const { changes } = await this.#database.run('DELETE FROM pending_acts WHERE id = ? AND expires_ms > ?', id, now)
    return changes > 0
  }
}

function openRow({ id, operator, call: kept, expires_ms: expiresMs }: Row): PendingAct {
  const { call, files } = checkKept(decode(kept, { maxBytes: maxPendingBytes }))
  return { id, operator, begun: { call: checkCall(call), files: new Map(Object.entries(files)) }, expiresMs }
}
