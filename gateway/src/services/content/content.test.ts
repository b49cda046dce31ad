/** Content with one data server on real files, on both engines: requests, what fails, both ledgers, and what settlement is told. */
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom as random } from '@azukari/protocol/adapters/random'
import { sameBytes } from '@azukari/protocol/bytes'
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { getContent, playContent } from '@azukari/protocol/contracts/content'
import type { FilePiece } from '@azukari/protocol/contracts/https'
import { type buyCopy, voidPurchase } from '@azukari/protocol/contracts/rights-copies'
import type { postCharge } from '@azukari/protocol/contracts/settlement-charges'
import { signerOf } from '@azukari/protocol/cose'
import { peekRecord, signDeliveryOrder, signRecord } from '@azukari/protocol/delivery'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { systemDefer } from '../../adapters/defer.ts'
import type { ObjectServerPort } from '../../data-server/object-port.ts'
import type { ObjectServer } from '../../data-server/object-server.ts'
import { createDataServer } from '../../data-server/server.ts'
import { fixedTrust } from '../../data-server/trust.ts'
import { outsideCaller } from '../../service/service.ts'
import { throwUnlisted } from '../../service/unlisted.ts'
import { type OpenTestDatabase, testEngines } from '../../test-database.ts'
import { DataServers } from './data-servers.ts'
import { sumsOf } from './figures.ts'
import { createContentService } from './service.ts'
import { contentSettings } from './settings.ts'
import type { ListedRow } from './store.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
const member = { id: random.bytes(16), level: 2, card: random.bytes(32), session: random.bytes(16) }
const device = 'board'
type Bought = RequestOf<typeof buyCopy>
type Charge = RequestOf<typeof postCharge>

/** Its methods, bound to it. */
function asPort(objects: ObjectServer): ObjectServerPort {
  return {
    keep: (...of) => objects.keep(...of),
    read: (...of) => objects.read(...of),
    deliver: (...of) => objects.deliver(...of),
    reverse: (...of) => objects.reverse(...of),
    records: (...of) => objects.records(...of),
    list: (...of) => objects.list(...of),
    drop: (...of) => objects.drop(...of),
  }
}

