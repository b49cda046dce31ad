/** Whether a broker can be reached at all: a connection is opened and closed, nothing is said on it. */
import { connect } from 'node:net'
import { Problem } from '@azukari/protocol/problem'

const defaultPorts: Readonly<Record<string, number>> = { 'mqtt:': 1883, 'mqtts:': 8883, 'tcp:': 1883, 'ssl:': 8883 }

/** @returns ms until it was connected. @throws {Problem} `link.offline`, `config.invalid` for what is no MQTT address */
export async function reach(broker: string, limitMs = 5_000): Promise<number> {
  const url = URL.canParse(broker) ? new URL(broker) : undefined
  const port = url && (url.port ? Number(url.port) : defaultPorts[url.protocol])
  if (!url || !port) throw new Problem('config.invalid', `${broker} is no address such as mqtt://gateway:1883`)
  const started = performance.now()
  return new Promise((resolve, reject) => {
    const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port })
    socket.setTimeout(limitMs, () => socket.destroy(new Error(`no answer within ${limitMs} ms`)))
    socket.once('error', (cause) => reject(new Problem('link.offline', cause.message, { cause })))
    socket.once('connect', () => {
      socket.destroy()
      resolve(Math.round(performance.now() - started))
    })
  })
}
