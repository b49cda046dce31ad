/**
 * Devices of B11, thousands in one process: `ORDERFILE`. Each connects, greets, reports now and then, and when the line is
 * gone comes again with the runtime's own backoff; a report without an answer is sent again as it was.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { backoffMs } from '@azukari/device/backoff'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { type Channel, decodeReply, encodeRequest } from '@azukari/protocol/envelope'
import { parseCoseKey } from '@azukari/protocol/keys'
import { deviceSubscriptions, deviceTopic } from '@azukari/protocol/topics'
import type { EnrolledDevice } from './act-gateway.ts'
import { connectLean, greet } from './greet.ts'

export interface FleetOrder {
  port: number
  site: string
  devices: EnrolledDevice[]
  gatewayKey: string
  contract: string
  /** Connected and no more: what the bare broker is measured with. */
  idle: boolean
  /** Mean time between two reports of one device, ms. */
  reportMs: number
}

const pingMs = 30_000
/** A fleet is switched on over some time, not in one millisecond. */
const apartMs = 2
const order = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as FleetOrder
const gatewayKey = parseCoseKey(Buffer.from(order.gatewayKey, 'hex'))
const call = (device: string) =>
  deviceTopic(order.site, device, 'call', order.contract.slice(0, order.contract.indexOf('@')))
const say = (fact: unknown) => process.stdout.write(`${JSON.stringify(fact)}\n`)

let up = 0
let acknowledged = 0
let waiting = 0
let reporting = true
let downMs: number | undefined

/** One more or one fewer is connected. */
function count(change: 1 | -1): void {
  up += change
  if (up === order.devices.length) {
    say({ all: up, ms: downMs === undefined ? null : systemClock.monotonicMs() - downMs })
    downMs = undefined
  } else if (change < 0) downMs ??= systemClock.monotonicMs()
}

class FleetDevice {
  readonly #device: EnrolledDevice
  readonly #key
  readonly #stream = systemRandom.bytes(16)
  readonly #call: string
  #epoch = 0
  #seq = 0
  #report: { id: Uint8Array; seq: number; text: string } | undefined

  constructor(device: EnrolledDevice) {
    this.#device = device
    this.#key = parseCoseKey(Buffer.from(device.key, 'hex'))
    this.#call = call(device.id)
  }

  async live(): Promise<never> {
    for (let failures = 0; ; ) {
      try {
        await this.#once(() => {
          failures = 0
        })
      } catch {
        // Refused, or gone before it was greeted: again, later.
      }
      failures++
      await systemClock.sleep(backoffMs(failures, systemRandom))
    }
  }

  /** One connection, from beginning to end. */
  async #once(began: () => void): Promise<void> {
    const { id } = this.#device
    const caller = { port: order.port, site: order.site, id, key: this.#key, epoch: ++this.#epoch }
    const line = await connectLean(caller, order.idle ? [this.#call] : deviceSubscriptions(order.site, id))
    const { client } = line
    let channel: Channel | undefined
    try {
      if (!order.idle) channel = await greet(caller, gatewayKey, line)
    } catch (error) {
      client.close()
      throw error
    }
    began()
    count(1)
    const ping = setInterval(() => client.ping(), pingMs)
    let next: NodeJS.Timeout | undefined
    if (channel) {
      const sealed = channel
      const send = () => {
        if (!this.#report) {
          if (!reporting) return
          this.#report = { id: systemRandom.bytes(16), seq: ++this.#seq, text: `report ${this.#seq} of ${id}` }
          waiting++
        }
        const { id: act, seq, text } = this.#report
        client.publish(
          Buffer.from(this.#call),
          sealed.seal(
            encodeRequest({
              contract: order.contract,
              id: act,
              atMs: systemClock.now(),
              act: { stream: this.#stream, seq },
              body: { text },
            }),
            this.#call,
          ),
        )
      }
      line.hear((topic, payload) => {
        const reply = decodeReply(sealed.open(payload, topic))
        if (!this.#report || !Buffer.from(reply.id).equals(this.#report.id)) return
        if (reply.problem) throw new Error(`refused: ${reply.problem.code} ${reply.problem.detail ?? ''}`)
        this.#report = undefined
        acknowledged++
        waiting--
        next = setTimeout(send, 2 * systemRandom.float() * order.reportMs)
      })
      next = setTimeout(send, systemRandom.float() * (this.#report ? 1_000 : order.reportMs))
    }
    await client.closed
    clearInterval(ping)
    clearTimeout(next)
    count(-1)
  }
}

createInterface(process.stdin).on('line', async (line) => {
  const { drain } = JSON.parse(line) as { drain?: boolean }
  reporting = !drain
  while (drain && waiting > 0) await systemClock.sleep(50)
  say({ acknowledged })
})
for (const device of order.devices) {
  void new FleetDevice(device).live()
  await systemClock.sleep(apartMs)
}
