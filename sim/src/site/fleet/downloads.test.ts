/** Downloads over a line that loses, doubles, reorders and spoils blocks, to devices whose power goes at any step (S4, D5). */
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import type { DeviceDatabase } from '@azukari/device/database'
import { Downloads } from '@azukari/device/downloads/downloads'
import { DownloadStream } from '@azukari/device/downloads/stream'
import type { BlockHandler, CallOptions, Link } from '@azukari/device/link'
import { Budgets } from '@azukari/gateway/budgets/budgets'
import { DownloadCarrier } from '@azukari/gateway/transfer/carrier'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import {
  downloadOffered,
  downloadWithdrawn,
  endDownload,
  type Offer,
  takeBlocks,
} from '@azukari/protocol/contracts/download'
import { ContentBlocks, hashBytes, offerOf } from '@azukari/protocol/download'
import type { Clock } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import fc from '@azukari/protocol/test-properties'
import { blockPlainBytes } from '@azukari/protocol/transfer'
import t from 'tap'
import { SeededRandom } from '../../testkit/world/chance.ts'
import { SimClock } from '../../testkit/world/clock.ts'
import { SimFiles } from '../../testkit/world/files.ts'
import { Life, never } from '../../testkit/world/life.ts'
import { silent } from './powered.ts'

const folder = '/device/downloads'
const kinds = { page: { maxBytes: 2 ** 30, maxFiles: 3 } }

interface Faults {
  drop: number
  duplicate: number
  damage: number
  /** Longest time of one message, ms: those that are slower are overtaken. */
  delayMs: number
}

const calm: Faults = { drop: 0, duplicate: 0, damage: 0, delayMs: 5 }

