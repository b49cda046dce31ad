/** A shop's program at a running site: keys made by two people, and what docs/shops.md says, typed as it stands there. */
import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { firstAccount } from '@azukari/gateway/operator-api/first-account'
import { instructPayment, placeOrder, putOffer } from '@azukari/protocol/contracts/settlement-purchase'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import { type DemoMember, SettlementStage } from '../../demo/settlement/stage.ts'
import { quietLog } from '../../testkit/log.ts'
import { personOf } from '../../testkit/settlement/fixture.ts'
import { Operators } from '../operators.ts'
import { until } from '../wait.ts'

const yen = (minor: number) => ({ minor, currency: 'JPY' as const })
const manual = readFileSync(resolve(import.meta.dirname, '../../../../docs/shops.md'), 'utf8')

/** The commands of the manual, in order; what it exports is the reader's own. */
const typed = [...manual.matchAll(/```sh\n([\s\S]*?)```/g)]
  .map(([, text]) => text!)
  .filter((text) => !/^export/.test(text))

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )
}

const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
/** The shop's own server: it keeps what came. */
const taken: { headers: Record<string, string>; body: string }[] = []
const server = createServer(async (request, response) => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  taken.push({ headers: request.headers as Record<string, string>, body: Buffer.concat(parts).toString('utf8') })
  response.writeHead(204).end()
})
await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
const shopHost = `127.0.0.1:${(server.address() as AddressInfo).port}`
t.teardown(() => server.close())
const stage = new SettlementStage(folder, quietLog, { webhooks: { hosts: [shopHost] } })
const name = 'gateway.azukari.internal'
let people: Operators
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
t.teardown(() => stage.stop())

async function order(buyer: DemoMember, shop: DemoMember): Promise<string> {
  const { pay } = buyer.terminal
  const placed = await stage.signing(buyer, (by) => by.order(shop.number, [{ item: 'photo', count: 2 }]))
  const { transaction, total } = await pay.send(placeOrder, { order: placed })
  const instruction = await stage.signing(buyer, (by) => by.instruction(transaction, shop.number, total))
  await pay.send(instructPayment, { instruction })
  return transaction
}

/** Runs a command of the manual in a shell, after those that define what it uses. */
async function shell(
  text: string,
  more: Record<string, string>,
): Promise<{ exit: number; json: Record<string, unknown> }> {
  const [define = ''] = typed
  const env = { PATH: process.env['PATH'], AZUKARI_SITE: `127.0.0.1:${stage.gateway.httpsPort}`, ...more }
  const run = promisify(execFile)('bash', ['-euc', `${define}\n${text}`], { env, cwd: folder })
  const { stdout, exit } = await run.then(
    ({ stdout }) => ({ stdout, exit: 0 }),
    (error: { stdout: string; code: number; stderr: string }) => {
      if (!error.stdout.startsWith('{')) throw new Error(error.stderr)
      return { stdout: error.stdout, exit: error.code }
    },
  )
  return { exit, json: JSON.parse(stdout) }
}

