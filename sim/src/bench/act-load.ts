/**
 * The load of B2, in a process of its own: devices that greet, then keep a window of sealed acts under way. The acts are
 * sealed before the clock starts, so that this process is not what bounds the figure; replies are counted, and one in
 * 64 is opened and read.
 */
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { Channel, decodeReply, encodeRequest } from '@azukari/protocol/envelope'
import { coseKey, parseCoseKey, publicOf } from '@azukari/protocol/keys'
import { deviceSubscriptions, deviceTopic } from '@azukari/protocol/topics'
import { birthOf, connectLean, greet } from './greet.ts'
import type { LeanClient } from './lean-client.ts'

export interface LoadOrder {
  port: number
  mode: 'acts' | 'bare'
  site: string
  /** Private COSE_Keys, hex, and ids. */
  devices: { id: string; key: string; epoch: number }[]
  gatewayKey: string
  contract: string
  /** Bytes of an act's body. */
  bodyBytes: number
  actsPerDevice: number
  windowActs: number
  /** Acts per second of all devices together; as fast as they go when absent. */
  pace?: number
}

export interface LoadResult {
  acts: number
  ms: number
  p50Ms: number
  p99Ms: number
  /** Bytes of one act on the wire. */
  wireBytes: number
  cpuMs: number
}

interface Loader {
  client: LeanClient
  topic: Uint8Array
  messages: Uint8Array[]
  next: number
  /** When each was sent; where acts come at a pace, when it was due. */
  sentMs: Float64Array
  done: number
}

/** What one device has under way at most where acts come at a pace: on a busy machine the rest waits here, as in an outbox. */
const pacedWindowActs = 64

async function run(order: LoadOrder): Promise<LoadResult> {
  const loaders: Loader[] = []
  const waits: number[] = []
  const finished = Promise.withResolvers<void>()
  let remaining = order.devices.length * order.actsPerDevice
  let counting = false
  const gatewayKey = parseCoseKey(Buffer.from(order.gatewayKey, 'hex'))
  for (const device of order.devices) {
    const key = parseCoseKey(Buffer.from(device.key, 'hex'))
    const caller = { port: order.port, site: order.site, id: device.id, key, epoch: device.epoch }
    const op = order.contract.slice(0, order.contract.indexOf('@'))
    const call = deviceTopic(order.site, device.id, 'call', op)
    const line = await connectLean(caller, order.mode === 'acts' ? deviceSubscriptions(order.site, device.id) : [call])
    const { client } = line
    let channel: Channel
    if (order.mode === 'acts') channel = await greet(caller, gatewayKey, line)
    else {
      const { birth, share } = birthOf(caller)
      channel = Channel.agree('device', share, coseKey(publicOf(share)), birth, new Uint8Array(8))
    }
    const stream = systemRandom.bytes(16)
    const body = { text: 'x'.repeat(order.bodyBytes) }
    const messages = Array.from({ length: order.actsPerDevice }, (_, i) =>
      channel.seal(
        encodeRequest({
          contract: order.contract,
          id: systemRandom.bytes(16),
          atMs: systemClock.now(),
          act: { stream, seq: i + 1 },
          body,
        }),
        call,
      ),
    )
    const loader: Loader = {
      client,
      topic: Buffer.from(call),
      messages,
      next: 0,
      sentMs: new Float64Array(order.actsPerDevice),
      done: 0,
    }
    line.hear((topic, payload) => {
      if (!counting) return
      const at = loader.done++
      waits.push(systemClock.monotonicMs() - loader.sentMs[at]!)
      if (order.mode === 'acts' && at % 64 === 0) {
        const reply = decodeReply(channel.open(payload, topic))
        if (reply.problem) finished.reject(new Error(`refused: ${reply.problem.code} ${reply.problem.detail ?? ''}`))
      }
      if (--remaining === 0) finished.resolve()
      else if (order.pace === undefined) send(loader)
    })
    loaders.push(loader)
  }
  process.send?.({ ready: true })
  await new Promise<void>((resolve) => process.once('message', () => resolve()))
  counting = true
  const cpu = process.cpuUsage()
  const started = systemClock.monotonicMs()
  if (order.pace === undefined) for (const loader of loaders) for (let i = 0; i < order.windowActs; i++) send(loader)
  else paced(loaders, order.pace, started).catch((error: unknown) => finished.reject(error))
  await finished.promise
  const ms = systemClock.monotonicMs() - started
  const used = process.cpuUsage(cpu)
  for (const { client } of loaders) client.close()
  waits.sort((a, b) => a - b)
  return {
    acts: order.devices.length * order.actsPerDevice,
    ms,
    p50Ms: waits[Math.floor(waits.length * 0.5)]!,
    p99Ms: waits[Math.floor(waits.length * 0.99)]!,
    wireBytes: loaders[0]!.messages[0]!.length,
    cpuMs: (used.user + used.system) / 1000,
  }
}

function send(loader: Loader, dueMs = systemClock.monotonicMs()): void {
  if (loader.next >= loader.messages.length) return
  loader.sentMs[loader.next] = dueMs
  loader.client.publish(loader.topic, loader.messages[loader.next++]!)
}

/** Sends what is due, every millisecond, device after device. Time is taken from when an act was due, whatever held it up. */
async function paced(loaders: Loader[], perSecond: number, startedMs: number): Promise<void> {
  const dueMs = (n: number, at: number) => startedMs + ((n * loaders.length + at) / perSecond) * 1000
  while (loaders.some(({ next, messages }) => next < messages.length)) {
    const nowMs = systemClock.monotonicMs()
    for (const [at, loader] of loaders.entries())
      while (
        loader.next < loader.messages.length &&
        loader.next - loader.done < pacedWindowActs &&
        dueMs(loader.next, at) <= nowMs
      )
        send(loader, dueMs(loader.next, at))
    await systemClock.sleep(1)
  }
}

if (process.send) {
  process.once('message', (order: LoadOrder) => {
    run(order).then(
      (result) => process.send?.({ result }, () => process.disconnect()),
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? error.stack : String(error) }, () => process.disconnect()),
    )
  })
}
