/** Whether a gateway that lets nobody in answers on its MQTT port: as a client of the network sees it (D6). */
import { Problem } from '@azukari/protocol/problem'
import mqtt from 'mqtt'

const limitMs = 10_000
/** CONNACK: server unavailable (MQTT 3.1.1 §3.2.2.3), which is what a gateway on trial answers. */
const unavailable = 3

/** @throws {Problem} `link.offline` when there is no answer, or another than a refusal */
export async function selfProbe({ host, port, tls }: { host: string; port: number; tls: boolean }): Promise<void> {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  const address = name.includes(':') ? `[${name}]` : name
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const client = mqtt.connect({
    protocol: tls ? 'mqtts' : 'mqtt',
    host: name,
    port,
    clientId: 'knock',
    username: 'device',
    password: '',
    reconnectPeriod: 0,
    connectTimeout: limitMs,
    // It is this process that answers; whose certificate it has is for devices to judge.
    rejectUnauthorized: false,
  })
  client.on('connect', () => reject(new Problem('link.offline', 'somebody without a key was let in')))
  client.on('error', (error) => {
    if ('code' in error && error.code === unavailable) resolve()
    else reject(new Problem('link.offline', `${address}:${port}: ${error.message}`))
  })
  client.on('close', () => reject(new Problem('link.offline', `${address}:${port} does not answer`)))
  try {
    await promise
  } finally {
    client.end(true)
  }
}