/** A gateway that offers contents, and a device that is switched off and on; between them a line with faults. */
class Line {
  readonly clock = new SimClock()
  readonly random: SeededRandom
  readonly disk: SimFiles
  readonly offers = new Map<string, { offer: Offer; blocks: ContentBlocks }>()
  readonly ended: (string | undefined)[] = []
  faults: Faults = calm
  /** Blocks that were handed to the line. */
  sent = 0
  cuts = 0
  downloads: Downloads | undefined
  life = new Life('none')
  link: Pick<Link, 'call' | 'onBlocks' | 'onEvent' | 'siteNow' | 'up'> | undefined
  #carrier = this.#newCarrier()
  #database: DeviceDatabase | undefined
  #handlers = new Map<string, BlockHandler>()
  #events = new Map<string, (body: never) => Promise<void> | void>()

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.disk = new SimFiles({ random: this.random.fork(1) })
    this.life.end()
  }

  make(bytes: Uint8Array, kind = 'page', lifeMs = 86_400_000): Offer {
    const hashes = hashBytes(bytes)
    const offer = offerOf(hashes, {
      transfer: this.random.bytes(16),
      from: 'content',
      kind,
      name: 'x',
      mediaType: 'text/plain',
      key: this.random.bytes(32),
      expiresMs: this.clock.now() + lifeMs,
    })
    const blocks = new ContentBlocks(hashes, async (at, length) => bytes.subarray(at, at + length))
    this.offers.set(Buffer.from(offer.transfer).toString('hex'), { offer, blocks })
    return offer
  }

  restartGateway(): void {
    this.#carrier.stop()
    this.#carrier = this.#newCarrier()
  }

  /** Power on; after so many changes to the disk it goes off again. */
  async on(steps = Number.POSITIVE_INFINITY): Promise<void> {
    const life = new Life('device')
    this.life = life
    let left = steps
    life.onStep = () => {
      if (left-- <= 0) this.off()
    }
    this.#database ??= await openDeviceDatabase(':memory:')
    this.#handlers = new Map()
    this.#events = new Map()
    const clock = life.clock(this.clock)
    this.link = this.#linkOf(life, clock)
    const starting = Downloads.open(
      {
        database: livingDatabase(life, this.#database),
        files: life.files(this.disk),
        folder,
        link: this.link as Link,
        clock,
        random: this.random.fork(3),
        log: silent,
      },
      kinds,
    )
    void starting.then((downloads) => {
      this.downloads = downloads
      void downloads.run(new AbortController().signal)
    })
  }

  off(): void {
    if (!this.life.alive) return
    this.life.end()
    this.disk.powerLoss()
    this.downloads = undefined
    this.#carrier.gone('device')
    this.cuts++
  }

  /** As the gateway does until it is acknowledged. */
  async tell(offer: Offer): Promise<void> {
    await this.#events.get(downloadOffered.id)?.({ offer } as never)
  }

  async withdraw(offer: Offer): Promise<void> {
    this.offers.delete(Buffer.from(offer.transfer).toString('hex'))
    await this.#events.get(downloadWithdrawn.id)?.({ transfer: offer.transfer } as never)
  }

  async isKept(bytes: Uint8Array, offer: Offer): Promise<boolean> {
    const downloads = this.downloads
    if (!downloads) return false
    const kept = (await downloads.kept(offer.kind)).find((one) => Buffer.compare(one.transfer, offer.transfer) === 0)
    return kept !== undefined && Buffer.from(await downloads.read(kept.transfer, 0, bytes.length + 1)).equals(bytes)
  }

  async close(): Promise<void> {
    this.#carrier.stop()
    await this.#database?.close()
  }

  #newCarrier(): DownloadCarrier {
    return new DownloadCarrier({
      downloadsOf: () => ({
        read: async (_device, transfer, from, count) => {
          const found = this.offers.get(Buffer.from(transfer).toString('hex'))
          if (!found) throw new Problem('transfer.unknown')
          if (found.offer.expiresMs <= this.clock.now()) throw new Problem('transfer.expired')
          const indexes = Array.from({ length: count }, (_, i) => from + i).filter((i) => i < found.blocks.count)
          return Promise.all(indexes.map((index) => found.blocks.sealed(found.offer, index)))
        },
        ended: async (_device, transfer, problem) => {
          if (this.offers.delete(Buffer.from(transfer).toString('hex'))) this.ended.push(problem)
        },
      }),
      send: (_device, transfer, index, payload) => this.#send(transfer, index, payload),
      clock: this.clock,
      log: silent,
      budgets: new Budgets(),
    })
  }

  #send(transfer: string, index: number, payload: Uint8Array): void {
    this.sent++
    const { drop, duplicate, damage } = this.faults
    if (this.random.chance(drop)) return
    const carried = Uint8Array.from(payload)
    if (this.random.chance(damage)) carried[this.random.between(0, carried.length - 1)]! ^= 1
    for (let times = this.random.chance(duplicate) ? 2 : 1; times > 0; times--)
      this.clock.timer(this.#delay(), () => this.#handlers.get(transfer)?.(index, carried))
  }

  #delay(): number {
    return this.random.between(1, this.faults.delayMs)
  }

  #linkOf(life: Life, clock: Clock) {
    const handlers = this.#handlers
    return {
      up: true,
      siteNow: () => this.clock.now(),
      onEvent: <C extends Contract>(contract: C, handler: (body: RequestOf<C>) => Promise<void> | void) => {
        this.#events.set(contract.id, handler)
      },
      onBlocks: (transfer: string, handler: BlockHandler) => {
        handlers.set(transfer, (index, payload) => {
          if (life.alive) handler(index, payload)
        })
        return { [Symbol.dispose]: () => void handlers.delete(transfer) }
      },
      call: async <C extends Contract>(
        contract: C,
        body: RequestOf<C>,
        { signal }: CallOptions = {},
      ): Promise<ReplyOf<C>> => {
        if (!life.alive) return never()
        const lost = async () => {
          await clock.sleep(20_000, signal)
          throw new Problem('link.timeout')
        }
        await clock.sleep(this.#delay(), signal)
        if (this.random.chance(this.faults.drop)) return lost()
        const carrier = this.#carrier
        if (contract.id === takeBlocks.id) await carrier.take('device', takeBlocks.checkRequest(body))
        else await carrier.end('device', endDownload.checkRequest(body))
        await clock.sleep(this.#delay(), signal)
        if (this.random.chance(this.faults.drop)) return lost()
        return {} as ReplyOf<C>
      },
    }
  }
}

