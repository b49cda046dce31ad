/**
 * Sockets at a listener that have not proved who they are: TLS handshakes that do not end, requests that do not come.
 * They have a budget of their own, counted from the first packet; when it is used up the oldest goes.
 */
import type { Server, Socket } from 'node:net'
import { addressKey } from '../budgets/address.ts'
import { Lobby } from '../budgets/lobby.ts'
import type { Pool } from '../budgets/pool.ts'

export interface SocketGate {
  /** This one has proved who it is, and is counted elsewhere. TLS sockets are known by the address of the one below. */
  prove(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): void
}

/** Guards a server that is about to listen. @param pool with a share for `stranger` */
export function guardSockets(server: Server, pool: Pool): SocketGate {
  const lobby = new Lobby<Socket>(pool, 'stranger', (socket) => void socket.destroy())
  const waiting = new Map<string, Socket>()
  server.prependListener('connection', (socket: Socket) => {
    const name = nameOf(socket)
    waiting.set(name, socket)
    // Before it enters, which may end it at once.
    socket.once('close', () => {
      lobby.leave(socket)
      if (waiting.get(name) === socket) waiting.delete(name)
    })
    socket.on('error', () => undefined)
    lobby.enter(socket, addressKey(socket.remoteAddress))
  })
  return {
    prove: (socket) => {
      const name = nameOf(socket)
      const raw = waiting.get(name)
      if (!raw) return
      waiting.delete(name)
      lobby.leave(raw)
    },
  }
}

function nameOf({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress} ${remotePort}`
}