async function makeSite(t: Test, open: OpenTestDatabase) {
  const issuer = generateKey('ed25519', random)
  const signer = signerOf(issuer)
  const identity = generateKey('ed25519', random)
  const server = await createDataServer({
    id: 'one',
    identity,
    clock: systemClock,
    random,
    files: systemFiles(),
    disks: [{ path: `${t.testdir()}/disk`, capacityBytes: 1 << 30 }],
    trust: fixedTrust([], [publicOf(issuer)]),
    log,
  })
  const place = { name: 'One', region: 'JP-13', latitude: 35, longitude: 139, domain: 'one', rates: [] }
  const key = Buffer.from(coseKey(publicOf(identity))).toString('hex')
  const entry = { id: 'one', ...place, url: 'https://one', key, capacityBytes: 1e9 }
  const listed = { all: async () => [entry] }
  const reach = {
    objects: () => ({
      ...asPort(server.objects),
      records: async (from: number, count: number) => [
        ...(await server.objects.records(from, count)),
        ...site.moreRecords,
      ],
    }),
  }
  const servers = new DataServers({ listed, reach, name: 'content', signer, clock: systemClock })
  const posted: Charge[] = []
  const site = {
    posted,
    /** What the server says it has in its journal besides. */
    moreRecords: [] as Uint8Array[],
    /** What settlement says in place of booking it. */
    refusal: undefined as Problem | undefined,
    /** Whoever makes copies for buyers. */
    buy: async (_asked: Bought): Promise<ReplyOf<typeof buyCopy>> => Promise.reject(new Problem('service.unavailable')),
    post: async (charge: Charge): Promise<ReplyOf<typeof postCharge>> => {
      posted.push(charge)
      if (site.refusal) throw site.refusal
      return { seq: posted.length, atMs: 1 }
    },
  }
  const settings = contentSettings(
    new TextEncoder().encode('{"serviceMinor": 2, "shares": {"content": {"ledger": 100}}}'),
  )
  const database = await open()
  const made = { name: 'content', database, servers, signer, settings, clock: systemClock, random, log }
  const start = async () => {
    const service = await createContentService({
      ...made,
      members: async () => member,
      post: (charge) => site.post(charge),
      buy: (asked) => site.buy(asked),
      linkKeys: { signer, find: (kid) => (sameBytes(kid, signer.kid) ? publicOf(issuer) : undefined) },
      unlisted: throwUnlisted,
      defer: systemDefer,
    })
    await service.host.start()
    return service
  }
  const content = await start()
  /** The same service in its next life. */
  const restart = async () => {
    await content.host.stop()
    const again = await start()
    t.teardown(() => again.host.stop())
    return again
  }
  t.teardown(async () => {
    await content.host.stop()
    await server.stop()
    await database.close()
  })
  const offer = (bytes: Uint8Array, price = 300): Promise<ListedRow> =>
    content.register.add({
      name: 'song.mp3',
      bytes,
      provider: '12345678901234',
      title: 'A song',
      price,
      terms: '',
      type: undefined,
      picture: undefined,
      origin: undefined,
      replaces: undefined,
    })
  /** As a board asks it, over the host. @throws {Problem} what is answered */
  const get = async (row: ListedRow, delivery: Uint8Array, contentMinor = row.price) => {
    const { id: of, version, currency } = row
    const body = { delivery, content: of, version, serviceMinor: 2, contentMinor, currency }
    const caller = { device, region: 'JP-13', roles: ['terminal'] }
    const asked = { caller, contract: getContent.id, id: random.bytes(16), atMs: systemClock.now() }
    const { body: reply, problem } = await content.host.handle({ ...asked, token: random.bytes(64), body })
    if (problem) throw Problem.fromWire(problem)
    return reply as ReplyOf<typeof getContent>
  }
  const figures = async () => {
    const rows = await sumsOf(content.store.sql, undefined)
    return Object.fromEntries(
      rows.map(({ ledger, state, charges, reversals, minor }) => [
        `${ledger} ${state}`,
        [charges, reversals, minor].map(Number),
      ]),
    )
  }
  const link = (row: ListedRow, lifeMs = 60_000) =>
    content.links.make({ content: row.id, card: member.card, region: undefined, lifeMs })
  /** As the HTTPS listener asks it for whoever has a link. @throws {Problem} what is answered */
  const play = async (url: string, from: number, count: number) => {
    const { pathname: path, searchParams } = new URL(url, 'https://site')
    const credential = new Uint8Array(Buffer.from(searchParams.get('link') ?? '', 'base64url'))
    const asked = { caller: outsideCaller, contract: playContent.id, id: random.bytes(16), atMs: systemClock.now() }
    const body = { delivery: path.split('/').at(-1), from, count }
    const { body: reply, problem } = await content.host.handle({ ...asked, https: { credential, path }, body })
    if (problem) throw Problem.fromWire(problem)
    return reply as FilePiece
  }
  return { ...made, site, server, content, offer, get, link, play, figures, restart, signer, identity }
}

