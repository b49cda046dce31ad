/** The transport over MQTT.js. Its own reconnecting and queueing are off: the link and the outbox decide (ARCHITECTURE §5). */
import type { Duplex } from 'node:stream'
import { Problem } from '@azukari/protocol/problem'
import mqtt from 'mqtt'
import type { MqttSession, MqttTransport } from '../transport.ts'

export interface MqttTransportOptions {
  /** `mqtt://127.0.0.1:1883` or `mqtts://…`. */
  url: string
  /** PEM of the site's CA, for `mqtts`. */
  ca?: string | undefined
  /** Dials in place of the URL: a tunnel, or a stream in memory. */
  stream?: () => Duplex
}

/** @throws {Problem} `config.invalid` for what is no broker's address */
export function mqttTransport({ url, ca, stream }: MqttTransportOptions): MqttTransport {
  if (!/^mqtts?:\/\/[^/]/i.test(url))
    throw new Problem('config.invalid', `the broker ${url} is no address: mqtt://HOST:PORT or mqtts://HOST:PORT`)
  return {
    connect: (options, signal) =>
      new Promise<MqttSession>((resolve, reject) => {
        signal.throwIfAborted()
        const how: mqtt.IClientOptions = {
          ...(ca ? { ca } : {}),
          clientId: options.clientId,
          username: options.username,
          password: Buffer.from(options.password),
          will: {
            topic: options.will.topic,
            payload: Buffer.from(options.will.payload),
            retain: options.will.retain,
            qos: 1,
          },
          keepalive: Math.ceil(options.keepaliveMs / 1000),
          connectTimeout: options.connectLimitMs,
          reconnectPeriod: 0,
          resubscribe: false,
          queueQoSZero: false,
          writeCache: false,
          clean: true,
          protocolVersion: 4,
        }
        const client = stream ? new mqtt.MqttClient(() => stream(), how) : mqtt.connect(url, how)
        let reason = 'closed'
        let settled = false
        const { promise: closed, resolve: close } = Promise.withResolvers<string>()
        const abort = () => {
          reason = 'stopped'
          client.end(true)
        }
        signal.addEventListener('abort', abort, { once: true })
        client.on('error', (error) => {
          reason = error.message
          if (!settled) {
            settled = true
            // Return codes 4 and 5 of CONNACK: bad credentials, not authorised.
            const refused = 'code' in error && (error.code === 4 || error.code === 5)
            reject(new Problem(refused ? 'device.unknown' : 'link.offline', error.message))
          }
          client.end(true)
        })
        client.on('close', () => {
          signal.removeEventListener('abort', abort)
          close(reason)
          if (!settled) {
            settled = true
            reject(new Problem('link.offline', reason))
          }
          client.end(true)
        })
        client.on('message', (topic, payload) => options.onMessage({ topic, payload }))
        client.on('connect', () => {
          if (settled) return
          settled = true
          resolve(sessionOf(client, closed))
        })
      }),
  }
}

function sessionOf(client: mqtt.MqttClient, closed: Promise<string>): MqttSession {
  return {
    closed,
    publish: (topic, payload, { qos = 1, retain = false } = {}) =>
      new Promise((resolve, reject) => {
        if (!client.connected) return reject(new Problem('link.offline'))
        client.publish(
          topic,
          Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
          { qos, retain },
          (error) => (error ? reject(new Problem('link.offline', error.message)) : resolve()),
        )
      }),
    subscribe: async (filters) => {
      const granted = await client.subscribeAsync([...filters], { qos: 1 })
      const refused = granted.find((grant) => grant.qos > 2)
      if (refused) throw new Problem('message.unauthorised', refused.topic)
    },
    close: async () => {
      await client.endAsync(false).catch(() => client.end(true))
    },
  }
}
