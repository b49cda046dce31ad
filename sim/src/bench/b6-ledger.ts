/**
 * B6: the ledger's durable transfers beside raw inserts of the same rows into the same tables without any rule, and signed
 * payments through settlement's own host beside the machine's rate of checking signatures. Full sync everywhere, several
 * rounds in turn.
 */
import { createPublicKey, sign, verify } from 'node:crypto'
import { CheckPool } from '@azukari/gateway/adapters/check-pool'
import { openDatabase } from '@azukari/gateway/adapters/database'
import { Ledger } from '@azukari/gateway/services/settlement/ledger/ledger'
import type { Posting } from '@azukari/gateway/services/settlement/ledger/model'
import { settlementMigrations } from '@azukari/gateway/services/settlement/migrations'
import type { Database } from '@azukari/gateway/storage/database'
import { migrate } from '@azukari/gateway/storage/migrate'
import { instructPayment, placeOrder, putOffer } from '@azukari/protocol/contracts/settlement-purchase'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import { InternalError } from '@azukari/protocol/problem'
import { quietLog } from '../testkit/log.ts'
import { type FixtureMember, SettlementFixture, seeded } from '../testkit/settlement/fixture.ts'
import { type BenchContext, median, microsecondsSince, type Row, rounded, spread } from './row.ts'

const accounts = 1_000
const batch = 500

export async function run({ quick, folder, tell }: BenchContext): Promise<Row[]> {
  const rounds = quick ? 2 : 5
  const transfers = quick ? 5_000 : 25_000
  const own: number[] = []
  const raw: number[] = []
  const ledgerCpu: number[] = []
  const paymentCpu: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage()
    own.push(await ledgerRate(`${folder}/ledger-${round}.db`, transfers))
    ledgerCpu.push(microsecondsSince(before) / transfers)
    raw.push(await rawRate(`${folder}/raw-${round}.db`, transfers))
    tell(`ledger ${own.at(-1)!.toFixed(0)}/s, raw ${raw.at(-1)!.toFixed(0)}/s`)
  }
  const paid: number[] = []
  const checked: number[] = []
  const desk = await Payments.open(`${folder}/payments.db`)
  // Once before it counts: a service runs for months, and its code is compiled in the first second.
  await desk.rate(quick ? 60 : 400)
  for (let round = 0; round < rounds; round++) {
    paid.push(await desk.rate(quick ? 60 : 400))
    paymentCpu.push(desk.cpuEach)
    checked.push(verifyRate())
    tell(`payments ${paid.at(-1)!.toFixed(0)}/s, signature checks ${checked.at(-1)!.toFixed(0)}/s`)
  }
  await desk.close()
  const paidRatio = median(paid.map((rate, i) => rate / checked[i]!))
  const ratio = median(own.map((rate, i) => rate / raw[i]!))
  return [
    {
      row: 'B6',
      what: `durable transfers in batches of ${batch}, ${accounts} accounts`,
      unit: 'transfers/s',
      value: Math.round(median(own)),
      peer: Math.round(median(raw)),
      ratio: rounded(ratio),
      target: '≥ 0.6 of raw inserts',
      met: ratio >= 0.6,
      note: `raw inserts of the same rows, full sync; ledger ${spread(own)}, raw ${spread(raw)}; processor time of a transfer ${spread(ledgerCpu, 1)} µs; audited afterwards`,
    },
    {
      row: 'B6',
      what: 'signed payments end to end in the service',
      unit: 'payments/s',
      value: Math.round(median(paid)),
      peer: Math.round(median(checked)),
      ratio: rounded(paidRatio, 3),
      target: '≥ 0.5 of one thread’s signature checks',
      met: paidRatio >= 0.5,
      note: `payments ${spread(paid)}, checks ${spread(checked)}; processor time of one ${spread(paymentCpu)} µs; a payment opens a sealed message, checks its signature, posts, signs a receipt and seals two answers`,
    },
  ]
}

async function open(path: string): Promise<Database> {
  const database = openDatabase(path)
  await migrate(database, [{ set: 'settlement', migrations: settlementMigrations }], 0)
  const ledger = new Ledger(database)
  await database.transaction(async () => {
    await ledger.open({ code: 'bank', currency: 'JPY', side: 'debit', overdraft: true })
    for (let i = 0; i < accounts; i++) await ledger.open({ code: `value/${i}`, currency: 'JPY', side: 'credit' })
  })
  return database
}

function idOf(n: number): Uint8Array {
  const id = Buffer.alloc(16)
  id.writeUInt32BE(Math.imul(n, 2_654_435_761) >>> 0, 0)
  id.writeUInt32BE(n, 12)
  return new Uint8Array(id)
}

async function ledgerRate(path: string, transfers: number): Promise<number> {
  const database = await open(path)
  const ledger = new Ledger(database)
  const postings = Array.from({ length: transfers }, (_, n): Posting => {
    const [debit, credit] =
      n < accounts ? ['bank', `value/${n}`] : [`value/${n % accounts}`, `value/${(n * 7 + 1) % accounts}`]
    return {
      id: idOf(n),
      reason: 'bench',
      reference: String(n),
      legs: [{ kind: 'post', debit, credit, amountMinor: n < accounts ? 1_000n : 1n }],
    }
  })
  const began = performance.now()
  for (let at = 0; at < transfers; at += batch)
    await database.transaction(async () => {
      const failed = (await ledger.postAll(postings.slice(at, at + batch), at)).find(
        (outcome) => outcome instanceof Error,
      )
      if (failed) throw failed
    })
  const seconds = (performance.now() - began) / 1000
  const done = (await database.get<{ n: number }>('SELECT count(*) AS n FROM ledger_postings'))!.n
  const [total] = await ledger.trialBalance()
  if (done !== transfers || total!.debitsMinor !== total!.creditsMinor)
    throw new InternalError('the ledger did not do it all')
  await database.close()
  return transfers / seconds
}

