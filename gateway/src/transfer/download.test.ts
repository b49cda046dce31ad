import { randomBytes } from 'node:crypto'
import {
  downloadOffered,
  downloadWithdrawn,
  downWindowMaxBlocks,
  endDownload,
  type Offer,
  takeBlocks,
} from '@azukari/protocol/contracts/download'
import { acknowledgeEvents } from '@azukari/protocol/contracts/fleet'
import { factsOfOffer, hashBytes, openedBlock } from '@azukari/protocol/download'
import { checkBlock } from '@azukari/protocol/incoming'
import { BlockSet, blockPlainBytes } from '@azukari/protocol/transfer'
import t from 'tap'
import { TestDevice } from '../test-client.ts'
import { site, startTestSite, type TestSite, type TestSiteOptions } from '../test-site.ts'

/** A site whose service offers what lies in `contents`, by its reference. */
async function world(t: { teardown(work: () => unknown): void }, options: TestSiteOptions = {}) {
  const contents = new Map<string, Uint8Array>()
  let reads = 0
  const started = await startTestSite({
    ...options,
    downloads: async (_kind, reference) => {
      const content = contents.get(Buffer.from(reference).toString())
      return (
        content &&
        (async (at, length) => {
          reads++
          return content.subarray(at, at + length)
        })
      )
    },
  })
  t.teardown(() => started.stop())
  const offer = async (device: TestDevice, bytes: Uint8Array, lifeMs = 60_000): Promise<Uint8Array> => {
    const reference = randomBytes(8).toString('hex')
    contents.set(reference, bytes)
    return started.service.store.transaction((context) =>
      context.offer(device.id, {
        kind: 'statement',
        name: 'a page',
        mediaType: 'application/pdf',
        lifeMs,
        reference: Buffer.from(reference),
        hashes: hashBytes(bytes),
      }),
    )
  }
  return { site: started, contents, offer, reads: () => reads }
}

async function newDevice(world: TestSite): Promise<TestDevice> {
  const device = new TestDevice(site)
  await device.enrol(world.url, await world.newClaim())
  await device.connect(world.url)
  await device.greet()
  return device
}

/** The next offer, or one that has come already. */
function offered(device: TestDevice, transfer: Uint8Array): Promise<Offer> {
  return new Promise((resolve) => {
    const look = (event: { contract: string; body: unknown; id: Uint8Array }) => {
      if (event.contract !== downloadOffered.id) return
      const { offer } = downloadOffered.checkRequest(event.body)
      if (Buffer.compare(offer.transfer, transfer) !== 0) return
      resolve(offer)
      void device.call(acknowledgeEvents, { ids: [event.id] })
    }
    device.onEvent = look
    for (const event of device.events) look(event)
  })
}

/** A device that takes a download as it should, or breaks off after so many blocks. */
async function fetch(
  device: TestDevice,
  offer: Offer,
  {
    windowBlocks = 8,
    stopAfter = Number.POSITIVE_INFINITY,
    have = new BlockSet(),
    into = new Uint8Array(offer.sizeBytes),
  } = {},
) {
  const facts = factsOfOffer(offer)
  let came = 0
  let bad: number[] = []
  let news = Promise.withResolvers<void>()
  device.onBlock = (_transfer, index, payload) => {
    came++
    const block = checkBlock(facts, index, openedBlock(offer, index, payload))
    if (block) {
      into.set(block.bytes, index * blockPlainBytes)
      have.add(index)
    } else bad.push(index)
    news.resolve()
  }
  for (let again = true; have.count < offer.blocks && came < stopAfter; again = false) {
    news = Promise.withResolvers()
    const { transfer, from, blocks } = offer
    const wrong = bad
    bad = []
    await device.call(takeBlocks, { transfer, from, blocks, ranges: have.ranges, windowBlocks, bad: wrong, again })
    if (have.count < offer.blocks) await news.promise
  }
  return { into, have, came }
}

