import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { encode } from '@azukari/protocol/codec'
import {
  finishTransfer,
  type Have,
  haveTransfer,
  initTransfer,
  transferProgress,
} from '@azukari/protocol/contracts/transfer'
import { leafHash, MerkleTree } from '@azukari/protocol/merkle'
import type { Files } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { SendWindow } from '@azukari/protocol/transfer'
import t from 'tap'
import { TestDevice } from '../test-client.ts'
import { site, startTestSite, type TestSite, type TestSiteOptions } from '../test-site.ts'

const blockBytes = 65_552

/** Content as blocks, with what announces it. */
function content(sizeBytes: number, inline = true) {
  const bytes = randomBytes(sizeBytes)
  const blocks: Uint8Array[] = []
  for (let at = 0; at < sizeBytes; at += blockBytes) blocks.push(bytes.subarray(at, at + blockBytes))
  const leaves = blocks.map(leafHash)
  const tree = new MerkleTree(leaves)
  const transfer = new Uint8Array(randomBytes(16))
  const init = {
    transfer,
    to: 'placement',
    sizeBytes,
    blockBytes,
    blocks: blocks.length,
    root: tree.root(),
    expiresMs: Date.now() + 60_000,
    ...(inline && { leaves }),
  }
  const payload = (index: number) => (inline ? blocks[index]! : encode({ p: tree.prove(index), d: blocks[index]! }))
  return { bytes, blocks, init, transfer, name: Buffer.from(transfer).toString('hex'), payload }
}
type Content = ReturnType<typeof content>

async function world(
  t: { teardown(work: () => unknown): void },
  options: TestSiteOptions = {},
): Promise<{ world: TestSite; device: TestDevice }> {
  const world = await startTestSite(options)
  t.teardown(() => world.stop())
  const device = new TestDevice(site)
  await device.enrol(world.url, await world.newClaim())
  await device.connect(world.url)
  await device.greet()
  return { world, device }
}

const send = (device: TestDevice, of: Content, index: number, payload = of.payload(index)) =>
  device.client.publishAsync(device.topic('up', of.name, index), Buffer.from(payload), { qos: 1 })

/** The next word on a transfer. */
function news(device: TestDevice): Promise<{ have: Have; bad: number[] }> {
  return new Promise((resolve) => {
    device.onEvent = (event) => {
      if (event.contract === transferProgress.id) resolve(event.body as { have: Have; bad: number[] })
    }
  })
}

/** Sends until the gateway has it all; returns how many blocks were sent. */
async function upload(device: TestDevice, of: Content, stopAfter = Number.POSITIVE_INFINITY): Promise<number> {
  const window = new SendWindow(of.init.blocks)
  const have = await device.call(initTransfer, of.init)
  window.have(have.ranges, have.windowBlocks)
  let sent = 0
  let heard = Promise.withResolvers<void>()
  device.onEvent = (event) => {
    if (event.contract !== transferProgress.id) return
    const { have, bad } = event.body as { have: Have; bad: number[] }
    window.have(have.ranges, have.windowBlocks, bad)
    heard.resolve()
  }
  while (!window.complete && sent < stopAfter) {
    heard = Promise.withResolvers()
    for (let index = window.next(); index !== undefined && sent < stopAfter; index = window.next()) {
      sent++
      void send(device, of, index)
    }
    if (!window.complete && sent < stopAfter) await heard.promise
  }
  return sent
}

for (const inline of [true, false]) {
  t.test(
    `S4: a transfer arrives whole, ${inline ? 'with its leaves announced' : 'each block with its proof'}`,
    async (t) => {
      const { world: site, device } = await world(t)
      const of = content(40 * blockBytes + 77, inline)
      t.equal(await upload(device, of), 41, 'every block once')
      t.match(await device.call(finishTransfer, { transfer: of.transfer }), { sizeBytes: of.init.sizeBytes })
      t.match(await device.call(initTransfer, of.init), { complete: true }, 'announced again, it is there')
      const buffer = site.gateway.bufferFor('placement')
      t.match(await buffer.describe(of.transfer), { device: device.id, blocks: 41, complete: true })
      t.equal(await site.gateway.bufferFor('content').describe(of.transfer), undefined, 'another service sees nothing')
      const read: Uint8Array[] = []
      for (let from = 0; from < 41; from += 16) read.push(...(await buffer.read(of.transfer, from, 16)))
      t.ok(Buffer.concat(read).equals(of.bytes))
      await buffer.release(of.transfer)
      await buffer.release(of.transfer)
      t.equal(await buffer.describe(of.transfer), undefined)
      t.same(readdirSync(join(site.directory, 'buffer')), [])
      await t.rejects(device.call(haveTransfer, { transfer: of.transfer }), { code: 'transfer.unknown' })
      await device.close()
    },
  )
}

