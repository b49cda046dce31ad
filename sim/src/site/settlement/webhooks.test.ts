/** Shops' webhooks: the real service, a real HTTP server of the shop, signatures checked by OpenSSL. */
import { execFileSync } from 'node:child_process'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { guardedFetch } from '@azukari/gateway/adapters/guarded-fetch'
import { credentialOf } from '@azukari/gateway/service/api-keys'
import { outsideCaller } from '@azukari/gateway/service/service'
import { hex } from '@azukari/protocol/bytes'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { disputeOrder, instructPayment, placeOrder, putOffer } from '@azukari/protocol/contracts/settlement-purchase'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import {
  addShopWebhook,
  listShopEvents,
  listShopWebhooks,
  readShopWebhookSecret,
  removeShopWebhook,
  testShopWebhook,
} from '@azukari/protocol/contracts/settlement-webhooks'
import { isProblem, Problem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { type FixtureMember, SettlementFixture } from '../../testkit/settlement/fixture.ts'

interface Message {
  headers: Record<string, string>
  body: string
}

/** A shop's own server. What it answers is set; it keeps what it took. */
class ShopServer {
  readonly messages: Message[] = []
  answer: (response: ServerResponse, n: number) => void = (response) => response.writeHead(204).end()
  readonly #server: Server

  constructor() {
    this.#server = createServer(async (request, response) => {
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part)
      this.messages.push({
        headers: request.headers as Record<string, string>,
        body: Buffer.concat(parts).toString('utf8'),
      })
      this.answer(response, this.messages.length)
    })
  }

  async start(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done))
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  get types(): string[] {
    return this.messages.map(({ body }) => (JSON.parse(body) as { type: string }).type)
  }
}

interface Bench {
  fixture: SettlementFixture
  server: ShopServer
  url: string
  buyer: FixtureMember
  shop: FixtureMember
  ask: <C extends Contract>(contract: C, body: RequestOf<C>, key?: string) => Promise<ReplyOf<C>>
  buy: () => Promise<string>
}

const yen = (minor: number) => ({ minor, currency: 'JPY' as const })
const scopes = ['orders', 'webhooks']

async function bench(t: Test): Promise<Bench> {
  const server = new ShopServer()
  const host = await server.start()
  const fixture = await new SettlementFixture({
    more: { webhooks: { fetch: guardedFetch, named: [host] } },
  }).start()
  t.teardown(async () => {
    await fixture.settlement.stop()
    server.stop()
  })
  const [buyer, shop] = [await fixture.enrol(), await fixture.enrol('shop')]
  const { payment } = await fixture.act(requestValue, { request: buyer.pay.topUp('cash', yen(9_000)) }, buyer.device)
  for (const clerk of ['clerk-1', 'clerk-2']) await fixture.settlement.cash.count(payment, clerk, 9_000, 'R-1')
  const item = { item: 'photo', name: '写真', kind: 'digital', price: 330, currency: 'JPY', tax: 10 } as const
  await fixture.act(putOffer, { offer: shop.pay.offer([item]) }, shop.device)
  const { key } = await fixture.settlement.shopKeys.add(shop.number, scopes, 30, 'clerk-1')
  return {
    fixture,
    server,
    url: `http://${host}/events`,
    buyer,
    shop,
    ask: async (contract, body, by = key) => {
      const https = { credential: credentialOf(by)!, path: contract.https!.path, once: hex(fixture.random.bytes(8)) }
      const request = { caller: outsideCaller, contract: contract.id, https, body }
      const reply = await fixture.settlement.handle({
        ...request,
        id: fixture.random.bytes(16),
        atMs: fixture.clock.now(),
      })
      if (reply.problem) throw Problem.fromWire(reply.problem)
      return contract.checkReply(reply.body) as ReplyOf<typeof contract>
    },
    buy: async () => {
      const order = buyer.pay.order(shop.number, [{ item: 'photo', count: 2 }])
      const { transaction, total } = await fixture.act(placeOrder, { order }, buyer.device)
      const instruction = buyer.pay.instruction(transaction, shop.number, total)
      await fixture.act(instructPayment, { instruction }, buyer.device)
      return transaction
    },
  }
}

/** As the specification says, by a program that is not ours. */
function isSigned(secret: string, { headers, body }: Message): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64').toString('hex')
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const words = ['dgst', '-sha256', '-mac', 'HMAC', '-macopt', `hexkey:${key}`, '-binary']
  return headers['webhook-signature'] === `v1,${execFileSync('openssl', words, { input: signed }).toString('base64')}`
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )
}

