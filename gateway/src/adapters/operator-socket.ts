/** The Unix socket in a site's folder on which operators' commands are answered. Only the folder's own user may connect. */
import { rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { type SocketAddress, socketAddress } from '@azukari/protocol/adapters/socket-address'
import { Problem } from '@azukari/protocol/problem'

const name = 'operator.sock'
const maxConnections = 16
/** How long a caller has to send its call, ms. */
const callMs = 10_000

/** Whoever has connected. */
export type Caller = Socket

export interface OperatorSocket {
  /** Takes no more calls, ends those under way and removes the socket. */
  close(): Promise<void>
}

/** @throws {Problem} `folder.in-use` when another process answers there */
export async function listenForOperators(
  folder: string,
  answer: (socket: Caller) => Promise<void>,
): Promise<OperatorSocket> {
  const address = socketAddress(folder, name)
  try {
    if (await reaches(address.path)) throw new Problem('folder.in-use', `${folder}/${name}`)
    rmSync(address.path, { force: true })
    const open = new Set<Socket>()
    const server = createServer((socket) => {
      open.add(socket)
      socket.on('error', () => socket.destroy())
      socket.once('close', () => open.delete(socket))
      socket.setTimeout(callMs, () => socket.destroy())
      void answer(socket).finally(() => socket.end())
    })
    server.maxConnections = maxConnections
    await bind(server, address.path)
    return {
      close: async () => {
        const closed = new Promise<void>((done) => server.close(() => done()))
        for (const socket of open) socket.destroy()
        await closed
        rmSync(`${folder}/${name}`, { force: true })
        address.close()
      },
    }
  } catch (error) {
    address.close()
    throw error
  }
}

/** A connection to the running site. @throws {Problem} `operator.not-running` */
export async function connectToSite(folder: string): Promise<Socket> {
  let address: SocketAddress | undefined
  try {
    address = socketAddress(folder, name)
    return await opened(address.path)
  } catch (cause) {
    if (cause instanceof Problem) throw cause
    throw new Problem('operator.not-running', folder, { cause })
  } finally {
    address?.close()
  }
}

function opened(path: string): Promise<Socket> {
  return new Promise((done, failed) => {
    const socket = connect(path)
    socket.once('error', failed)
    socket.once('connect', () => {
      socket.off('error', failed)
      done(socket)
    })
  })
}

async function reaches(path: string): Promise<boolean> {
  try {
    const socket = await opened(path)
    socket.destroy()
    return true
  } catch {
    return false
  }
}

/** The socket never exists with wider rights: it is made under a mask. */
function bind(server: Server, path: string): Promise<void> {
  const mask = process.umask(0o177)
  try {
    return new Promise((done, failed) => {
      server.once('error', failed)
      server.listen(path, () => {
        server.off('error', failed)
        done()
      })
    })
  } finally {
    process.umask(mask)
  }
}
