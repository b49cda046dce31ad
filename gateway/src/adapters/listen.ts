/** TCP and TLS sockets as a source of connections for the broker. */
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { Problem } from '@azukari/protocol/problem'
import type { Listener } from '../broker/embedded.ts'
import { Budgets } from '../budgets/budgets.ts'
import { guardSockets } from './socket-gate.ts'

export interface ListenOptions {
  host: string
  /** 0 = any free port; see `port` afterwards. */
  port: number
  /** PEM; without it the line is open, which is for loopback only. */
  tls?: { key: string; cert: string } | undefined
  /** Allows an open line beyond loopback, for instance behind a TLS proxy. */
  insecure?: boolean
  /** TLS handshakes under way at once, and those of one address. */
  handshakes?: { all: number; each: number }
  /** Where it shows what is in use. */
  budgets?: Budgets
}

const standardHandshakes = { all: 2_000, each: 1_000 }

export interface SocketListener extends Listener {
  /** The port in use, once started. */
  readonly port: number
}

/** How long a TLS handshake may take. */
const handshakeMs = 10_000

/** @throws {Problem} `config.invalid` for an open line that others could hear */
export function listenOn({
  host,
  port,
  tls,
  insecure = false,
  handshakes = standardHandshakes,
  budgets = new Budgets(),
}: ListenOptions): SocketListener {
  if (!tls && !insecure && !isLoopback(host))
    throw new Problem(
      'config.invalid',
      `${host} is not loopback: give a TLS key and certificate, or allow an insecure line`,
    )
  let server: Server | undefined
  let bound = port
  return {
    get port() {
      return bound
    },
    start: (accept) =>
      new Promise((resolve, reject) => {
        const take = (socket: Socket) => {
          // Small packets must not wait for more (Nagle and delayed acknowledgements cost 40 ms each).
          socket.setNoDelay(true)
          accept(socket)
        }
        const options: TlsOptions = { minVersion: 'TLSv1.3', handshakeTimeout: handshakeMs, ...tls }
        if (tls) {
          server = createTlsServer(options, (socket) => {
            gate.prove(socket)
            take(socket)
          })
          const gate = guardSockets(server, budgets.pool('handshakes', { stranger: handshakes }))
        } else server = createServer({ noDelay: true }, take)
        server.on('tlsClientError', (_error, socket) => socket.destroy())
        server.once('error', (error) => reject(new Problem('config.invalid', `${host}:${port}: ${error.message}`)))
        server.listen({ host, port, backlog: 4_096 }, () => {
          const address = server?.address()
          bound = typeof address === 'object' && address ? address.port : port
          server?.on('error', () => undefined)
          resolve()
        })
      }),
    // Open connections are the broker's to end.
    stop: async () => void server?.close(),
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
