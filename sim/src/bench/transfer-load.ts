/**
 * The load of B10, in a process of its own: devices that send objects block by block within the window that the gateway
 * grants. Blocks, hashes and proofs are made before the clock starts.
 */
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { decode, encode } from '@azukari/protocol/codec'
import type { RequestOf } from '@azukari/protocol/contract'
import { finishTransfer, type Have, initTransfer, transferProgress } from '@azukari/protocol/contracts/transfer'
import { signerOf } from '@azukari/protocol/cose'
import { signCwt } from '@azukari/protocol/cwt'
import {
  birthDomain,
  Channel,
  checkWelcome,
  decodeEvent,
  decodeReply,
  encodeRequest,
  openGreeting,
  type Reply,
  signGreeting,
  welcomeDomain,
} from '@azukari/protocol/envelope'
import { coseKey, generateKey, parseCoseKey, publicOf } from '@azukari/protocol/keys'
import { leafHash, MerkleTree } from '@azukari/protocol/merkle'
import { deviceSubscriptions, deviceTopic } from '@azukari/protocol/topics'
import { blockBytes, SendWindow } from '@azukari/protocol/transfer'
import { LeanClient } from './lean-client.ts'

export interface TransferOrder {
  port: number
  mode: 'transfer' | 'bare'
  site: string
  devices: { id: string; key: string; epoch: number }[]
  gatewayKey: string
  /** Encrypted bytes of one object. */
  sizeBytes: number
  /** Objects per device, one after the other. */
  objects: number
  /** Blocks under way in `bare`. */
  windowBlocks: number
  /** How often the line is cut, evenly over the first object. */
  cuts: number
}

export interface TransferResult {
  bytes: number
  ms: number
  /** Blocks sent more than once. */
  blocksAgain: number
  /** The widest window that the gateway granted. */
  windowBlocks: number
}

interface Content {
  transfer: Uint8Array
  init: RequestOf<typeof initTransfer>
  payloads: Uint8Array[]
}

function content(sizeBytes: number): Content {
  const bytes = systemRandom.bytes(sizeBytes)
  const blocks: Uint8Array[] = []
  for (let at = 0; at < sizeBytes; at += blockBytes) blocks.push(bytes.subarray(at, at + blockBytes))
  const tree = new MerkleTree(blocks.map(leafHash))
  const transfer = systemRandom.bytes(16)
  return {
    transfer,
    init: {
      transfer,
      to: 'placement',
      sizeBytes,
      blockBytes,
      blocks: blocks.length,
      root: tree.root(),
      expiresMs: systemClock.now() + 3_600_000,
    },
    payloads: blocks.map((d, index) => encode({ p: tree.prove(index), d })),
  }
}

class Sender {
  readonly #order: TransferOrder
  readonly #device: TransferOrder['devices'][number]
  readonly #replies = new Map<string, (reply: Reply) => void>()
  #client: LeanClient | undefined
  #channel: Channel | undefined
  #window: SendWindow | undefined
  #news = Promise.withResolvers<void>()
  #onBare: () => void = () => undefined
  #onWelcome: (payload: Uint8Array) => void = () => undefined
  windowBlocks = 0
  blocksSent = 0

  constructor(order: TransferOrder, device: TransferOrder['devices'][number]) {
    this.#order = order
    this.#device = device
  }