t.test('P6 P7 D6: who reads docs/shops.md alone gets balance and orders, delivers and refunds', async (t) => {
  const first = await firstAccount(folder, stage.ports)
  await stage.start()
  copyFileSync(join(folder, 'tls/authority.pem'), join(folder, 'authority.pem'))
  const [home, store] = [await stage.terminal('home'), await stage.terminal('store')]
  const buyer = await stage.enrol('general', personOf(1), home)
  const shop = await stage.enrol('shop', personOf(2), store)
  const other = await stage.enrol('shop', personOf(3), await stage.terminal('other'))
  const request = await stage.signing(buyer, (by) => by.topUp('cash', yen(5_000)))
  const { payment } = await home.pay.send(requestValue, { request })
  for (const clerk of ['clerk-1', 'clerk-2']) await stage.settlement.cash.count(payment, clerk, 5_000, 'R-1')
  const item = { item: 'photo', name: '写真', kind: 'digital', price: 330, currency: 'JPY', tax: 10 } as const
  const offer = await stage.signing(shop, (by) => by.offer([item]))
  await store.pay.send(putOffer, { offer })
  const ORDER = await order(buyer, shop)

  people = await Operators.of(folder, first!)
  for (const name of ['hanako', 'jiro']) await people.add(name, 'clerk')
  await people.add('fleet', 'fleet')
  const keyFor = async (number: string, ...scope: string[]) => {
    const { json } = await people.run('hanako', 'settlement shop-key add', { scope }, [number])
    const { pending } = json as { pending: string }
    t.equal(await codeOf(people.run('hanako', 'confirm', {}, [pending])), 'operator.same-person')
    return (await people.run('jiro', 'confirm', {}, [pending])).json as { id: string; key: string }
  }
  const all = ['balance', 'orders', 'deliver', 'refund', 'webhooks']
  t.equal(await codeOf(people.run('fleet', 'settlement shop-key list', {}, [shop.number])), 'operator.forbidden')
  t.equal(await codeOf(people.run('hanako', 'settlement shop-key add', { scope: all }, ['1'])), 'command.invalid')
  const { id, key } = await keyFor(shop.number, ...all)
  const AZUKARI_KEY = key

  t.equal(typed.length, 12, 'commands of the manual')
  const [, balance = '', list = '', one = '', deliver = '', refund = '', ...later] = typed
  const [hook = '', hookSecret = '', test = '', hooks = '', events = '', described = ''] = later
  const reader = { AZUKARI_KEY, ORDER }
  t.match((await shell(balance, reader)).json, {
    shop: shop.number,
    balances: [{ currency: 'JPY', salesMinor: 660, payableMinor: 0, owedMinor: 0 }],
  })
  t.match((await shell(list, reader)).json, { orders: [{ order: ORDER, state: 'paid', paid: yen(660) }], more: false })
  const seen = await shell(one, reader)
  t.match(seen.json, { order: ORDER, lines: [{ item: 'photo', count: 2, price: 330, tax: 10 }], isDisputed: false })
  t.notMatch(JSON.stringify(seen.json), new RegExp(buyer.number), 'nothing says who the buyer is')
  for (let n = 0; n < 2; n++) t.match(await shell(deliver, reader), { exit: 0, json: { state: 'delivered' } })
  for (let n = 0; n < 2; n++) t.match(await shell(refund, reader), { exit: 0, json: { state: 'delivered' } })
  t.match((await shell(one, reader)).json, { refunded: yen(50), delivery: 'delivered: download' }, 'given back once')
  t.match((await shell(balance, reader)).json, { balances: [{ salesMinor: 610 }] })
  const added = await shell(hook, { ...reader, URL: `http://${shopHost}/events` })
  const WEBHOOK = String(added.json['webhook'])
  const withHook = { ...reader, WEBHOOK }
  const told = await shell(hookSecret, withHook)
  await shell(test, withHook)
  const next = await order(buyer, shop)
  await until('both events', () => taken.length === 2)
  t.same(
    taken.map(({ body }) => JSON.parse(body)).map(({ type, order }) => [type, order?.order]),
    [
      ['webhook.test', undefined],
      ['order.paid', next],
    ],
  )
  const program = join(folder, 'is-of-the-site.mjs')
  writeFileSync(program, /```js\n([\s\S]*?)```/.exec(manual)![1]!)
  const { isOfTheSite } = await import(program)
  for (const { headers, body } of taken) {
    t.ok(isOfTheSite(told.json['secret'], headers, body), 'by the program of the manual')
    t.notOk(isOfTheSite(told.json['secret'], headers, `${body} `))
  }
  t.match((await shell(hooks, withHook)).json, { webhooks: [{ webhook: WEBHOOK, state: 'on', waiting: 0 }] })
  t.match((await shell(events, withHook)).json, {
    events: [{ type: 'order.paid' }, { type: 'order.refunded' }, { type: 'webhook.test' }, { type: 'order.paid' }],
  })
  t.match((await people.run('hanako', 'settlement shop-webhook list', {}, [shop.number])).json, [{ webhook: WEBHOOK }])
  t.match((await shell(described, reader)).json, { openapi: '3.1.0', paths: { '/v1/shop/orders': {} } })
  t.strictSame((await stage.settlement.audit()).findings, [])

  const theirs = await keyFor(other.number, 'orders')
  t.match(await shell(one, { ORDER, AZUKARI_KEY: theirs.key }), { exit: 22, json: { code: 'pay.order-unknown' } })
  t.match(await shell(balance, { AZUKARI_KEY: theirs.key }), {
    exit: 22,
    json: { code: 'api.scope', detail: 'balance' },
  })
  t.match((await people.run('hanako', 'settlement shop-key list', {}, [shop.number])).json, [
    { id, scopes: all, by: 'hanako, jiro' },
  ])
  t.notMatch(
    JSON.stringify(await people.run('hanako', 'settlement shop-key list', {}, [shop.number])),
    new RegExp(key.slice(21)),
  )
  t.equal(await codeOf(people.run('hanako', 'settlement shop-key revoke', {}, [other.number, id])), 'object.unknown')
  await people.run('hanako', 'settlement shop-key revoke', {}, [shop.number, id])
  t.match(await shell(balance, reader), { exit: 22, json: { code: 'api.key-ended' } })
  const files = ['settlement.db', 'settlement.db-wal'].map((file) => join(folder, 'settlement', file))
  const kept = Buffer.concat(files.filter((file) => existsSync(file)).map((file) => readFileSync(file)))
  t.ok(kept.indexOf(id) >= 0)
  const secret = Buffer.from(key.slice(21), 'base64url')
  t.ok(kept.indexOf(secret) < 0 && kept.indexOf(key.slice(21)) < 0, 'of the key only the hash is kept')
})

