/** What puts load on: clients in a process of their own (B2, B10), and the bare broker that a gateway is held against. */
import { fork } from 'node:child_process'
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

/** Runs a script of clients: it gets its order, is told to go when it is ready, and says what came of it. */
export function load<Result>(script: URL, order: object): Promise<Result> {
  const child = fork(script, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
  return new Promise((resolve, reject) => {
    child.on('message', (message: { ready?: boolean; result?: Result; error?: string }) => {
      if (message.ready) child.send({ go: true })
      else if (message.result) resolve(message.result)
      else reject(new Error(message.error))
    })
    child.once('exit', (code) => reject(new Error(`the clients ended with ${code}`)))
    child.send(order)
  })
}

/** Does work while a broker runs that only forwards. */
export async function withBareBroker<T>(work: (port: number) => Promise<T>): Promise<T> {
  const broker = await Aedes.createBroker({ concurrency: 1_000 })
  const server = createServer({ noDelay: true }, (socket) => void broker.handle(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await work((server.address() as { port: number }).port)
  } finally {
    await new Promise<void>((resolve) => broker.close(() => resolve()))
    server.close()
  }
}