for (const [engine, open] of Object.entries(testEngines())) {
  t.test(
    `C7 ${engine}: a request that comes twice is one delivery, one record, one charge in each ledger`,
    async (t) => {
      const { offer, get, figures, content, server, site } = await makeSite(t, open)
      const row = await offer(random.bytes(100_000))
      const delivery = random.bytes(16)
      const [a, b] = await Promise.all([get(row, delivery), get(row, delivery)])
      t.same(a, b)
      t.same((await get(row, delivery)).offer, a.offer, 'and later, too')
      await t.rejects(get(row, random.bytes(16), 299), { code: 'content.price-changed' })
      const other = await offer(random.bytes(10))
      await t.rejects(get(other, delivery), { code: 'act.conflict' })
      t.equal((await server.objects.records(1, 10)).length, 1, 'nothing else was charged')
      await content.host.downloads?.ended(device, a.offer.transfer, undefined)
      site.refusal = new Problem('ledger.insufficient')
      await Promise.all([content.settle(), content.settle()])
      t.same(await figures(), { 'content counted': [1, 0, 300], 'service counted': [1, 0, 2] }, 'not paid yet')
      const first = new Set(site.posted.map(({ id }) => Buffer.from(id).toString('hex')))
      t.equal(first.size, 2, 'one charge for each fee, however often it is tried')
      site.refusal = undefined
      await content.store.sql.run('UPDATE fee_entries SET tried = 0')
      await content.settle()
      t.same(await figures(), { 'content paid': [1, 0, 300], 'service paid': [1, 0, 2] })
      const last = site.posted.slice(-2)
      t.same(new Set(last.map(({ id }) => Buffer.from(id).toString('hex'))), first, 'under the same ids')
      const { moves } = last.find(({ reason }) => reason === 'content-fee') ?? { moves: [] }
      t.match(moves, [
        { to: { own: 'income' }, minor: 30 },
        { to: { member: '12345678901234' }, minor: 270 },
      ])
      const before = site.posted.length
      await content.settle()
      t.equal(site.posted.length, before, 'what is paid is not posted again')
    },
  )

  t.test(`C7 ${engine}: what a board did not get is reversed, and what has left whole is not`, async (t) => {
    const { offer, get, figures, content, site } = await makeSite(t, open)
    const row = await offer(random.bytes(100_000))
    const refused = await get(row, random.bytes(16))
    await content.host.downloads?.ended(device, refused.offer.transfer, 'card.absent')
    const taken = await get(row, random.bytes(16))
    t.equal((await content.host.downloads?.read(device, taken.offer.transfer, 0, 8))?.length, 2)
    await content.host.downloads?.ended(device, taken.offer.transfer, 'photo.corrupt')
    const half = await get(row, random.bytes(16))
    await content.host.downloads?.read(device, half.offer.transfer, 0, 1)
    await content.host.downloads?.ended(device, half.offer.transfer, 'card.absent')
    await content.settle()
    t.same(await figures(), {
      'content cancelled': [2, 2, 0],
      'content paid': [1, 0, 300],
      'service cancelled': [2, 2, 0],
      'service paid': [1, 0, 2],
    })
    const charged = site.posted.filter(({ moves }) => moves.length > 0)
    t.equal(charged.length, 2, 'settlement books what was delivered alone')
    const items = (posted: readonly Charge[]) =>
      posted.map(({ item, reason }) => [reason, item?.title, item?.minor, item?.tax, item?.isReversed].join(' ')).sort()
    t.same(items(charged), ['content-fee A song 300 10 false', 'service-fee A song 2 10 false'])
    const reversed = site.posted.filter(({ moves }) => moves.length === 0)
    const [fee, service] = ['content-fee A song 300 10 true', 'service-fee A song 2 10 true']
    t.same(items(reversed), [fee, fee, service, service], 'S13 and hears what was reversed, for the statement')
    await content.store.sql.run('UPDATE fee_entries SET tried = 0')
    await content.settle()
    t.equal(site.posted.length, 6, 'once')
  })

  t.test(`C7 S13 ${engine}: a reversal that settlement did not take is told again, until it does`, async (t) => {
    const { offer, get, content, site } = await makeSite(t, open)
    const row = await offer(random.bytes(100))
    const { offer: refused } = await get(row, random.bytes(16))
    await content.host.downloads?.ended(device, refused.transfer, 'card.absent')
    site.refusal = new Problem('register.unknown-number')
    await content.settle()
    t.equal(site.posted.length, 2)
    site.refusal = undefined
    await content.settle()
    t.equal(site.posted.length, 2, 'not at once')
    await content.store.sql.run('UPDATE fee_entries SET tried = 0')
    await content.settle()
    await content.settle()
    t.equal(site.posted.length, 4)
    const again = site.posted.slice(2).map(({ item }) => item?.isReversed)
    t.same(again, [true, true], 'reversed, not charged')
  })

  t.test(
    `R3 C7 ${engine}: what is made for each buyer is made first, charged once, and void when it is reversed`,
    async (t) => {
      const { get, figures, content, site, server } = await makeSite(t, open)
      const work = '0123456789abcdef'
      const offerOf = (currency: 'JPY' | 'USD', provider = '12345678901234') =>
        content.handlers[0]!.handle(
          {
            ...{ work, provider, title: 'Harbour', terms: 'yours', mediaType: 'image/png', sizeBytes: 600_000 },
            ...{ priceMinor: 300, currency, picture: random.bytes(10) },
          } as never,
          {} as never,
        )
      await t.rejects(offerOf('USD'), { code: 'content.unsuitable' })
      const { reply } = await offerOf('JPY')
      t.same((await offerOf('JPY')).reply, reply, 'the same work is the same content')
      await t.rejects(offerOf('JPY', '99999999999999'), { code: 'content.unsuitable' })
      const [row] = await content.store.sql.all<ListedRow>('SELECT * FROM contents')
      await t.rejects(get(row!, random.bytes(16)), { code: 'object.unavailable' }, 'nobody makes copies now')
      t.same(await server.objects.records(1, 10), [], 'and nothing was charged')

      const copy = random.bytes(600_000)
      const asked: Bought[] = []
      site.buy = async (bought) => {
        asked.push(bought)
        return { sale: '00000000aa', sizeBytes: copy.length, piece: copy.subarray(bought.from, bought.from + 400_000) }
      }
      const delivery = random.bytes(16)
      const [a, b] = await Promise.all([get(row!, delivery), get(row!, delivery)])
      t.same(a, b)
      t.match(a.offer, { sizeBytes: copy.length })
      t.same(
        asked.map(({ from }) => from),
        [0, 400_000],
        'once, in pieces',
      )
      t.match(asked[0], { delivery, work, card: member.card, priceMinor: 300, currency: 'JPY' })
      const blocks = await content.host.downloads?.read(device, a.offer.transfer, 0, 16)
      t.equal(blocks?.length, 10, 'the copy is what leaves')
      await content.host.downloads?.ended(device, a.offer.transfer, undefined)
      const refused = await get(row!, random.bytes(16))
      await content.host.downloads?.ended(device, refused.offer.transfer, 'card.absent')
      await content.settle()
      t.match(await figures(), { 'content paid': [1, 0, 300], 'content cancelled': [1, 1, 0] })
      const sent = await content.store.sql.all<{ contract: string }>('SELECT contract FROM outbox')
      t.same(sent, [{ contract: voidPurchase.id }], 'the one that was reversed is void, and no other')
      await content.settle()
      t.same(await server.objects.list(undefined), [], 'no copy stays at the data server')
      await t.rejects(content.links.make({ content: row!.id, card: member.card, region: undefined, lifeMs: 1 }), {
        code: 'content.unsuitable',
      })
    },
  )

  t.test(`C7 ${engine}: what has left is known after a restart, so that what left whole stays charged`, async (t) => {
    const { offer, get, restart, content } = await makeSite(t, open)
    const row = await offer(random.bytes(700_000))
    const { offer: taken } = await get(row, random.bytes(16))
    t.equal((await content.host.downloads?.read(device, taken.transfer, 0, 10))?.length, 10)
    const again = await restart()
    t.equal((await again.host.downloads?.read(device, taken.transfer, 10, 10))?.length, 1)
    await again.host.downloads?.ended(device, taken.transfer, 'card.absent')
    const states = await again.store.sql.all<{ state: string }>('SELECT state FROM deliveries')
    t.same(states, [{ state: 'done' }])
  })

  t.test(
    `C7 ${engine}: what never came in time: fetched whole or reversed; never answered and never charged`,
    async (t) => {
      const { offer, get, figures, content } = await makeSite(t, open)
      const row = await offer(random.bytes(100))
      const whole = await get(row, random.bytes(16))
      await content.host.downloads?.read(device, whole.offer.transfer, 0, 1)
      await get(row, random.bytes(16))
      const lost = random.bytes(16)
      await get(row, lost)
      await content.store.sql.run("UPDATE deliveries SET until = 1, id = id WHERE state = 'offered'")
      await content.store.sql.run("UPDATE deliveries SET state = 'asked', id = ? WHERE id = ?", random.bytes(16), lost)
      await content.settle()
      const states = await content.store.sql.all<{ state: string }>('SELECT state FROM deliveries ORDER BY state')
      t.same(
        states.map(({ state }) => state),
        ['done', 'failed', 'reversed'],
      )
      t.match(await figures(), {
        'content paid': [1, 0, 300],
        'content cancelled': [1, 1, 0],
        'content refused': [1, 0, 0],
      })
    },
  )

  t.test(`C7 ${engine}: a record that its server made up counts for nothing, and is kept`, async (t) => {
    const { offer, get, figures, content, server, signer, site, identity } = await makeSite(t, open)
    const row = await offer(random.bytes(100))
    const { offer: made } = await get(row, random.bytes(16))
    await content.host.downloads?.ended(device, made.transfer, undefined)
    const price = { serviceMinor: 2, contentMinor: 300, currency: 'JPY' as const }
    const of = { content: row.id, version: 1, root: made.root, sizeBytes: 100, provider: row.provider }
    const order = { delivery: random.bytes(16), server: 'one', client: member.card, ...of, ...price }
    const forged = signDeliveryOrder({ ...order, expiresMs: systemClock.now() + 60_000 }, signer)
    await server.objects.deliver({ order: forged, sources: [] })
    await content.settle()
    t.same(await figures(), {
      'content paid': [1, 0, 300],
      'content refused': [1, 0, 0],
      'service paid': [1, 0, 2],
      'service refused': [1, 0, 0],
    })
    // Signed by the right key and in its place, and of a delivery that was charged already.
    const [charged] = await server.objects.records(1, 1)
    const said = peekRecord(charged ?? new Uint8Array(0))
    site.moreRecords = [signRecord({ ...said, seq: 3 }, signerOf(identity))]
    await content.settle()
    t.match(await figures(), { 'content paid': [1, 0, 300], 'content refused': [2, 0, 0] }, 'a second charge')
    site.moreRecords = [signRecord({ ...said, seq: 4 }, signer)]
    await content.settle()
    t.match(await figures(), { 'content refused': [2, 0, 0] }, 'and what another key signed is not taken at all')
  })

  t.test(
    `C5 ${engine}: a withdrawn content is neither listed nor delivered, a new version replaces the price`,
    async (t) => {
      const { offer, get, content } = await makeSite(t, open)
      const row = await offer(random.bytes(100))
      const next = { name: 'b.mp3', bytes: random.bytes(50), provider: row.provider, title: 'B', price: 5, terms: '' }
      const more = { type: undefined, picture: undefined, origin: undefined }
      const changed = await content.register.add({ ...next, ...more, replaces: row.id })
      t.match(changed, { version: 2, price: 5 })
      await t.rejects(get(row, random.bytes(16)), { code: 'content.price-changed' })
      await content.register.withdraw(row.id)
      await t.rejects(get(changed, random.bytes(16)), { code: 'content.withdrawn' })
      await t.rejects(content.register.add({ ...next, ...more, replaces: row.id }), { code: 'content.withdrawn' })
      await t.rejects(content.register.add({ ...next, ...more, bytes: new Uint8Array(0), replaces: undefined }), {
        code: 'content.unsuitable',
      })
    },
  )

  t.test(`C5 ${engine}: what no member could use, or read of, is not offered`, async (t) => {
    const { content } = await makeSite(t, open)
    const picture = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0)
    const given = { name: 'a.jpg', bytes: picture, provider: '12345678901234', title: 'A', price: 5, terms: '' }
    const whole = { ...given, type: undefined, picture: undefined, origin: undefined, replaces: undefined }
    const refused = (change: object, code: string) => t.rejects(content.register.add({ ...whole, ...change }), { code })
    await refused({ title: ' ' }, 'content.unsuitable')
    await refused({ bytes: new Uint8Array(99) }, 'content.unsuitable')
    await refused({ bytes: new Uint8Array(99), name: 'a.bin', type: 'image/png' }, 'content.unsuitable')
    await refused({ picture: { name: 'small.jpg', bytes: new Uint8Array(9) } }, 'content.unsuitable')
    await refused({ origin: 'nowhere' }, 'command.invalid')
    t.equal((await content.register.add({ ...whole, origin: 'one' })).media, 'image/jpeg')
  })

  t.test(`C7 C14 ${engine}: a link is charged once, with its first bytes, whatever ranges are read`, async (t) => {
    const { offer, link, play, figures, content, server } = await makeSite(t, open)
    const bytes = random.bytes(300_000)
    const row = await offer(bytes)
    const url = await link(row)
    t.match(await play(url, 0, 0), { sizeBytes: 300_000, mediaType: 'audio/mpeg', name: 'song.mp3' })
    t.equal((await server.objects.records(1, 10)).length, 0, 'how long it is costs nothing')
    const parts = await Promise.all([play(url, 200_000, 70_000), play(url, 0, 131_072), play(url, 299_990, 131_072)])
    const at = (from: number, to: number) => bytes.subarray(from, to)
    t.same(
      parts.map((part) => part.bytes),
      [at(200_000, 270_000), at(0, 131_072), at(299_990, 300_000)],
    )
    await content.register.withdraw(row.id)
    t.same((await play(url, 65_530, 12)).bytes, at(65_530, 65_542), 'what was charged goes on')
    await content.settle()
    await content.settle()
    t.same(await figures(), { 'content paid': [1, 0, 300], 'service paid': [1, 0, 2] })
    t.equal((await server.objects.records(1, 10)).length, 1)
  })

  t.test(`C7 C14 ${engine}: a link that was not used, or not as agreed, or is none, costs nothing`, async (t) => {
    const { offer, link, play, figures, content, server, site } = await makeSite(t, open)
    const row = await offer(random.bytes(100))
    const url = await link(row)
    const other = await link(row)
    const [path] = other.split('?')
    await t.rejects(play(`${path}?${url.split('?')[1]}`, 0, 10), { code: 'url.refused' }, 'for another delivery')
    await t.rejects(play(url.replace(/.{8}$/, 'AAAAAAAA'), 0, 10), { code: 'url.refused' })
    await t.rejects(play(await link(row, -1), 0, 10), { code: 'url.expired' })
    await content.register.withdraw(row.id)
    await t.rejects(play(url, 0, 10), { code: 'content.withdrawn' })
    await t.rejects(link(row), { code: 'content.withdrawn' })
    server.objects.reverse = async () => Promise.reject(new Problem('server.unreachable'))
    await content.store.sql.run("UPDATE deliveries SET until = 1, id = id WHERE state = 'linked'")
    await content.settle()
    const states = await content.store.sql.all<{ state: string }>('SELECT DISTINCT state FROM deliveries')
    t.same(states, [{ state: 'failed' }], 'over, and no server was asked about what it never heard of')
    t.same([await figures(), site.posted, await server.objects.records(1, 10)], [{}, [], []])
    await t.rejects(play(other, 0, 10), { code: 'transfer.expired' })
  })

  t.test(
    `C7 C14 ${engine}: whoever was refused may try again; what was charged and never read is reversed`,
    async (t) => {
      const { offer, link, play, figures, content, server } = await makeSite(t, open)
      const row = await offer(random.bytes(100))
      const url = await link(row)
      const { deliver, read } = server.objects
      server.objects.deliver = async () => Promise.reject(new Problem('storage.full'))
      await t.rejects(play(url, 0, 10), { code: 'storage.full' })
      server.objects.deliver = deliver
      server.objects.read = () => {
        throw new Problem('server.unreachable')
      }
      await t.rejects(play(url, 0, 10), { code: 'object.unavailable' })
      await content.store.sql.run("UPDATE deliveries SET until = 1, id = id WHERE state = 'offered'")
      await content.settle()
      t.same(await figures(), { 'content cancelled': [1, 1, 0], 'service cancelled': [1, 1, 0] })
      server.objects.read = read
      await t.rejects(play(url, 0, 10), { code: 'transfer.expired' }, 'and is not read afterwards')
    },
  )
}