t.test('S4: a block that does not match is named and asked for again', async (t) => {
  for (const inline of [true, false]) {
    const { device } = await world(t)
    const of = content(3 * blockBytes, inline)
    await device.call(initTransfer, of.init)
    const damaged = new Uint8Array(of.payload(1))
    damaged[damaged.length - 5]! ^= 1
    let heard = news(device)
    await send(device, of, 1, damaged)
    t.same((await heard).bad, [1])
    heard = news(device)
    await send(device, of, 0, of.payload(1))
    t.same((await heard).bad, [0], 'a right block in the wrong place')
    heard = news(device)
    await send(device, of, 2, new Uint8Array(10))
    t.same((await heard).bad, [2])
    await send(device, of, 9, of.payload(1))
    await t.rejects(device.call(finishTransfer, { transfer: of.transfer }), { code: 'transfer.incomplete' })
    await upload(device, of)
    await device.call(finishTransfer, { transfer: of.transfer })
    await device.close()
  }
})

t.test('S4: another device’s transfer is unknown, whatever one knows of it', async (t) => {
  const { world: site, device } = await world(t)
  const of = content(2 * blockBytes)
  await upload(device, of, 1)
  const thief = new TestDevice('tokyo')
  await thief.enrol(site.url, await site.newClaim())
  await thief.connect(site.url)
  await thief.greet()
  const attempts: Promise<unknown>[] = [
    thief.call(initTransfer, of.init),
    thief.call(haveTransfer, { transfer: of.transfer }),
    thief.call(finishTransfer, { transfer: of.transfer }),
  ]
  for (const attempt of attempts) await t.rejects(attempt, { code: 'transfer.unknown' })
  await send(thief, of, 1)
  await t.rejects(device.call(finishTransfer, { transfer: of.transfer }), { code: 'transfer.incomplete' })
  await thief.close()
  await device.close()
})

t.test('S4: announcements that make no sense, and more than the allowance, are refused', async (t) => {
  const { device } = await world(t, {
    limits: { buffer: { deviceBytes: 400_000, transferBytes: 300_000, deviceTransfers: 3, totalBytes: 500_000 } },
  })
  const init = content(200_000).init
  await t.rejects(device.call(initTransfer, { ...init, blocks: 9 }), { code: 'message.invalid' })
  await t.rejects(device.call(initTransfer, { ...init, leaves: init.leaves!.slice(1) }), { code: 'message.invalid' })
  await t.rejects(device.call(initTransfer, { ...init, root: new Uint8Array(32) }), { code: 'transfer.bad-root' })
  await t.rejects(device.call(initTransfer, { ...init, expiresMs: 1 }), { code: 'transfer.expired' })
  await t.rejects(device.call(initTransfer, content(400_000).init), { code: 'transfer.too-large' })
  await device.call(initTransfer, init)
  await t.rejects(device.call(initTransfer, { ...content(100_000).init, transfer: init.transfer }), {
    code: 'act.conflict',
  })
  await t.rejects(device.call(initTransfer, content(250_000).init), { code: 'transfer.quota' })
  await device.call(initTransfer, content(1_000).init)
  await device.call(initTransfer, content(1_000).init)
  await t.rejects(device.call(initTransfer, content(1_000).init), { code: 'transfer.quota' })
  await device.close()
})

