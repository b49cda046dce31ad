/**
 * Settlement in two processes on one PostgreSQL (P5, P9, D4, D5): processes and the server are killed during payments and top-ups
 * by card. `AZUKARI_SEVERAL_PAYMENTS` and `AZUKARI_SEVERAL_SEED` make another run of it.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Stores } from '@azukari/gateway/adapters/stores'
import { systemPorts } from '@azukari/gateway/adapters/system-ports'
import { apartClient } from '@azukari/gateway/host/apart'
import { remoteService } from '@azukari/gateway/service/remote'
import type { ServiceReply, ServiceRequest } from '@azukari/gateway/service/service'
import { sealSettlementKeys } from '@azukari/gateway/services/settlement/keystore'
import { audit } from '@azukari/gateway/services/settlement/ledger/audit'
import { SiteFolder } from '@azukari/gateway/site-folder'
import { putOnPostgres } from '@azukari/gateway/test-database'
import { freePort } from '@azukari/protocol/adapters/free-port'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { instructPayment, placeOrder, putOffer } from '@azukari/protocol/contracts/settlement-purchase'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import t, { type Test } from 'tap'
import { quietLog } from '../../testkit/log.ts'
import { startPostgres } from '../../testkit/postgres.ts'
import type { CompanyTotals } from '../../testkit/settlement/card-company-books.ts'
import { type FixtureMember, SettlementFixture, seeded } from '../../testkit/settlement/fixture.ts'
import { type Running, startGatewayCommand } from '../processes.ts'

const payments = Number(process.env['AZUKARI_SEVERAL_PAYMENTS'] ?? 300)
const seed = Number(process.env['AZUKARI_SEVERAL_SEED'] ?? 1)
const buyers = 8
const kills = Math.max(6, Math.floor(payments / 60))
const [price, cash, byCard] = [10, 100_000, 700]

t.setTimeout(600_000 + payments * 1_000)

/** Members with money, made in this process before the others begin. */
async function membersOf(
  folder: string,
): Promise<{ fixture: SettlementFixture; shop: FixtureMember; by: FixtureMember[] }> {
  const stores = Stores.of(folder)
  const database = await stores.open('settlement/settlement.db')
  const fixture = new SettlementFixture({ seed, database, at: new Date().toISOString() })
  await fixture.start()
  const shop = await fixture.enrol('shop')
  const item = { item: 'x', name: 'x', kind: 'digital' as const, price, currency: 'JPY' as const, tax: 10 as const }
  await fixture.act(putOffer, { offer: shop.pay.offer([item]) }, shop.device)
  const by: FixtureMember[] = []
  for (let i = 0; i < buyers; i++) {
    const buyer = await fixture.enrol()
    const request = buyer.pay.topUp('cash', { minor: cash, currency: 'JPY' })
    const { payment } = await fixture.act(requestValue, { request }, buyer.device)
    for (const clerk of ['a', 'b']) await fixture.settlement.cash.count(payment, clerk, cash, 'R')
    by.push(buyer)
  }
  await fixture.settlement.stop()
  await stores.close()
  writeFileSync(`${folder}/settlement/passphrase`, 'open sesame', { mode: 0o600 })
  writeFileSync(`${folder}/settlement/keystore.cose`, sealSettlementKeys(fixture.keys, 'open sesame', fixture.random))
  return { fixture, shop, by }
}

async function cardCompany(t: Test) {
  const child = fork(fileURLToPath(new URL('../../testkit/settlement/card-company-process.ts', import.meta.url)))
  t.teardown(() => child.disconnect())
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    lose: (answers: number) => child.send({ fault: 'lost', answers }),
    totals: async () => (await (await fetch(`${url}/`)).json()) as CompanyTotals,
  }
}