t.test('P6 P7: a shop hears of each order in order, signed, and reads the same as a list', async (t) => {
  const { fixture, server, url, buyer, shop, ask, buy } = await bench(t)
  const before = await buy()
  const { webhook } = await ask(addShopWebhook, { url })
  const { secret } = await ask(readShopWebhookSecret, { webhook })
  const order = await buy()
  await fixture.act(disputeOrder, { dispute: buyer.pay.dispute(order, 'blank') }, buyer.device)
  const [open] = await fixture.settlement.payouts.disputes(1)
  await fixture.settlement.payouts.decideDispute(open!.id, 'clerk-1', true)
  await fixture.settlement.webhooksIdle()

  t.same(server.types, ['order.paid', 'order.disputed', 'order.refunded', 'order.dispute-decided'])
  for (const message of server.messages) t.ok(isSigned(secret, message), 'signed')
  t.notOk(isSigned(secret, { ...server.messages[0]!, body: `${server.messages[0]!.body} ` }), 'a changed body')
  t.equal(Number(server.messages[0]!.headers['webhook-timestamp']), fixture.clock.now() / 1_000)
  const told = server.messages.map(({ body }) => JSON.parse(body))
  t.match(told[0], { order: { order, state: 'paid', paid: yen(660), isDisputed: false } })
  t.match(told[1], { order: { order, isDisputed: true } })
  t.match(told[3], { order: { order, state: 'refunded', refunded: yen(660), isDisputed: false } })
  t.notMatch(JSON.stringify(told), new RegExp(buyer.number), 'nothing says who the buyer is')

  const { events, more } = await ask(listShopEvents, {})
  t.same([events[0]!.order!.order, more], [before, false], 'the list has what was before the webhook, too')
  t.same(events.slice(1), told)
  const page = await ask(listShopEvents, { after: events[1]!.id, limit: 2 })
  t.same([page.events, page.more], [events.slice(2, 4), true])
  t.match(await ask(listShopWebhooks, {}), { webhooks: [{ webhook, url, state: 'on', waiting: 0 }] })
  t.match(await fixture.settlement.webhooksOf(shop.number), [{ webhook, takenMs: fixture.clock.now() }])
  t.notMatch(JSON.stringify(await ask(listShopWebhooks, {})), /whsec_/)

  await ask(removeShopWebhook, { webhook })
  await buy()
  await fixture.settlement.webhooksIdle()
  t.equal(server.messages.length, 4, 'nothing after the removal')
})

t.test(
  'P6 P7: what is not taken is sent again, the same and in order, for three days; then a test turns it on',
  async (t) => {
    const { fixture, server, url, ask, buy } = await bench(t)
    const { webhook } = await ask(addShopWebhook, { url })
    const { secret } = await ask(readShopWebhookSecret, { webhook })
    server.answer = (response) => response.writeHead(500).end('broken')
    await buy()
    await buy()
    const { settlement, clock } = fixture
    await settlement.webhooksIdle()
    t.equal(server.messages.length, 1, 'the second waits for the first')
    t.match(await ask(listShopWebhooks, {}), {
      webhooks: [{ state: 'on', waiting: 2, trouble: { why: 'HTTP 500', againMs: clock.now() + 5_000 } }],
    })
    clock.turn(4_999)
    await settlement.webhooksIdle()
    t.equal(server.messages.length, 1, 'not before its time')
    // Across a restart: nothing is forgotten.
    await fixture.restart()
    await fixture.settlement.webhooksIdle()
    clock.turn(5_001)
    await fixture.settlement.webhooksIdle()
    t.equal(server.messages.length, 2)
    t.equal(server.messages[1]!.body, server.messages[0]!.body)
    t.equal(server.messages[1]!.headers['webhook-id'], server.messages[0]!.headers['webhook-id'])
    t.not(server.messages[1]!.headers['webhook-timestamp'], server.messages[0]!.headers['webhook-timestamp'])
    t.ok(isSigned(secret, server.messages[1]!), 'signed anew')

    let rounds = 0
    for (; rounds < 200; rounds++) {
      const [row] = (await ask(listShopWebhooks, {})).webhooks
      if (row!.state === 'off') break
      clock.turn(row!.trouble!.againMs - clock.now() + 1)
      await fixture.settlement.webhooksIdle()
    }
    t.ok(rounds > 60 && rounds < 120, `turned off after ${rounds} more`)
    const quiet = server.messages.length
    clock.turn(86_400_000)
    await fixture.settlement.webhooksIdle()
    t.equal(server.messages.length, quiet, 'off is off')

    server.messages.length = 0
    server.answer = (response) => response.writeHead(200).end('x'.repeat(100_000))
    await ask(testShopWebhook, { webhook })
    await fixture.settlement.webhooksIdle()
    t.same(server.types, ['order.paid', 'order.paid', 'webhook.test'], 'what waited comes first')
    t.match(await ask(listShopWebhooks, {}), { webhooks: [{ state: 'on', waiting: 0, trouble: undefined }] })

    server.answer = (response) => response.writeHead(302, { location: url }).end()
    await buy()
    await fixture.settlement.webhooksIdle()
    t.match(
      await ask(listShopWebhooks, {}),
      { webhooks: [{ trouble: { why: 'HTTP 302' } }] },
      'no redirect is followed',
    )
    server.answer = (response) => response.destroy()
    clock.turn(5_001)
    await fixture.settlement.webhooksIdle()
    t.match(await ask(listShopWebhooks, {}), { webhooks: [{ state: 'on', waiting: 1 }] }, 'a line that breaks')
    server.answer = (response) => response.writeHead(410).end()
    clock.turn(10_001)
    await fixture.settlement.webhooksIdle()
    t.match(await ask(listShopWebhooks, {}), { webhooks: [{ state: 'off', waiting: 1 }] }, 'gone is gone')
    const { event } = await ask(testShopWebhook, { webhook })
    await fixture.settlement.webhooksIdle()
    t.same(await ask(testShopWebhook, { webhook }), { event }, 'one test waits, however often it is asked for')
    await fixture.settlement.webhooksIdle()
    t.match(await ask(listShopWebhooks, {}), { webhooks: [{ waiting: 2 }] })
  },
)