t.test('S4: a line cut ten times costs at most one window each', async (t) => {
  const { world: site, device } = await world(t)
  const of = content(12 * 2 ** 20, false)
  let sent = 0
  for (let cut = 0; cut < 10; cut++) {
    sent += await upload(device, of, 15)
    device.client.stream.destroy()
    await device.connect(site.url)
    await device.greet()
  }
  sent += await upload(device, of)
  await device.call(finishTransfer, { transfer: of.transfer })
  t.ok(sent <= of.init.blocks + 10 * 32, `${sent - of.init.blocks} blocks were sent again`)
  await device.close()
})

t.test('S4: a gateway that was killed takes up a transfer where the disk has it', async (t) => {
  for (const inline of [true, false]) {
    const directory = t.testdir()
    const first = await startTestSite({ directory })
    const device = new TestDevice('tokyo')
    await device.enrol(first.url, await first.newClaim())
    await device.connect(first.url)
    await device.greet()
    const of = content(30 * blockBytes, inline)
    await upload(device, of, 20)
    while ((await device.call(haveTransfer, { transfer: of.transfer })).ranges[0]?.[1] !== 19);
    // What a crash leaves: the end is torn off, and a file that no row knows of.
    await first.stop()
    const path = join(directory, 'buffer', `${of.name}.blocks`)
    truncateSync(path, 11 * blockBytes + 100)
    const second = await startTestSite({ directory })
    await device.connect(second.url)
    await device.greet()
    const have = await device.call(haveTransfer, { transfer: of.transfer })
    t.same(have.ranges, [[0, 10]], 'whole blocks only')
    await upload(device, of)
    await device.call(finishTransfer, { transfer: of.transfer })
    t.ok(
      Buffer.concat(await second.gateway.bufferFor('placement').read(of.transfer, 8, 16)).equals(
        of.bytes.subarray(8 * blockBytes, 24 * blockBytes),
      ),
    )
    await device.close()
    await second.stop()
  }
})

/** Files on a disk that is full when told so. */
function fullDisk(): { files: Files; full(value: boolean): void } {
  const real = systemFiles()
  let isFull = false
  return {
    full: (value) => {
      isFull = value
    },
    files: {
      ...real,
      open: async (path, mode) => {
        const handle = await real.open(path, mode)
        return {
          read: (at, length) => handle.read(at, length),
          truncate: (size) => handle.truncate(size),
          size: () => handle.size(),
          sync: () => handle.sync(),
          close: () => handle.close(),
          write: async (at, bytes) => {
            if (isFull) throw new Problem('storage.full', 'test')
            await handle.write(at, bytes)
          },
        }
      },
      freeBytes: async (path) => (isFull ? 0 : real.freeBytes(path)),
    },
  }
}

t.test('S4: a full disk closes the window, refuses new transfers, and opens again', async (t) => {
  const disk = fullDisk()
  const { device } = await world(t, { files: disk.files })
  const of = content(20 * blockBytes)
  await upload(device, of, 4)
  disk.full(true)
  let heard = news(device)
  await send(device, of, 10)
  for (let have = (await heard).have; have.windowBlocks !== 0; have = (await heard).have) heard = news(device)
  t.pass('window 0')
  await t.rejects(device.call(initTransfer, content(1_000).init), { code: 'storage.full' })
  t.match(await device.call(haveTransfer, { transfer: of.transfer }), { windowBlocks: 0 })
  heard = news(device)
  disk.full(false)
  t.ok((await heard).have.windowBlocks > 0, 'told by itself when there is room again')
  await upload(device, of)
  await device.call(finishTransfer, { transfer: of.transfer })
  await device.close()
})

t.test('S4: what expires is removed with its files', async (t) => {
  const { world: site, device } = await world(t, { limits: { buffer: { lifeMs: 1 } } })
  const of = content(1_000)
  await device.call(initTransfer, of.init)
  await new Promise((resolve) => setTimeout(resolve, 5))
  await t.rejects(device.call(haveTransfer, { transfer: of.transfer }), { code: 'transfer.expired' })
  await site.gateway.sweep()
  t.notOk(existsSync(join(site.directory, 'buffer', `${of.name}.blocks`)))
  await t.rejects(device.call(haveTransfer, { transfer: of.transfer }), { code: 'transfer.unknown' })
  await device.close()
})
