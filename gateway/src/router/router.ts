/**
 * Takes what devices send to whoever does it, and the answers back (D3, D4). Everything here is checked before it is
 * believed: who sent it (the sealed channel), which contract, whether a device may use it, whether it is still wanted,
 * how much this device has under way. What a body must look like is checked by whoever handles it.
 */
import { encode } from '@azukari/protocol/codec'
import type { Contract } from '@azukari/protocol/contract'
import { enrol } from '@azukari/protocol/contracts/fleet'
import { decodeRequest, encodeEvent, encodeReply, type Request } from '@azukari/protocol/envelope'
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem, Problem, type ProblemWire } from '@azukari/protocol/problem'
import { deviceTopic, type Topic } from '@azukari/protocol/topics'
import type { Bus } from '../broker/bus.ts'
import { Budgets } from '../budgets/budgets.ts'
import { type Channels, nonceOf, type Peer } from '../registry/channels.ts'
import { type EnrolPorts, enrolDevice, openEnrolment } from '../registry/enrol.ts'
import type { QueuedEvent, Service, ServiceReply, ServiceRequest } from '../service/service.ts'
import type { TransferBuffer } from '../transfer/buffer.ts'
import { RouterBudgets, type RouterLimits, routerLimits } from './router-budgets.ts'

export interface RouterOptions {
  site: string
  bus: Bus
  channels: Channels
  enrolment: EnrolPorts
  buffer: TransferBuffer
  /** Who does which contract, by the contract's `service`. */
  services: ReadonlyMap<string, Service>
  /** All contracts that devices may name. */
  contracts: readonly Contract[]
  clock: Clock
  log: Log
  onBorn: (device: string) => void
  onGone: (device: string) => void
  limits?: Partial<RouterLimits>
  /** Where it shows what is in use. */
  budgets?: Budgets
}

/** Time for a device to read its welcome, if it says nothing first. */
const settleMs = 500

/** How often one device is told that its channel is not known. */
const hintEveryMs = 1_000
const maxHinted = 10_000

export interface RouterCounts {
  requests: number
  refused: number
  unopened: number
  blocks: number
  births: number
  enrolments: number
}

export class Router {
  readonly counts: RouterCounts = { requests: 0, refused: 0, unopened: 0, blocks: 0, births: 0, enrolments: 0 }
  readonly #options: RouterOptions
  readonly #budgets: RouterBudgets
  readonly #contracts: ReadonlyMap<string, Contract>
  readonly #hinted = new Map<string, number>()
  #underWay = 0
  #greetings = 0
  #idle: (() => void)[] = []
  #stopping = false

  constructor(options: RouterOptions) {
    this.#options = options
    this.#budgets = new RouterBudgets(options.budgets ?? new Budgets(), { ...routerLimits, ...options.limits })
    // Devices may send calls and acts; what services say to each other is never theirs to say.
    const open = options.contracts.filter(
      ({ kind, authority }) => (kind === 'call' || kind === 'act') && authority !== 'service' && authority !== 'claim',
    )
    this.#contracts = new Map(open.map((contract) => [contract.id, contract]))
  }

  get underWay(): number {
    return this.#underWay
  }

  /** A message from the bus. */
  message(topic: Topic & { device: string }, payload: Uint8Array): Promise<void> | undefined {
    switch (topic.kind) {
      case 'up':
        this.counts.blocks++
        // Blocks carry no seal of their own: only a device that has greeted has a transfer, and each must match its hash.
        return this.#options.channels.get(topic.device)
          ? this.#options.buffer.block(topic.device, topic.name!, topic.index!, payload)
          : undefined
      case 'call':
        if (topic.name === enrol.name) return this.#greeting('claimant', topic.device, payload)
        this.#request(topic, payload)
        return undefined
      case 'birth':
        return this.#greeting('device', topic.device, payload)
      case 'death':
        return undefined
      default:
        return undefined
    }
  }

  /** The device's line is gone: it greets when it comes back. */
  gone(device: string): void {
    this.#options.channels.drop(device)
    this.#options.onGone(device)
  }

