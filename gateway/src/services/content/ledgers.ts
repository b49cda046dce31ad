/**
 * The two fee ledgers (C7–C9): each pulls the charging records of every data server by itself, in order, by (server, number), and takes
 * each once. A record counts when the server's own signature stands under it and it is of a delivery that content ordered there at that
 * price; any other is kept, and refused.
 */
import { sameBytes } from '@azukari/protocol/bytes'
import { type DeliveryRecord, openRecord } from '@azukari/protocol/delivery'
import { parseCoseKey } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import type { ServiceStore } from '../../service/service.ts'
import type { ServerEntry } from '../../site-folder.ts'
import type { Sql } from '../../storage/database.ts'
import { insertRow, putRow } from '../../storage/insert.ts'
import type { DataServers } from './data-servers.ts'
import type { ContentSettings } from './settings.ts'
import { type Part, type Share, site, splitOf } from './split.ts'
import { contents, deliveries } from './store.ts'

export type LedgerName = 'service' | 'content'
export const ledgerNames: readonly LedgerName[] = ['service', 'content']

/** `counted`: it waits until its delivery has ended, then for settlement. `cancelled`: reversed before anybody paid. */
export type EntryState = 'counted' | 'refused' | 'cancelled' | 'free' | 'paid'

export interface EntryRow {
  ledger: LedgerName
  server: string
  seq: number
  kind: 'charge' | 'reversal'
  state: EntryState
  delivery: Uint8Array
  content: Uint8Array
  client: Uint8Array
  provider: string
  fee: 'purchase' | 'reference'
  minor: number
  currency: string
  at: number
  record: Uint8Array
  problem: string | null
  tried: number
  /** 1 when settlement has heard of it. */
  noted: number
}

const pullAtOnce = 64

export interface LedgersOptions {
  store: ServiceStore
  servers: DataServers
  settings: ContentSettings
  log: Log
}

export class Ledgers {
  readonly #o: LedgersOptions

  constructor(options: LedgersOptions) {
    this.#o = options
  }

  /** Takes what is new at every data server, into each ledger. @returns how many records were taken */
  async pull(): Promise<number> {
    const { servers, log } = this.#o
    let taken = 0
    for (const server of await servers.all())
      for (const ledger of ledgerNames)
        try {
          for (let got = pullAtOnce; got === pullAtOnce; taken += got) got = await this.#pullFrom(server, ledger)
        } catch (error) {
          if (!isProblem(error)) throw error
          log.info('a data server’s charging records wait', { server: server.id, ledger, code: error.code })
        }
    return taken
  }

  async #pullFrom(server: ServerEntry, ledger: LedgerName): Promise<number> {
    const { servers, store } = this.#o
    const from = await nextOf(store.sql, ledger, server.id)
    const records = await servers.of(server).records(from, pullAtOnce)
    const key = parseCoseKey(new Uint8Array(Buffer.from(server.key, 'hex')))
    const opened = records.map((record, i) => ({
      record,
      said: openRecord(record, key, { server: server.id, seq: from + i }),
    }))
    await store.transaction(async ({ sql }) => {
      // Another process, or a pull that was repeated, may have taken them.
      if ((await nextOf(sql, ledger, server.id)) !== from) return
      for (const { record, said } of opened) await this.#take(sql, ledger, record, said)
      await putRow(sql, 'fee_cursors', ['ledger', 'server'], { ledger, server: server.id, next: from + records.length })
    })
    return records.length
  }

  async #take(sql: Sql, ledger: LedgerName, record: Uint8Array, said: DeliveryRecord): Promise<void> {
    const problem = await whyRefused(sql, ledger, said)
    const minor = ledger === 'service' ? said.serviceMinor : said.contentMinor
    const accepted: EntryState = minor === 0 ? 'free' : 'counted'
    const { server, seq, kind, delivery, content, client, provider, fee, currency, atMs } = said
    const of = { ledger, server, seq, kind, delivery, content, client, provider, fee, minor, currency, at: atMs }
    await insertRow(sql, 'fee_entries', {
      ...of,
      state: problem === undefined ? accepted : 'refused',
      record,
      problem: problem ?? null,
      tried: 0,
    })
    if (problem !== undefined) return
    const shares = kind === 'charge' ? await this.#sharesOf(sql, ledger, said) : []
    for (const { part, payee, minor: its } of shares)
      await insertRow(sql, 'fee_shares', { ledger, server, seq, part, payee, minor: its })
    if (kind === 'reversal') await cancel(sql, ledger, said)
  }

  async #sharesOf(sql: Sql, ledger: LedgerName, said: DeliveryRecord): Promise<Share[]> {
    const { settings } = this.#o
    const origin = (await contents.byId(sql, said.content))?.origin ?? said.server
    const tookPart = new Set<Part>(['storage', 'ledger'])
    // On a miss it was searched for; the origin took part where the bytes came from it.
    if (said.from !== said.server) tookPart.add('search')
    if (said.from === origin && said.from !== said.server) tookPart.add('origin')
    const operatorOf = (server: string) => settings.operators[server] ?? site
    const payees = { storage: operatorOf(said.server), origin: operatorOf(origin), search: site, ledger: site }
    const minor = ledger === 'service' ? said.serviceMinor : said.contentMinor
    const rest = ledger === 'service' ? site : said.provider
    return splitOf(minor, { permille: settings.permille[ledger] }, { tookPart, payees, rest })
  }
}

async function nextOf(sql: Sql, ledger: LedgerName, server: string): Promise<number> {
  const row = await sql.get<{ next: number }>(
    'SELECT next FROM fee_cursors WHERE ledger = ? AND server = ?',
    ledger,
    server,
  )
  return row?.next ?? 1
}

/** Why a record that its server did sign counts for nothing; undefined when it counts. */
async function whyRefused(sql: Sql, ledger: LedgerName, said: DeliveryRecord): Promise<string | undefined> {
  const ordered = await deliveries.byId(sql, said.delivery)
  if (!ordered || ordered.server !== said.server) return 'no such delivery was ordered there'
  const isSame =
    sameBytes(new Uint8Array(ordered.content), said.content) &&
    sameBytes(new Uint8Array(ordered.client), said.client) &&
    ordered.version === said.version &&
    ordered.service_minor === said.serviceMinor &&
    ordered.content_minor === said.contentMinor &&
    ordered.currency === said.currency
  if (!isSame) return 'another delivery than was ordered'
  const row = await contents.byId(sql, said.content)
  if (row?.provider !== said.provider) return 'another provider'
  const before = await sql.all<{ kind: string }>(
    "SELECT kind FROM fee_entries WHERE ledger = ? AND delivery = ? AND state <> 'refused'",
    ledger,
    said.delivery,
  )
  if (before.some(({ kind }) => kind === said.kind)) return 'a second one of this delivery'
  if (said.kind === 'reversal' && before.length === 0) return 'it reverses nothing'
  if (said.kind === 'reversal' && !['reversing', 'reversed'].includes(ordered.state)) return 'no reversal was ordered'
  return undefined
}

/** A charge and its reversal are worth nothing together; both stay. Nobody has paid: only what was delivered is billed. */
async function cancel(sql: Sql, ledger: LedgerName, { server, seq, delivery }: DeliveryRecord): Promise<void> {
  await sql.run(
    "UPDATE fee_entries SET state = 'cancelled' WHERE ledger = ? AND delivery = ? AND state = 'counted'",
    ledger,
    delivery,
  )
  await sql.run(
    "UPDATE fee_entries SET state = 'cancelled' WHERE ledger = ? AND server = ? AND seq = ?",
    ledger,
    server,
    seq,
  )
}
