/** Any MQTT broker in place of the embedded one (ARCHITECTURE §12), over MQTT.js. It is trusted with delivery only. */
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { gatewaySubscriptions, parseTopic, type Topic } from '@azukari/protocol/topics'
import mqtt, { type MqttClient } from 'mqtt'
import type { Bus, BusHandlers, PublishOptions } from '../broker/bus.ts'

export interface MqttBusOptions {
  site: string
  /** `mqtt://host:1883` or `mqtts://…`. */
  url: string
  username?: string | undefined
  password?: string | undefined
  /** PEM of the broker's CA, for `mqtts`. */
  ca?: string | undefined
  clientId: string
  /** Said, retained, by the broker when the gateway is gone without a farewell. */
  will?: { topic: string; payload: string }
  clock: Clock
  log: Log
}

/** Bytes that may wait for a broker that does not take them; beyond it messages are dropped and asked for again. */
const maxWaitingBytes = 64 * 1024 * 1024
const startLimitMs = 10_000

export class MqttBus implements Bus {
  readonly #options: MqttBusOptions
  #client: MqttClient | undefined
  #waitingBytes = 0

  constructor(options: MqttBusOptions) {
    this.#options = options
  }

  start(handlers: BusHandlers): Promise<void> {
    const { url, username, password, ca, clientId, will, site, log, clock } = this.#options
    return new Promise((resolve, reject) => {
      const client = mqtt.connect(url, {
        clientId,
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password }),
        ...(ca !== undefined && { ca }),
        ...(will && { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1 as const, retain: true } }),
        protocolVersion: 4,
        clean: true,
        keepalive: 30,
        reconnectPeriod: 1_000,
        queueQoSZero: false,
        writeCache: false,
      })
      this.#client = client
      const limit = clock.timer(startLimitMs, () =>
        reject(new Problem('link.offline', `the broker ${url} does not answer`)),
      )
      client.on('connect', () => {
        client.subscribe(gatewaySubscriptions(site), { qos: 1 }, (error, granted) => {
          if (error || granted?.some((grant) => grant.qos > 2)) {
            log.error('the broker does not let the gateway subscribe', { error: error?.message })
            reject(
              new Problem(
                'message.unauthorised',
                'the broker does not let the gateway subscribe; see `azukari-gateway acl`',
              ),
            )
            return
          }
          limit.cancel()
          log.info('the broker is connected', { url })
          handlers.up()
          resolve()
        })
      })
      client.on('close', () => log.warn('the broker is not connected', { url }))
      client.on('error', (error) => log.warn('the broker', { error: error.message }))
      // Called one packet after the other: a promise holds the next one back. Its acknowledgement says nothing.
      client.handleMessage = (packet, done) => {
        const topic = this.#topicOf(packet.topic)
        const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload
        const waiting = topic && payload.length > 0 ? handlers.message(topic, payload) : undefined
        // One device's disk must not hold up all others here, where they share a line.
        waiting?.catch(() => undefined)
        done()
      }
    })
  }

  publish(topic: string, payload: Uint8Array, { retain = false }: PublishOptions = {}): void {
    const client = this.#client
    if (!client?.connected) return
    if (this.#waitingBytes + payload.length > maxWaitingBytes) {
      this.#options.log.warn('the broker takes too little; a message was dropped', { topic })
      return
    }
    this.#waitingBytes += payload.length
    // QoS 1 throughout: on a foreign broker QoS 0 is the first thing to go.
    client.publish(
      topic,
      Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
      { qos: 1, retain },
      () => {
        this.#waitingBytes -= payload.length
      },
    )
  }

  disconnect(): void {
    // A foreign broker's clients are not ours to cut off; without a channel they are not heard.
  }

  async stop(): Promise<void> {
    await this.#client?.endAsync(false).catch(() => this.#client?.end(true))
  }

  #topicOf(text: string): (Topic & { device: string }) | undefined {
    try {
      const topic = parseTopic(text)
      return topic.device !== undefined && topic.site === this.#options.site
        ? (topic as Topic & { device: string })
        : undefined
    } catch (error) {
      if (isProblem(error)) return undefined
      throw error
    }
  }
}