  async connect(): Promise<void> {
    const { site, port, mode, gatewayKey } = this.#order
    const { id } = this.#device
    const key = parseCoseKey(Buffer.from(this.#device.key, 'hex'))
    const iat = Math.floor(systemClock.now() / 1000)
    this.#channel = undefined
    const client = await LeanClient.connect({
      port,
      clientId: id,
      username: 'device',
      password: signCwt({ iss: id, aud: site, iat, exp: iat + 300 }, signerOf(key)),
      onMessage: (topic, payload) => this.#receive(topic, payload),
    })
    this.#client = client
    await client.subscribe(mode === 'bare' ? [`v1/${site}/d/${id}/up/+/+`] : deviceSubscriptions(site, id))
    if (mode === 'bare') return
    const share = generateKey('x25519', systemRandom)
    const birth = {
      site,
      device: id,
      epoch: this.#device.epoch++,
      share: coseKey(publicOf(share)),
      nonce: systemRandom.bytes(16),
      at: systemClock.now(),
      model: 'bench',
      version: '1',
      roles: ['camera'],
    }
    await new Promise<void>((resolve) => {
      this.#onWelcome = (payload) => {
        const gateway = parseCoseKey(Buffer.from(gatewayKey, 'hex'))
        const welcome = openGreeting(
          (decode(payload) as { s: Uint8Array }).s,
          () => gateway,
          welcomeDomain,
          checkWelcome,
        )
        this.#channel = Channel.agree('device', share, welcome.share, birth, welcome.session)
        resolve()
      }
      client.publish(Buffer.from(deviceTopic(site, id, 'birth')), signGreeting(birth, signerOf(key), birthDomain))
    })
  }

  close(): void {
    this.#client?.close()
  }

  /** Sends one object through the receive buffer; cuts the line as often as asked. */
  async transfer({ transfer, init, payloads }: Content, cuts: number): Promise<void> {
    const window = new SendWindow(init.blocks)
    this.#window = window
    const name = Buffer.from(transfer).toString('hex')
    this.#take((await this.#call(initTransfer.id, init)) as Have, [])
    let cutAt = cuts > 0 ? init.blocks / (cuts + 1) : Number.POSITIVE_INFINITY
    while (!window.complete) {
      this.#news = Promise.withResolvers()
      for (let index = window.next(); index !== undefined; index = window.next()) {
        this.blocksSent++
        this.#client!.publish(
          Buffer.from(deviceTopic(this.#order.site, this.#device.id, 'up', name, index)),
          payloads[index]!,
        )
      }
      await this.#news.promise
      if (window.sentOrHeld >= cutAt && !window.complete) {
        cutAt += init.blocks / (cuts + 1)
        this.#client!.close()
        window.broken()
        await this.connect()
        this.#take((await this.#call(initTransfer.id, init)) as Have, [])
      }
    }
    await this.#call(finishTransfer.id, { transfer })
  }

  /** Sends the same blocks to itself through a bare broker. */
  async forward({ transfer, payloads }: Content): Promise<void> {
    const name = Buffer.from(transfer).toString('hex')
    let next = 0
    let arrived = 0
    const whole = Promise.withResolvers<void>()
    const send = () => {
      if (next < payloads.length)
        this.#client!.publish(
          Buffer.from(deviceTopic(this.#order.site, this.#device.id, 'up', name, next)),
          payloads[next++]!,
        )
    }
    this.#onBare = () => {
      if (++arrived === payloads.length) whole.resolve()
      else send()
    }
    for (let i = 0; i < this.#order.windowBlocks; i++) send()
    await whole.promise
  }

  async #call(contract: string, body: unknown): Promise<unknown> {
    const id = systemRandom.bytes(16)
    const topic = deviceTopic(this.#order.site, this.#device.id, 'call', contract.slice(0, contract.indexOf('@')))
    const reply = await new Promise<Reply>((resolve) => {
      this.#replies.set(Buffer.from(id).toString('hex'), resolve)
      this.#client!.publish(
        Buffer.from(topic),
        this.#channel!.seal(encodeRequest({ contract, id, atMs: systemClock.now(), body }), topic),
      )
    })
    if (reply.problem) throw new Error(`${contract}: ${reply.problem.code} ${reply.problem.detail ?? ''}`)
    return reply.body
  }

  #receive(topic: string, payload: Uint8Array): void {
    if (this.#order.mode === 'bare') return this.#onBare()
    if (topic.endsWith('/reply')) {
      if (payload[0] !== 0xd0 || !this.#channel) return this.#onWelcome(payload)
      const reply = decodeReply(this.#channel.open(payload, topic))
      this.#replies.get(Buffer.from(reply.id).toString('hex'))?.(reply)
    } else if (topic.includes('/evt/') && this.#channel) {
      const event = decodeEvent(this.#channel.open(payload, topic))
      if (event.contract !== transferProgress.id) return
      const { have, bad } = event.body as { have: Have; bad: number[] }
      this.#take(have, bad)
    }
  }

  #take(have: Have, bad: number[]): void {
    this.windowBlocks = Math.max(this.windowBlocks, have.windowBlocks)
    this.#window?.have(have.ranges, have.windowBlocks, bad)
    this.#news.resolve()
  }
}

async function run(order: TransferOrder): Promise<TransferResult> {
  const senders = order.devices.map((device) => new Sender(order, device))
  // One object in memory serves all: its transfer id alone is new each time, and only what is announced is signed for.
  const base = content(order.sizeBytes)
  const contents = senders.map(() =>
    Array.from({ length: order.objects }, () => {
      const transfer = systemRandom.bytes(16)
      return { ...base, transfer, init: { ...base.init, transfer } }
    }),
  )
  for (const sender of senders) await sender.connect()
  process.send?.({ ready: true })
  await new Promise<void>((resolve) => process.once('message', () => resolve()))
  const started = systemClock.monotonicMs()
  await Promise.all(
    senders.map(async (sender, i) => {
      for (const [n, one] of contents[i]!.entries()) {
        if (order.mode === 'bare') await sender.forward(one)
        else await sender.transfer(one, n === 0 ? order.cuts : 0)
      }
    }),
  )
  const ms = systemClock.monotonicMs() - started
  const objects = order.objects * senders.length
  for (const sender of senders) sender.close()
  return {
    bytes: order.sizeBytes * objects,
    ms,
    blocksAgain:
      senders.reduce((sum, sender) => sum + sender.blocksSent, 0) -
      (order.mode === 'bare' ? 0 : base.init.blocks * objects),
    windowBlocks: Math.max(...senders.map((sender) => sender.windowBlocks)),
  }
}

if (process.send) {
  process.once('message', (order: TransferOrder) => {
    run(order).then(
      (result) => process.send?.({ result }, () => process.disconnect()),
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? error.stack : String(error) }, () => process.disconnect()),
    )
  })
}