function livingDatabase(life: Life, database: DeviceDatabase): DeviceDatabase {
  return {
    run: (sql, ...values) => life.run(() => database.run(sql, ...values)),
    get: (sql, ...values) => life.run(() => database.get(sql, ...values)),
    all: (sql, ...values) => life.run(() => database.all(sql, ...values)),
    exec: (sql) => life.run(() => database.exec(sql)),
    close: async () => undefined,
  }
}

const anyFaults = fc.record({
  drop: fc.double({ min: 0, max: 0.15, noNaN: true }),
  duplicate: fc.double({ min: 0, max: 0.2, noNaN: true }),
  damage: fc.double({ min: 0, max: 0.15, noNaN: true }),
  delayMs: fc.integer({ min: 1, max: 400 }),
})

t.test('S4: whatever a line does to a download, and wherever the power goes, it arrives whole, once', async (t) => {
  let cuts = 0
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.constantFrom(1, blockPlainBytes, 3 * blockPlainBytes + 5, 20 * blockPlainBytes - 1, 131 * blockPlainBytes),
      anyFaults,
      fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 4 }),
      async (seed, sizeBytes, faults, steps) => {
        const line = new Line(seed)
        const bytes = line.random.bytes(sizeBytes)
        const offer = line.make(bytes)
        line.faults = faults
        for (let round = 0; round < 60; round++) {
          if (!line.life.alive) await line.on(steps.shift())
          await line.clock.settle()
          // An event comes again until it is acknowledged, and now and then also after that.
          if (line.downloads) void line.tell(offer)
          if (line.random.chance(0.1)) line.restartGateway()
          await line.clock.runUntil(line.clock.now() + 30_000)
          if (line.ended.length > 0 && steps.length === 0 && (await line.isKept(bytes, offer))) break
        }
        cuts += line.cuts
        if (!(await line.isKept(bytes, offer))) throw new Error('it did not arrive')
        if (line.ended.length !== 1 || line.ended[0] !== undefined) throw new Error(`told ${line.ended.length} times`)
        await line.close()
      },
    ),
    { numRuns: 60 },
  )
  t.pass(`${cuts} power cuts`)
})

t.test('S4: a power cut costs what was not synced, and no more', async (t) => {
  const line = new Line(7)
  const bytes = line.random.bytes(130 * blockPlainBytes)
  const offer = line.make(bytes)
  for (let cut = 0; cut < 10; cut++) {
    await line.on()
    await line.clock.settle()
    void line.tell(offer)
    await line.clock.runUntil(line.clock.now() + 60_000, () => line.sent >= 12 * (cut + 1))
    line.off()
  }
  await line.on()
  await line.clock.runUntil(line.clock.now() + 600_000, () => line.isKept(bytes, offer))
  t.ok(await line.isKept(bytes, offer))
  t.ok(line.sent <= 130 + 10 * 32, `${line.sent - 130} blocks came again`)
  await line.close()
})