for (const sizeBytes of [1, blockPlainBytes, 30 * blockPlainBytes + 77, 9 * 2 ** 20])
  t.test(`S4: a device fetches ${sizeBytes} bytes that a service offers it`, async (t) => {
    const { site, offer } = await world(t)
    const device = await newDevice(site)
    const bytes = randomBytes(sizeBytes)
    const told = await offered(device, await offer(device, bytes))
    t.match(told, { from: 'placement', kind: 'statement', name: 'a page', mediaType: 'application/pdf', sizeBytes })
    t.equal(told.leaves === undefined, sizeBytes > 8 * 2 ** 20, 'leaves travel with their blocks above 8 MiB')
    const { into, came } = await fetch(device, told)
    t.ok(Buffer.from(into).equals(bytes))
    t.equal(came, told.blocks, 'every block once')
    const { transfer, from } = told
    await device.call(endDownload, { transfer, from })
    await t.rejects(fetch(device, told), { code: 'transfer.unknown' }, 'done is done')
    await device.call(endDownload, { transfer, from })
    t.equal(site.budgets.report().find(({ budget }) => budget === 'downloads')?.held, 0)
    await device.close()
  })

t.test('S4: what travels is sealed, and nobody else’s', async (t) => {
  const { site, offer } = await world(t)
  const device = await newDevice(site)
  const told = await offered(device, await offer(device, Buffer.alloc(2 * blockPlainBytes, 'statement')))
  const seen: Uint8Array[] = []
  const { transfer, from, blocks } = told
  const all = { transfer, from, blocks, ranges: [], windowBlocks: 2, bad: [], again: true }
  const came = new Promise<void>((resolve) => {
    device.onBlock = (_transfer, _index, payload) => {
      seen.push(payload)
      if (seen.length === 2) resolve()
    }
  })
  await device.call(takeBlocks, all)
  await came
  t.notOk(seen.some((payload) => Buffer.from(payload).includes('statement')))
  const thief = await newDevice(site)
  await t.rejects(thief.call(takeBlocks, all), { code: 'transfer.unknown' })
  await thief.call(endDownload, { transfer, from })
  await t.rejects(thief.call(takeBlocks, { ...all, from: 'nobody' }), { code: 'transfer.unknown' })
  await t.rejects(device.call(takeBlocks, { ...all, blocks: 9, windowBlocks: 9, again: true }), {
    code: 'message.invalid',
  })
  t.ok(Buffer.from((await fetch(device, told)).into).includes('statement'), 'it is there for the device still')
  await device.close()
  await thief.close()
})

t.test('S4: a gateway that is started again goes on where the device is', async (t) => {
  const directory = t.testdir()
  const bytes = randomBytes(40 * blockPlainBytes)
  const first = await world(t, { directory })
  const device = await newDevice(first.site)
  const told = await offered(device, await first.offer(device, bytes))
  const { have, into } = await fetch(device, told, { stopAfter: 20, windowBlocks: 4 })
  t.ok(have.count >= 20)
  await first.site.stop()
  const second = await world(t, { directory })
  second.contents.set([...first.contents.keys()][0]!, bytes)
  await device.connect(second.site.url)
  await device.greet()
  const before = have.count
  const { came } = await fetch(device, told, { have, into })
  t.equal(came, 40 - before, 'nothing twice')
  t.ok(Buffer.from(into).equals(bytes))
  await device.close()
})

t.test('S4: blocks that were lost on the way are asked for again', async (t) => {
  const { site, offer } = await world(t)
  const device = await newDevice(site)
  const told = await offered(device, await offer(device, randomBytes(12 * blockPlainBytes)))
  const { transfer, from, blocks } = told
  const take = {
    transfer,
    from,
    blocks,
    ranges: [] as [number, number][],
    windowBlocks: 4,
    bad: [] as number[],
    again: true,
  }
  const come = (n: number) => {
    const indexes: number[] = []
    return new Promise<number[]>((resolve) => {
      device.onBlock = (_transfer, index) => {
        indexes.push(index)
        if (indexes.length === n) resolve(indexes)
      }
    })
  }
  let heard = come(4)
  await device.call(takeBlocks, take)
  t.same(await heard, [0, 1, 2, 3])
  heard = come(2)
  await device.call(takeBlocks, { ...take, ranges: [[0, 0]], bad: [2], again: false })
  t.same(await heard, [2, 4], 'the bad one, and one more for the one that is there')
  heard = come(4)
  await device.call(takeBlocks, { ...take, ranges: [[0, 0]], again: true })
  t.same(await heard, [1, 2, 3, 4], 'after a break nothing counts as under way')
  await device.close()
})

