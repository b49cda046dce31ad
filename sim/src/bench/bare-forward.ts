/** The bare broker's block rate: aedes forwarding 64 KiB blocks at QoS 1 from one process to another, in a window of 32. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Aedes } from 'aedes'
import mqtt from 'mqtt'
import { Measured } from './process.ts'

const window = 32

/** MB/s. Broker, sender and receiver are processes of their own. */
export async function bareForward(blocks: number): Promise<number> {
  const broker = new Measured([import.meta.filename, 'broker'])
  const clients: Measured[] = []
  try {
    const { port } = await broker.said('port')
    const url = `mqtt://127.0.0.1:${port}`
    const receiver = new Measured([import.meta.filename, 'receive', url, String(blocks)])
    clients.push(receiver)
    await receiver.said('up')
    const sender = new Measured([import.meta.filename, 'send', url, String(blocks)])
    clients.push(sender)
    const { ms } = await receiver.said('ms')
    return ((blocks - 1) * 65.536) / Number(ms)
  } finally {
    await Promise.all([broker, ...clients].map((one) => one.end()))
  }
}

async function act(role: string, url: string, blocks: number): Promise<void> {
  const say = (fact: unknown) => process.stdout.write(`${JSON.stringify(fact)}\n`)
  if (role === 'broker') {
    const broker = await Aedes.createBroker({ concurrency: 100 })
    const server = createServer((socket) => broker.handle(socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    say({ port: (server.address() as { port: number }).port })
    return
  }
  const client = await mqtt.connectAsync(url, { protocolVersion: 4 })
  if (role === 'receive') {
    await client.subscribeAsync('blocks/#', { qos: 1 })
    let received = 0
    let started = 0
    client.on('message', () => {
      if (++received === 1) started = performance.now()
      if (received === blocks) say({ ms: performance.now() - started })
    })
    say({ up: true })
    return
  }
  const block = crypto.getRandomValues(new Uint8Array(65_536))
  let sent = 0
  const next = async () => {
    while (sent < blocks) await client.publishAsync(`blocks/${sent++}`, Buffer.from(block.buffer), { qos: 1 })
  }
  await Promise.all(Array.from({ length: window }, next))
}

const [script, role, url = '', blocks] = process.argv.slice(1)
if (script === import.meta.filename && role) await act(role, url, Number(blocks))