/** The same rows into the same tables, keys and indexes, with nothing decided. */
async function rawRate(path: string, transfers: number): Promise<number> {
  const database = await open(path)
  const content = new Uint8Array(32)
  const began = performance.now()
  for (let at = 0; at < transfers; at += batch)
    await database.transaction(async (sql) => {
      for (let n = at; n < Math.min(transfers, at + batch); n++) {
        await sql.run(
          'INSERT INTO ledger_postings (seq, id, reason, reference, at, epoch, content, chain) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
          n + 1,
          idOf(n),
          'bench',
          String(n),
          at,
          1,
          content,
          content,
        )
        await sql.run(
          'INSERT INTO ledger_legs (posting, n, kind, debit, credit, amount, hold, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
          n + 1,
          0,
          'post',
          (n % accounts) + 1,
          ((n * 7 + 1) % accounts) + 1,
          1n,
          null,
          null,
        )
      }
    })
  const seconds = (performance.now() - began) / 1000
  await database.close()
  return transfers / seconds
}

/** A shop and twenty buyers at a real service; every payment is ordered and signed before the time is taken. */
class Payments {
  readonly #fixture: SettlementFixture
  #shop!: FixtureMember
  readonly #buyers: FixtureMember[] = []
  readonly #random = seeded(6)
  #lanes = 0
  /** Processor time of a payment in the last round, µs. */
  cpuEach = 0

  private constructor(fixture: SettlementFixture) {
    this.#fixture = fixture
  }

  static async open(path: string): Promise<Payments> {
    const fixture = new SettlementFixture({
      database: openDatabase(path),
      more: (keys) => ({ checks: new CheckPool({ agreement: keys.agreement, log: quietLog }) }),
    })
    await fixture.start()
    const payments = new Payments(fixture)
    const shop = await fixture.enrol('shop')
    const item = { item: 'x', name: 'x', kind: 'digital' as const, price: 10, currency: 'JPY' as const }
    await fixture.act(putOffer, { offer: shop.pay.offer([{ ...item, tax: 10 }]) }, shop.device)
    for (let i = 0; i < 20; i++) {
      const buyer = await fixture.enrol()
      const { payment } = await fixture.act(
        requestValue,
        { request: buyer.pay.topUp('cash', { minor: 100_000, currency: 'JPY' }) },
        buyer.device,
      )
      for (const clerk of ['a', 'b']) await fixture.settlement.cash.count(payment, clerk, 100_000, 'R')
      payments.#buyers.push(buyer)
    }
    payments.#shop = shop
    return payments
  }

  /** Payments per second when `count` come at once. */
  async rate(count: number): Promise<number> {
    const fixture = this.#fixture
    const shop = this.#shop
    const ready: { device: string; instruction: Uint8Array }[] = []
    for (let n = 0; n < count; n++) {
      const buyer = this.#buyers[n % this.#buyers.length]!
      const order = buyer.pay.order(shop.number, [{ item: 'x', count: 1 }])
      const { transaction, total } = await fixture.act(placeOrder, { order }, buyer.device)
      const instruction = buyer.pay.instruction(transaction, shop.number, total)
      ready.push({ device: `lane-${this.#lanes++}`, instruction })
    }
    // Each lane is a stream of its own with one act, so that all may be under way at once, as from many terminals.
    const requests = ready.map(({ device, instruction }) => ({
      caller: { device, region: 'JP-13', roles: ['terminal'] },
      contract: instructPayment.id,
      id: this.#random.bytes(16),
      atMs: fixture.clock.now(),
      body: { instruction },
      act: { stream: this.#random.bytes(16), seq: 1 },
    }))
    const before = process.cpuUsage()
    const began = performance.now()
    const replies = await Promise.all(requests.map((request) => fixture.settlement.handle(request)))
    const seconds = (performance.now() - began) / 1000
    this.cpuEach = microsecondsSince(before) / count
    const failed = replies.find(({ problem }) => problem)
    if (failed) throw new InternalError(`a payment failed: ${failed.problem!.code}`)
    return count / seconds
  }

  /** Audits what was done. */
  async close(): Promise<void> {
    if ((await this.#fixture.settlement.audit()).findings.length > 0)
      throw new InternalError('the audit found something')
    await this.#fixture.settlement.stop()
  }
}

/** Ed25519 checks per second of one thread, over messages of the size of an instruction. */
function verifyRate(): number {
  const { signing } = new SettlementFixture().newKeys()
  const message = new Uint8Array(400)
  const signature = sign(null, message, signing)
  const key = createPublicKey(signing)
  const rounds = 5_000
  const began = performance.now()
  for (let i = 0; i < rounds; i++)
    if (!verify(null, message, key, signature)) throw new InternalError('a signature failed')
  return rounds / ((performance.now() - began) / 1000)
}
