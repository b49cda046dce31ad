/**
 * The Unix socket in a device's folder on which the running board answers programs of the same machine: commands of its owner, and
 * apps that live by a licence. Only the folder's own user may connect. One line of JSON asks, one answers; who stays connected hears
 * at once that the board has ended.
 */
import { rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { socketAddress } from '@azukari/protocol/adapters/socket-address'
import { Problem, type ProblemWire } from '@azukari/protocol/problem'

const name = 'device.sock'
const maxConnections = 32
/** Of one line. */
const lineMaxBytes = 16_384

export type LocalAnswer = { reply: unknown; problem?: never } | { problem: ProblemWire; reply?: never }

export interface LocalSocket {
  close(): Promise<void>
}

/** @param answer what a line of JSON asks; what it throws is answered as a problem */
export async function listenLocally(
  folder: string,
  answer: (request: unknown, signal: AbortSignal) => Promise<unknown>,
): Promise<LocalSocket> {
  const address = socketAddress(folder, name)
  // Whoever holds the folder's lock is the only board in it: a socket that lies there is left from one that died.
  rmSync(`${folder}/${name}`, { force: true })
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    const gone = new AbortController()
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      open.delete(socket)
      gone.abort(new Problem('link.offline', 'the asking program has ended'))
    })
    void serve(socket, (request) => answer(request, gone.signal))
  })
  server.maxConnections = maxConnections
  const mask = process.umask(0o177)
  try {
    await new Promise<void>((done, failed) => {
      server.once('error', failed)
      server.listen(address.path, () => done())
    })
  } finally {
    process.umask(mask)
  }
  let closing: Promise<void> | undefined
  return {
    close: () => {
      closing ??= close()
      return closing
    },
  }

  async function close(): Promise<void> {
    const closed = new Promise<void>((done) => server.close(() => done()))
    for (const socket of open) socket.destroy()
    await closed
    rmSync(`${folder}/${name}`, { force: true })
    address.close()
  }
}

async function serve(socket: Socket, answer: (request: unknown) => Promise<unknown>): Promise<void> {
  let waiting = 0
  socket.on('data', (part: Buffer) => {
    const end = part.lastIndexOf(0x0a)
    waiting = end < 0 ? waiting + part.length : part.length - end - 1
    if (waiting > lineMaxBytes) socket.destroy()
  })
  for await (const line of createInterface({ input: socket })) {
    let answered: LocalAnswer
    try {
      answered = { reply: await answer(JSON.parse(line)) }
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem('message.invalid', String(error))
      answered = { problem: problem.toWire() }
    }
    if (!socket.destroyed) socket.write(`${JSON.stringify(answered)}\n`)
  }
}

/** A program's line to the running board. */
export class LocalLine {
  readonly #socket: Socket
  readonly #lines: AsyncIterator<string>
  /** Resolves when the board has ended, or is gone. */
  readonly closed: Promise<void>

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]()
    socket.on('error', () => socket.destroy())
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
  }

  /** @throws {Problem} `device.not-running` */
  static async open(folder: string): Promise<LocalLine> {
    const address = socketAddress(folder, name)
    try {
      return await new Promise<LocalLine>((done, failed) => {
        const socket = connect(address.path)
        socket.once('error', failed)
        socket.once('connect', () => {
          socket.off('error', failed)
          done(new LocalLine(socket))
        })
      })
    } catch (cause) {
      throw new Problem('device.not-running', folder, { cause })
    } finally {
      address.close()
    }
  }

  /** @throws {Problem} what the board answers; `device.not-running` when it has ended */
  async ask<T>(request: unknown): Promise<T> {
    this.#socket.write(`${JSON.stringify(request)}\n`)
    const { value, done } = await this.#lines.next()
    if (done) throw new Problem('device.not-running')
    const answered = JSON.parse(value) as LocalAnswer
    if (answered.problem) throw Problem.fromWire(answered.problem)
    return answered.reply as T
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** One question to the running board. @throws {Problem} `device.not-running`, what it answers */
export async function askBoard<T>(folder: string, request: unknown): Promise<T> {
  const line = await LocalLine.open(folder)
  try {
    return await line.ask<T>(request)
  } finally {
    line.close()
  }
}