t.test(
  'D5: two at once; one that is withdrawn, that has expired, that the site has no more, that is no kind of this device’s',
  async (t) => {
    const line = new Line(3)
    await line.on()
    await line.clock.settle()
    const [one, two] = [line.random.bytes(9 * blockPlainBytes), line.random.bytes(9 * blockPlainBytes)]
    const offers = [line.make(one), line.make(two)]
    for (const offer of offers) await line.tell(offer)
    const withdrawn = line.make(line.random.bytes(400 * blockPlainBytes))
    await line.tell(withdrawn)
    await line.clock.runUntil(
      line.clock.now() + 60_000,
      async () => (await line.isKept(one, offers[0]!)) && line.isKept(two, offers[1]!),
    )
    t.ok((await line.isKept(one, offers[0]!)) && (await line.isKept(two, offers[1]!)))
    await line.withdraw(withdrawn)
    t.same(
      (await line.disk.list(folder)).filter((name) => name.endsWith('.leaves')),
      [],
      'nothing of it stays',
    )
    const late = line.make(line.random.bytes(10), 'page', -1)
    const gone = line.make(line.random.bytes(10))
    line.offers.delete(Buffer.from(gone.transfer).toString('hex'))
    await line.tell(late)
    await line.tell(gone)
    const wrong = { ...line.make(line.random.bytes(10)), root: line.random.bytes(32) }
    await t.rejects(line.tell(wrong), { code: 'transfer.bad-root' })
    const told = line.clock.runUntil(line.clock.now() + 60_000)
    await line.tell(line.make(line.random.bytes(10), 'unheard-of'))
    await told
    t.same(line.ended.toSorted(), ['part.unsupported', undefined, undefined])
    t.equal((await line.disk.list(folder)).length, 2)
    const more = [1, 2].map(() => line.make(line.random.bytes(20)))
    for (const offer of more) await line.tell(offer)
    await line.clock.runUntil(line.clock.now() + 60_000)
    t.equal((await line.downloads!.kept('page')).length, 3, 'beyond what is kept of a kind the oldest go')
    const kept = new Set((await line.downloads!.kept('page')).map(({ transfer }) => transfer.toString()))
    t.ok(
      more.every(({ transfer }) => kept.has(transfer.toString())),
      'the newest stay',
    )
    await line.close()
  },
)

t.test('D5: a full disk refuses an offer and says so', async (t) => {
  const line = new Line(4)
  line.disk.capacityBytes = 64 * 2 ** 20 + 3 * blockPlainBytes
  await line.on()
  await line.clock.settle()
  const told = line.clock.runUntil(line.clock.now() + 60_000)
  await line.tell(line.make(line.random.bytes(9 * blockPlainBytes)))
  await told
  t.same(line.ended, ['storage.full'])
  await line.close()
})

t.test('S4: a stream hands on what was checked, from any place, and takes no more than one window', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), anyFaults, async (seed, faults) => {
      const line = new Line(seed)
      const bytes = line.random.bytes(70 * blockPlainBytes + 9)
      const offer = line.make(bytes)
      await line.on()
      const stream = new DownloadStream(
        { link: line.link as Link, clock: line.clock },
        offer,
        new AbortController().signal,
      )
      let ended = false
      const reading = (async () => {
        const starts = [0, line.random.between(0, bytes.length - 1), line.random.between(0, bytes.length - 1)]
        for (const start of starts)
          for (let at = start; at < bytes.length; ) {
            const piece = await stream.read(at, 32_768).catch((error) => {
              if (!isProblem(error, 'link.timeout')) throw error
            })
            if (!piece) continue
            if (!Buffer.from(piece).equals(bytes.subarray(at, at + piece.length)) || piece.length === 0)
              throw new Error(`not what lies at ${at}`)
            at += piece.length
            if (line.random.chance(0.02)) await line.clock.sleep(90_000)
          }
        if ((await stream.read(bytes.length + blockPlainBytes, 10)).length > 0) throw new Error('beyond the end')
        line.faults = calm
        await stream.end()
        ended = true
      })()
      const before = line.sent
      line.faults = faults
      reading.catch(() => undefined)
      await line.clock.runUntil(line.clock.now() + 20 * 3_600_000, () => ended)
      if (!ended)
        await Promise.race([
          reading,
          line.clock.settle().then(() => {
            throw new Error('it does not end')
          }),
        ])
      if (line.sent - before < 70) throw new Error('nothing was fetched')
      await line.close()
    }),
    { numRuns: 25 },
  )

  const line = new Line(11)
  const offer = line.make(line.random.bytes(100 * blockPlainBytes))
  await line.on()
  const stream = new DownloadStream({ link: line.link as Link, clock: line.clock }, offer, new AbortController().signal)
  const first = stream.read(0, 10)
  await line.clock.runUntil(line.clock.now() + 600_000)
  t.equal((await first).length, 10)
  t.equal(line.sent, 32, 'while nobody reads nothing comes')
  await line.close()
})