  /** Sends an event, if the device has greeted. */
  event(event: QueuedEvent): void {
    const { channels, bus, site } = this.#options
    const peer = channels.get(event.device)
    if (!peer?.settled) return
    const topic = deviceTopic(site, event.device, 'evt', event.contract.slice(0, event.contract.indexOf('@')))
    bus.publish(topic, peer.channel.seal(encodeEvent(event), topic), { qos: event.keep ? 1 : 0 })
  }

  /** Refuses what is new and resolves when everything under way was answered. */
  async stop(): Promise<void> {
    this.#stopping = true
    if (this.#underWay > 0 || this.#greetings > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #request(topic: Topic & { device: string }, payload: Uint8Array): void {
    const { channels, site, clock } = this.#options
    const peer = channels.get(topic.device)
    if (!peer) {
      this.#hint(topic.device)
      return
    }
    let request: Request
    try {
      request = decodeRequest(peer.channel.open(payload, deviceTopic(site, topic.device, 'call', topic.name)))
    } catch (error) {
      this.counts.unopened++
      if (!isProblem(error)) throw error
      // What does not open was sealed for another channel, or by somebody else; what opens and makes no sense is the device's own fault.
      if (error.code === 'session.unknown' || error.code.startsWith('cose.')) {
        this.#hint(topic.device)
        return
      }
      this.#options.log.warn('a request could not be read', {
        device: topic.device,
        code: error.code,
        detail: error.detail,
      })
      return
    }
    if (!peer.settled) this.#settle(peer)
    const room =
      this.#judge(request, topic.name!, clock.now()) ?? this.#budgets.request(peer.device, payload.byteLength)
    if (room instanceof Problem) {
      this.counts.refused++
      this.#reply(peer, request.id, { problem: room.toWire() })
      return
    }
    const service = this.#options.services.get(this.#contracts.get(request.contract)!.service)!
    this.counts.requests++
    this.#underWay++
    const { contract, id, atMs, body } = request
    const handed: ServiceRequest = { caller: peer.caller, contract, id, atMs, body }
    if (request.act) handed.act = request.act
    if (request.trace) handed.trace = request.trace
    if (request.token) handed.token = request.token
    service
      .handle(handed)
      .catch((error: unknown): ServiceReply => {
        this.#options.log.error('a service failed', { service: service.name, contract, error: String(error) })
        return { problem: new Problem('internal').toWire() }
      })
      .then((reply) => {
        room.release()
        this.#underWay--
        this.#reply(peer, id, reply)
        this.#tellIdle()
      })
      .catch((error: unknown) =>
        this.#options.log.error('a reply could not be sent', { device: peer.device, contract, error: String(error) }),
      )
  }

  #judge(request: Request, operation: string, nowMs: number): Problem | undefined {
    const contract = this.#contracts.get(request.contract)
    if (!contract || contract.name !== operation) return new Problem('message.unknown-contract', request.contract)
    if (!this.#options.services.has(contract.service)) return new Problem('service.unavailable', contract.service)
    if ((contract.kind === 'act') !== (request.act !== undefined))
      return new Problem('message.invalid', `${contract.id} is ${contract.kind === 'act' ? 'an act' : 'a call'}`)
    if (request.expiresMs !== undefined && request.expiresMs < nowMs) return new Problem('message.expired')
    if (this.#stopping) return new Problem('service.unavailable', 'the gateway stops')
    return undefined
  }

  #reply(to: Peer, id: Uint8Array, reply: ServiceReply): void {
    // Under the channel of now: the device may have greeted again meanwhile.
    const peer = this.#options.channels.get(to.device)
    if (!peer) return
    const sealed = peer.channel.seal(encodeReply({ id, ...reply }), peer.replyTopic)
    // Who hears nothing asks again, so the broker need not acknowledge.
    this.#options.bus.publish(peer.replyTopic, sealed, { qos: 0 })
  }

  #greeting(kind: 'device' | 'claimant', device: string, message: Uint8Array): Promise<void> | undefined {
    if (this.#stopping) return undefined
    const place = this.#budgets.greeting(kind, device, this.#options.clock.monotonicMs())
    if (place instanceof Problem) {
      this.#decline(kind, device, message, place)
      return undefined
    }
    this.#greetings++
    return (kind === 'device' ? this.#birth(device, message) : this.#enrol(device, message)).finally(() => {
      place.release()
      this.#greetings--
      this.#tellIdle()
    })
  }

  /** Says why a greeting is not looked at; what cannot even be read is not answered. */
  #decline(kind: 'device' | 'claimant', device: string, message: Uint8Array, problem: Problem): void {
    this.counts.refused++
    const p = problem.toWire()
    if (kind === 'device') {
      const i = nonceOf(message)
      if (i) this.#open(device, { i, p })
      return
    }
    try {
      this.#open(device, { i: openEnrolment(message).id, p }, { toClaimants: true })
    } catch (error) {
      if (!isProblem(error)) throw error
    }
  }

  async #birth(device: string, message: Uint8Array): Promise<void> {
    const { channels, log, clock } = this.#options
    try {
      const { birth, welcome, peer } = await channels.greet(device, message)
      this.counts.births++
      this.#open(device, { i: birth.nonce, s: welcome })
      log.info('a device greeted', { device, epoch: birth.epoch, version: birth.version })
      clock.timer(settleMs, () => this.#settle(peer))
    } catch (error) {
      const nonce = nonceOf(message)
      const problem = this.#problemOf(error)
      log.info('a birth was refused', { device, code: problem.code, detail: problem.detail })
      if (nonce) this.#open(device, { i: nonce, p: problem })
    }
  }

  /** Events wait until the device has made its end of the channel, or it would take the first for a stranger's. */
  #settle(peer: Peer): void {
    if (peer.settled || this.#options.channels.get(peer.device) !== peer) return
    peer.settled = true
    this.#options.onBorn(peer.device)
  }

  async #enrol(device: string, message: Uint8Array): Promise<void> {
    const { enrolment, log, channels } = this.#options
    let id: Uint8Array | undefined
    try {
      const opened = openEnrolment(message)
      id = opened.id
      const { reply, again } = await enrolDevice(enrolment, device, opened.signed)
      if (!again) {
        channels.drop(device)
        this.counts.enrolments++
        log.info('a device was enrolled', { device, region: reply.region })
      }
      this.#open(device, { i: id, b: reply }, { toClaimants: true })
    } catch (error) {
      const problem = this.#problemOf(error)
      log.warn('an enrolment was refused', { device, code: problem.code })
      if (id) this.#open(device, { i: id, p: problem }, { toClaimants: true })
    }
  }

  /** A message outside any channel. */
  #open(device: string, message: Record<string, unknown>, to: { toClaimants?: boolean } = {}): void {
    this.#options.bus.publish(deviceTopic(this.#options.site, device, 'reply'), encode(message), { qos: 1, ...to })
  }

  /** Asks a device to greet again; not too often, since anybody can provoke it on a foreign broker. */
  #hint(device: string): void {
    const nowMs = this.#options.clock.monotonicMs()
    const last = this.#hinted.get(device)
    if (last !== undefined && nowMs - last < hintEveryMs) return
    this.#hinted.delete(device)
    this.#hinted.set(device, nowMs)
    if (this.#hinted.size > maxHinted) this.#hinted.delete(this.#hinted.keys().next().value!)
    this.#open(device, { hint: 'session.unknown' })
  }

  #problemOf(error: unknown): ProblemWire {
    if (isProblem(error)) return error.toWire()
    this.#options.log.error('a greeting failed', {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
    return new Problem('internal').toWire()
  }

  #tellIdle(): void {
    if (this.#underWay > 0 || this.#greetings > 0) return
    const idle = this.#idle
    this.#idle = []
    for (const resolve of idle) resolve()
  }
}