t.test('P9 D6: a document leaves by a link, and files for the bank do not', async (t) => {
  await people.add('saburo', 'clerk')
  const [letter] = (await people.run('saburo', 'settlement documents', { kind: 'letter' })).json as {
    id: string
    name: string
  }[]
  const { link } = (await people.run('saburo', 'settlement link', {}, [letter!.id])).json as { link: string }
  t.match(
    link,
    new RegExp(`^https://127.0.0.1:${stage.gateway.httpsPort}/v1/settlement/documents/${letter!.id}\\?link=`),
  )
  const to = ['--cacert', 'authority.pem', '--connect-to', `${name}:443:127.0.0.1:${stage.gateway.httpsPort}`]
  const fetching = [
    '-sS',
    '--fail',
    ...to,
    link.replace(/^https:\/\/[^/]+/, `https://${name}`),
    '-o',
    'got',
    '-D',
    'head',
  ]
  await promisify(execFile)('curl', fetching, { cwd: folder })
  const { content } = (await stage.settlement.document(new Uint8Array(Buffer.from(letter!.id, 'hex'))))!
  t.ok(readFileSync(join(folder, 'got')).equals(content))
  t.match(readFileSync(join(folder, 'head'), 'utf8'), /application\/pdf/)
  t.equal(await codeOf(people.run('saburo', 'settlement link', {}, ['0'.repeat(32)])), 'object.unknown')
  t.equal(await codeOf(people.run('saburo', 'settlement link', { minutes: '10081' }, [letter!.id])), 'command.invalid')
  await stage.settlement.store.transaction(({ sql }) =>
    sql.run("UPDATE documents SET kind = 'payout-file' WHERE id = ?", Buffer.from(letter!.id, 'hex')),
  )
  t.equal(await codeOf(people.run('saburo', 'settlement link', {}, [letter!.id])), 'object.unknown')
  await t.rejects(
    promisify(execFile)('curl', fetching, { cwd: folder }),
    { code: 22 },
    'nor by a link that was made before',
  )
})
