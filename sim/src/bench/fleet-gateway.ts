/** The process that B11 measures: `gateway FOLDER KEYFILE PORT` is the whole gateway, `bare PORT` the bare broker. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { Aedes } from 'aedes'

const say = (fact: unknown) => process.stdout.write(`${JSON.stringify(fact)}\n`)
const [role, ...rest] = process.argv.slice(2)

if (role === 'gateway') {
  // Loaded here alone: the bare broker's memory is a broker's.
  const { startActGateway } = await import('./act-gateway.ts')
  const { parseCoseKey } = await import('@azukari/protocol/keys')
  const [folder, keyFile, port] = rest
  const { bus, records, ...started } = await startActGateway(
    folder!,
    parseCoseKey(Buffer.from(readFileSync(keyFile!, 'utf8'), 'hex')),
    Number(port),
  )
  say({ port: started.port })
  createInterface(process.stdin).on('line', async () => {
    const { n, devices } = (await records.get<{ n: number; devices: number }>(
      'SELECT count(*) AS n, count(DISTINCT device) AS devices FROM records',
    ))!
    const twice = (await records.get<{ n: number }>(
      'SELECT count(*) AS n FROM (SELECT 1 FROM records GROUP BY device, text HAVING count(*) > 1)',
    ))!.n
    say({ connections: bus.connections, records: n, devices, twice })
  })
} else {
  const broker = await Aedes.createBroker({ concurrency: 1_000 })
  const server = createServer({ noDelay: true }, (socket) => void broker.handle(socket))
  server.listen(Number(rest[0] ?? 0), '127.0.0.1', 4_096)
  await once(server, 'listening')
  say({ port: (server.address() as { port: number }).port })
}