t.test('D5: an offer expires, is withdrawn, and its content may be gone', async (t) => {
  const { site, offer, contents } = await world(t)
  const device = await newDevice(site)
  const late = await offered(device, await offer(device, randomBytes(100), -1))
  await t.rejects(fetch(device, late), { code: 'transfer.expired' })
  const lost = await offered(device, await offer(device, randomBytes(100)))
  contents.clear()
  await t.rejects(fetch(device, lost), { code: 'transfer.unknown' })
  const changed = await offered(device, await offer(device, randomBytes(100)))
  for (const key of contents.keys()) contents.set(key, randomBytes(100))
  await t.rejects(fetch(device, changed), { code: 'transfer.bad-root' })
  const back = await offered(device, await offer(device, randomBytes(100)))
  const heard = new Promise<unknown>((resolve) => {
    device.onEvent = (event) => {
      if (event.contract === downloadWithdrawn.id) resolve(event.body)
    }
  })
  await site.service.store.transaction(({ withdraw }) => withdraw(back.transfer))
  t.same(await heard, { transfer: back.transfer })
  await t.rejects(fetch(device, back), { code: 'transfer.unknown' })
  await device.close()
})

t.test('D5: an offer stands or falls with its transaction, and the oldest of too many go', async (t) => {
  const { site, offer } = await world(t)
  const device = await newDevice(site)
  await t.rejects(
    site.service.store.transaction(async (context) => {
      await context.offer(device.id, {
        kind: 'statement',
        name: 'x',
        mediaType: 'text/plain',
        lifeMs: 60_000,
        reference: Buffer.from('x'),
        hashes: hashBytes(randomBytes(10)),
      })
      throw new Error('no')
    }),
    /no/,
  )
  const first = await offer(device, randomBytes(10))
  for (let i = 0; i < 63; i++) await offer(device, randomBytes(10))
  const told = await offered(device, first)
  await fetch(device, told)
  await offer(device, randomBytes(10))
  await t.rejects(fetch(device, told), { code: 'transfer.unknown' })
  await device.close()
})

t.test('S4: a device that takes nothing holds a few blocks, and another is served', async (t) => {
  const { site, offer, reads } = await world(t, {
    limits: {
      downloads: { deviceMemoryBytes: 12 * 65_552, memoryBytes: 20 * 65_552, deviceDownloads: 2 },
    },
  })
  const [lazy, busy] = [await newDevice(site), await newDevice(site)]
  const held = (budget: string) => site.budgets.report().find((one) => one.budget === budget)?.held
  const ask = (device: TestDevice, { transfer, from, blocks }: Offer) =>
    device.call(takeBlocks, {
      transfer,
      from,
      blocks,
      ranges: [],
      windowBlocks: downWindowMaxBlocks,
      bad: [],
      again: true,
    })
  const offers: Offer[] = []
  for (let i = 0; i < 3; i++) offers.push(await offered(lazy, await offer(lazy, randomBytes(100 * blockPlainBytes))))
  await ask(lazy, offers[0]!)
  await ask(lazy, offers[1]!)
  t.equal(reads(), 12, 'no more than it may hold, over all of its downloads')
  t.equal(held('download_memory'), 12 * 65_552)
  await t.rejects(ask(lazy, offers[2]!), { code: 'quota.exceeded' })
  const bytes = randomBytes(50 * blockPlainBytes)
  const told = await offered(busy, await offer(busy, bytes))
  t.ok(Buffer.from((await fetch(busy, told)).into).equals(bytes))
  await busy.call(endDownload, { transfer: told.transfer, from: told.from })
  t.equal(held('downloads'), 2)
  await lazy.close()
  while (held('downloads') !== 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal(held('download_memory'), 0, 'given back when its line is gone')
  await busy.close()
})