t.test('P6 P7: one shop’s address that hangs holds up no other’s; old events go', async (t) => {
  const { fixture, server, url, ask, buy } = await bench(t)
  await ask(addShopWebhook, { url })
  const second = new ShopServer()
  await second.start()
  t.teardown(() => second.stop())
  const other = await fixture.enrol('shop')
  const { key } = await fixture.settlement.shopKeys.add(other.number, scopes, 30, 'clerk-1')
  await ask(addShopWebhook, { url: url.replace('/events', '/other') }, key)
  const hanging = Promise.withResolvers<void>()
  server.answer = (response, n) => (n === 1 ? hanging.resolve() : response.writeHead(200).end())
  await buy()
  await hanging.promise
  const theirs = (await ask(listShopWebhooks, {}, key)).webhooks[0]!.webhook
  await ask(testShopWebhook, { webhook: theirs }, key)
  // The one that hangs is given up after fifteen seconds.
  fixture.clock.turn(15_001)
  await fixture.settlement.webhooksIdle()
  t.same(server.types, ['order.paid', 'webhook.test'])
  t.match(await ask(listShopWebhooks, {}), { webhooks: [{ trouble: { why: 'no answer in 15 s' } }] })
  t.same((await ask(listShopEvents, {}, key)).events.length, 1, 'each its own')
  fixture.clock.turn(31 * 86_400_000)
  const { key: later } = await fixture.settlement.shopKeys.add(other.number, scopes, 30, 'clerk-1')
  await fixture.settlement.webhooksIdle()
  t.same((await ask(listShopEvents, {}, later)).events, [], 'kept for thirty days')
})

t.test('P6 P7: addresses that cannot be right, too many, or another’s are refused', async (t) => {
  const { fixture, url, shop, ask } = await bench(t)
  const wrong = [
    url.replace('/events', '').replace(/:\d+$/, ':1'),
    'http://shop.example/events',
    'https://10.0.0.1/events',
    'https://[::1]/events',
    'https://localhost.:0x50@shop.example/',
    'https://user:word@shop.example/',
  ]
  for (const address of wrong) t.equal(await codeOf(ask(addShopWebhook, { url: address })), 'webhook.address', address)
  t.equal(await codeOf(ask(addShopWebhook, { url: 'ftp://shop.example/' })), 'message.invalid')
  for (let n = 0; n < 8; n++) await ask(addShopWebhook, { url: `https://shop.example/${n}` })
  t.equal(await codeOf(ask(addShopWebhook, { url })), 'quota.exceeded')
  const { webhook } = (await ask(listShopWebhooks, {})).webhooks[0]!
  const other = await fixture.enrol('shop')
  const { key } = await fixture.settlement.shopKeys.add(other.number, scopes, 30, 'clerk-1')
  t.equal(await codeOf(ask(removeShopWebhook, { webhook }, key)), 'object.unknown')
  t.equal(await codeOf(ask(testShopWebhook, { webhook }, key)), 'object.unknown')
  t.equal(await codeOf(ask(readShopWebhookSecret, { webhook }, key)), 'object.unknown')
  const few = await fixture.settlement.shopKeys.add(shop.number, ['orders'], 30, 'clerk-1')
  t.equal(await codeOf(ask(addShopWebhook, { url }, few.key)), 'api.scope')
  t.equal(await codeOf(ask(listShopEvents, { after: `evt_${'0'.repeat(24)}` })), 'object.unknown')
})