t.test(
  `P5 P9 D4 D5: two processes, ${payments} payments, ${kills} kills, seed ${seed}: nothing lost, nothing twice`,
  async (t) => {
    const chance = seeded(seed)
    const folder = mkdtempSync(join(tmpdir(), 'azukari-several-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const cluster = await startPostgres()
    t.teardown(() => cluster[Symbol.asyncDispose]())
    process.env['AZUKARI_TEST_POSTGRES'] = cluster.url
    await putOnPostgres(folder)
    writeFileSync(`${folder}/site.pub`, coseKey(publicOf(generateKey('ed25519', chance))))
    mkdirSync(`${folder}/settlement`)
    const company = await cardCompany(t)
    writeFileSync(`${folder}/settlement.json`, JSON.stringify({ cardCompany: { url: company.url, key: 'k' } }))
    const { fixture, shop, by } = await membersOf(folder)

    const ports = [await freePort(), await freePort()]
    const running: (Running | undefined)[] = []
    t.teardown(() => Promise.all(running.map((one) => one?.stop())))
    const start = async (at: number) => {
      running[at] = await startGatewayCommand(
        ['settlement', '--folder', folder, '--port', String(ports[at]), '--placement', 'https://127.0.0.1:1'],
        { logFile: `${folder}/process-${at}.log`, limitMs: 60_000 },
      )
    }
    await Promise.all([start(0), start(1)])
    const tls = await new SiteFolder(folder, 'site', systemPorts).keyring.identity('gateway', 'gateway')
    const urls = ports.map((port) => `https://127.0.0.1:${port}`)
    const { clock } = systemPorts
    const service = remoteService({
      name: 'settlement',
      client: apartClient('settlement', urls.join(','), tls, clock),
      clock,
      log: quietLog,
    })
    const each = urls.map((url) =>
      remoteService({ name: 'settlement', client: apartClient('settlement', url, tls, clock), clock, log: quietLog }),
    )
    t.teardown(() => Promise.all([service, ...each].map((one) => one.stop())))

    /** As a device does: one after the other in its stream, again and again until there is an answer. */
    const streams = new Map<string, { stream: Uint8Array; seq: number }>()
    let again = 0
    const answered = async (request: ServiceRequest, on = service): Promise<ServiceReply> => {
      for (;;) {
        const reply = await on.handle(request)
        if (reply.problem?.retry !== 'later') return reply
        again++
        await setTimeout(50)
      }
    }
    const send = async <C extends Contract>(contract: C, body: RequestOf<C>, device: string): Promise<ReplyOf<C>> => {
      const place = streams.get(device) ?? { stream: chance.bytes(16), seq: 1 }
      streams.set(device, place)
      const request: ServiceRequest = {
        caller: { device, region: 'JP-13', roles: ['terminal'] },
        contract: contract.id,
        id: chance.bytes(16),
        atMs: fixture.clock.now(),
        body,
        act: { ...place },
      }
      const reply = await answered(request)
      if (reply.problem) throw new Error(`${contract.id}: ${reply.problem.code} ${reply.problem.detail ?? ''}`)
      place.seq++
      // An outbox that lost the answer sends it again, to whichever process.
      if (chance.float() < 0.1)
        t.same(await answered(request, each[chance.float() < 0.5 ? 0 : 1]!), reply, 'the same answer')
      return contract.checkReply(reply.body) as ReplyOf<C>
    }

    const paid: string[] = []
    const topUps: string[] = []
    let begun = 0
    const buy = async (buyer: FixtureMember) => {
      while (begun < payments) {
        const n = ++begun
        const order = buyer.pay.order(shop.number, [{ item: 'x', count: 1 }])
        const { transaction, total } = await send(placeOrder, { order }, buyer.device)
        await send(
          instructPayment,
          { instruction: buyer.pay.instruction(transaction, shop.number, total) },
          buyer.device,
        )
        paid.push(transaction)
        if (n % 20 > 0) continue
        const request = buyer.pay.topUp('credit', { minor: byCard, currency: 'JPY' }, `tok-good-${n}`)
        topUps.push((await send(requestValue, { request }, buyer.device)).payment)
      }
    }

    const victims: string[] = []
    const killer = async () => {
      for (let kill = 1; kill <= kills; kill++) {
        const from = Math.floor((payments * kill) / (kills + 1))
        while (paid.length < from) await setTimeout(5)
        const victim = kill === 2 ? 2 : kill <= 4 ? kill % 2 : Math.floor(chance.float() * 3)
        const awayMs = chance.float() * 400
        victims.push(['the first', 'the second', 'PostgreSQL'][victim]!)
        company.lose(2)
        if (victim === 2) {
          await cluster.kill(chance.float() < 0.5 ? 'SIGKILL' : 'SIGQUIT')
          await setTimeout(awayMs)
          await cluster.start()
        } else {
          await running[victim]!.kill()
          await setTimeout(awayMs)
          await start(victim)
        }
      }
    }
    const begunMs = performance.now()
    await Promise.all([killer(), ...by.map(buy)])
    const seconds = (performance.now() - begunMs) / 1_000

    const stores = Stores.of(folder)
    const database = await stores.openAlone('settlement/settlement.db')
    t.teardown(() => database.close())
    // The slow work ends too, whoever does it now.
    const open = async () =>
      (await database.get<{ n: number }>(`SELECT count(*) AS n FROM top_ups WHERE next IS NOT NULL`))!.n
    for (const untilMs = performance.now() + 120_000; (await open()) > 0 && performance.now() < untilMs; )
      await setTimeout(100)
    t.equal(await open(), 0, 'every top-up by card is decided')
    const { epoch } = (await database.get<{ epoch: number }>(`SELECT epoch FROM store_lease WHERE name = 'work'`))!
    for (const one of running) await one!.stop()

    t.equal(paid.length, payments)
    const { findings } = await audit(database)
    t.same(findings, [], 'the audit is clean')
    for (const number of paid)
      t.match(await database.get('SELECT state, paid FROM orders WHERE number = ?', number), { paid: price }, number)
    const purchases = await database.get<{ n: number }>(
      `SELECT count(*) AS n FROM ledger_postings WHERE reason = 'purchase'`,
    )
    t.equal(purchases!.n, payments, 'each was booked once')
    const value = await database.get<{ sum: number }>(
      `SELECT sum(credits_posted - debits_posted) AS sum FROM ledger_accounts WHERE code LIKE 'value/%'`,
    )
    t.equal(value!.sum, buyers * cash + topUps.length * byCard - payments * price)
    const totals = await company.totals()
    t.match(totals, { captured: topUps.length * byCard, authorisations: topUps.length, open: 0 }, 'nobody paid twice')
    t.ok(epoch > 1, `slow work changed hands: epoch ${epoch}`)
    t.comment(
      `${payments} payments in ${seconds.toFixed(1)} s, ${topUps.length} top-ups by card, ${victims.length} kills (${victims.join(', ')}), ${again} acts sent again, epoch ${epoch}`,
    )
  },
)
