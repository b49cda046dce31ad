/**
 * A device made from the protocol's documents alone, with another MQTT client: for tests of the gateway, which must not
 * depend on our own runtime (interoperability of D3).
 */
import { createHmac, type KeyObject } from 'node:crypto'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { base32, parseBase32 } from '@azukari/protocol/base32'
import { decode, encode, encodeDeterministic } from '@azukari/protocol/codec'
import type { Contract, ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { type EnrolReply, enrol, enrolDomain } from '@azukari/protocol/contracts/fleet'
import { sign1, signerOf } from '@azukari/protocol/cose'
import { signCwt } from '@azukari/protocol/cwt'
import {
  birthDomain,
  Channel,
  checkWelcome,
  decodeEvent,
  decodeReply,
  type Event,
  encodeRequest,
  openGreeting,
  type Reply,
  signGreeting,
  welcomeDomain,
} from '@azukari/protocol/envelope'
import { coseKey, generateKey, parseCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { Problem, type ProblemWire } from '@azukari/protocol/problem'
import { deviceSubscriptions, deviceTopic, parseTopic } from '@azukari/protocol/topics'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'

const text = new TextEncoder()

export class TestDevice {
  readonly key: KeyObject
  readonly id: string
  readonly site: string
  trust: EnrolReply | undefined
  readonly events: Event[] = []
  readonly hints: string[] = []
  client!: MqttClient
  channel!: Channel
  epoch = 0
  onEvent: (event: Event) => void = () => {}
  onBlock: (transfer: string, index: number, payload: Uint8Array) => void = () => {}
  readonly #replies = new Map<string, (reply: Reply) => void>()
  #open: { answers: Uint8Array; resolve: (message: Record<string, unknown>) => void } | undefined
  #hinted: (() => void) | undefined

  constructor(site: string, key: KeyObject = generateKey('ed25519', systemRandom)) {
    this.site = site
    this.key = key
    this.id = base32(thumbprint(key).subarray(0, 15))
  }

  token(claims: Record<string, unknown> = {}, nowMs = Date.now()): Uint8Array {
    const iat = Math.floor(nowMs / 1000)
    return signCwt({ iss: this.id, aud: this.site, iat, exp: iat + 300, ...claims }, signerOf(this.key))
  }

  topic(kind: 'birth' | 'death' | 'call' | 'reply' | 'up', name?: string, index?: number): string {
    return deviceTopic(this.site, this.id, kind, name, index)
  }

  /** @throws what the broker answered */
  async connect(url: string, username: 'device' | 'claim' = 'device', more: IClientOptions = {}): Promise<void> {
    const claims = username === 'claim' ? { 8: new Map([[1, coseKey(publicOf(this.key))]]) } : {}
    this.client = await mqtt.connectAsync(url, {
      clientId: this.id,
      username,
      password: Buffer.from(this.token(claims)),
      protocolVersion: 4,
      reconnectPeriod: 0,
      keepalive: 30,
      will: { topic: this.topic('death'), payload: Buffer.from(encode({ epoch: 1 })), qos: 1, retain: true },
      ...more,
    })
    this.client.on('error', () => {})
    this.client.on('message', (topic, payload) => this.#receive(topic, payload))
    await this.client.subscribeAsync(
      username === 'claim' ? [this.topic('reply')] : deviceSubscriptions(this.site, this.id),
      { qos: 1 },
    )
  }

  /** One whole enrolment over a connection of its own. */
  async enrol(url: string, claimText: string, more: { key?: KeyObject; roles?: string[] } = {}): Promise<EnrolReply> {
    await this.connect(url, 'claim')
    try {
      return await this.claim(claimText, more)
    } finally {
      await this.client.endAsync()
    }
  }

  async claim(claimText: string, { roles = ['camera'] }: { roles?: string[] } = {}): Promise<EnrolReply> {
    const [claim, secretText] = claimText.split('.') as [string, string]
    const secret = parseBase32(secretText)!
    const hmac = (parts: unknown[]) =>
      new Uint8Array(createHmac('sha256', secret).update(encodeDeterministic(parts)).digest())
    const body = {
      claim,
      key: coseKey(publicOf(this.key)),
      proof: hmac([enrolDomain, this.site, claim, thumbprint(this.key)]),
      model: 'test',
      version: '1',
      roles,
    }
    const id = systemRandom.bytes(16)
    const message = encode({ i: id, s: sign1(encodeDeterministic(body), signerOf(this.key), text.encode(enrolDomain)) })
    const reply = await this.openExchange(this.topic('call', enrol.name), message, id)
    if (reply['p']) throw Problem.fromWire(reply['p'] as ProblemWire)
    const trust = enrol.checkReply(reply['b'])
    const proof = hmac([enrolDomain, trust.device, trust.gatewayKey, trust.placementKey, trust.placementAgreement])
    if (!Buffer.from(proof).equals(trust.proof)) throw new Error('the site could not prove itself')
    this.trust = trust
    return trust
  }

  /** Greets and makes the channel. */
  async greet(epoch: number = this.epoch + 1): Promise<void> {
    this.epoch = epoch
    const share = generateKey('x25519', systemRandom)
    const birth = {
      site: this.site,
      device: this.id,
      epoch,
      share: coseKey(publicOf(share)),
      nonce: systemRandom.bytes(16),
      at: Date.now(),
      model: 'test',
      version: '2',
      roles: ['camera'],
    }
    const reply = await this.openExchange(
      this.topic('birth'),
      signGreeting(birth, signerOf(this.key), birthDomain),
      birth.nonce,
      true,
    )
    if (reply['p']) throw Problem.fromWire(reply['p'] as ProblemWire)
    const gatewayKey = parseCoseKey(this.trust!.gatewayKey)
    const welcome = openGreeting(reply['s'] as Uint8Array, () => gatewayKey, welcomeDomain, checkWelcome)
    this.channel = Channel.agree('device', share, welcome.share, birth, welcome.session)
  }

  /** @param id of what is sent, which its answer repeats: others may be answered on the same topic */
  async openExchange(
    topic: string,
    message: Uint8Array,
    id: Uint8Array,
    retain = false,
  ): Promise<Record<string, unknown>> {
    const { promise, resolve } = Promise.withResolvers<Record<string, unknown>>()
    this.#open = { answers: id, resolve }
    await this.client.publishAsync(topic, Buffer.from(message), { qos: 1, retain })
    return promise
  }

  async call<C extends Contract>(
    contract: C,
    body: RequestOf<C>,
    more: Partial<Parameters<typeof encodeRequest>[0]> = {},
  ): Promise<ReplyOf<C>> {
    const reply = await this.ask(contract, body, more)
    if (reply.problem) throw Problem.fromWire(reply.problem)
    return contract.checkReply(reply.body) as ReplyOf<C>
  }

  async ask(
    contract: Pick<Contract, 'id' | 'name'>,
    body: unknown,
    more: Partial<Parameters<typeof encodeRequest>[0]> = {},
  ): Promise<Reply> {
    const id = more.id ?? systemRandom.bytes(16)
    const { promise, resolve } = Promise.withResolvers<Reply>()
    this.#replies.set(Buffer.from(id).toString('hex'), resolve)
    const topic = this.topic('call', contract.name)
    this.client.publish(
      topic,
      Buffer.from(
        this.channel.seal(encodeRequest({ contract: contract.id, id, atMs: Date.now(), body, ...more }), topic),
      ),
      { qos: 1 },
    )
    return promise
  }

  async hint(): Promise<void> {
    if (this.hints.length === 0) await new Promise<void>((resolve) => (this.#hinted = resolve))
    this.hints.length = 0
  }

  close(): Promise<void> {
    return this.client.endAsync(true)
  }

  #receive(topic: string, payload: Buffer): void {
    if (topic.endsWith('/reply')) {
      if (payload[0] !== 0xd0) {
        const message = decode(payload) as Record<string, unknown>
        if (message['hint']) {
          this.hints.push(String(message['hint']))
          this.#hinted?.()
        } else if (this.#open && Buffer.compare(message['i'] as Uint8Array, this.#open.answers) === 0)
          this.#open.resolve(message)
        return
      }
      const reply = decodeReply(this.channel.open(payload, topic))
      this.#replies.get(Buffer.from(reply.id).toString('hex'))?.(reply)
    } else if (topic.includes('/down/')) {
      const { name, index } = parseTopic(topic)
      this.onBlock(name!, index!, new Uint8Array(payload))
    } else if (topic.includes('/evt/')) {
      const event = decodeEvent(this.channel.open(payload, topic))
      this.events.push(event)
      this.onEvent(event)
    }
  }
}
