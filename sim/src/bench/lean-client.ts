/**
 * An MQTT 3.1.1 client that does nothing but send and count: in a benchmark the clients must not be what is measured.
 * Writes of one turn of the event loop leave together.
 */
import { connect, type Socket } from 'node:net'

export interface LeanClientOptions {
  port: number
  clientId: string
  username: string
  password: Uint8Array
  onMessage: (topic: string, payload: Uint8Array) => void
}

export class LeanClient {
  readonly #socket: Socket
  readonly #onMessage: LeanClientOptions['onMessage']
  #rest: Buffer = Buffer.alloc(0)
  #nextId = 1
  #out: Uint8Array[] = []
  #answered: { resolve: () => void; reject: (error: Error) => void }[] = []
  /** Resolves when the line is gone, whoever ended it. */
  readonly closed: Promise<void>

  private constructor(socket: Socket, options: LeanClientOptions) {
    this.#socket = socket
    this.#onMessage = options.onMessage
    socket.on('data', (chunk) => this.#take(chunk))
    socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    void this.closed.then(() => {
      for (const { reject } of this.#answered.splice(0)) reject(new Error('the line is gone'))
    })
  }

  static async connect(options: LeanClientOptions): Promise<LeanClient> {
    const socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    const client = new LeanClient(socket, options)
    const body = Buffer.concat([
      field('MQTT'),
      Buffer.of(4, 0xc2, 0, 60),
      field(options.clientId),
      field(options.username),
      field(options.password),
    ])
    await client.#ask(0x10, body)
    return client
  }

  subscribe(filters: readonly string[]): Promise<void> {
    const parts = filters.flatMap((filter) => [field(filter), Buffer.of(1)])
    return this.#ask(0x82, Buffer.concat([this.#id(), ...parts]))
  }

  /** QoS 1; the acknowledgement is not waited for. */
  publish(topic: Uint8Array, payload: Uint8Array): void {
    this.#send(
      Buffer.concat([
        head(0x32, topic.length + 4 + payload.length),
        length16(topic.length),
        topic,
        this.#id(),
        payload,
      ]),
    )
  }

  /** PINGREQ: the broker would take it for dead after one and a half keepalives (60 s). */
  ping(): void {
    this.#send(Buffer.of(0xc0, 0))
  }

  close(): void {
    this.#socket.destroy()
  }

  #ask(type: number, body: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#answered.push({ resolve, reject })
      this.#send(Buffer.concat([head(type, body.length), body]))
    })
  }

  #send(bytes: Uint8Array): void {
    this.#out.push(bytes)
    if (this.#out.length === 1)
      queueMicrotask(() => {
        this.#socket.write(this.#out.length === 1 ? this.#out[0]! : Buffer.concat(this.#out))
        this.#out = []
      })
  }

  #take(chunk: Buffer): void {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    let at = 0
    while (at < bytes.length) {
      let length = 0
      let shift = 0
      let body = at + 1
      for (;;) {
        if (body >= bytes.length) {
          this.#rest = bytes.subarray(at)
          return
        }
        const byte = bytes[body++]!
        length |= (byte & 127) << shift
        shift += 7
        if (byte < 128) break
      }
      if (body + length > bytes.length) {
        this.#rest = bytes.subarray(at)
        return
      }
      this.#packet(bytes[at]!, bytes.subarray(body, body + length))
      at = body + length
    }
    this.#rest = Buffer.alloc(0)
  }

  #packet(first: number, body: Buffer): void {
    const type = first >> 4
    if (type === 2 || type === 9) {
      const waiting = this.#answered.shift()
      if (type === 2 && body[1] !== 0) waiting?.reject(new Error(`connection refused: ${body[1]}`))
      else waiting?.resolve()
    } else if (type === 3) {
      const qos = (first >> 1) & 3
      const end = 2 + body.readUInt16BE(0)
      if (qos > 0) this.#send(Buffer.of(0x40, 2, body[end]!, body[end + 1]!))
      this.#onMessage(body.toString('latin1', 2, end), body.subarray(qos > 0 ? end + 2 : end))
    }
  }

  #id(): Buffer {
    this.#nextId = this.#nextId === 65_535 ? 1 : this.#nextId + 1
    return length16(this.#nextId)
  }
}

function head(type: number, length: number): Buffer {
  const bytes = [type]
  do {
    bytes.push((length & 127) | (length > 127 ? 128 : 0))
    length >>= 7
  } while (length > 0)
  return Buffer.from(bytes)
}

function field(value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([length16(bytes.length), bytes])
}

function length16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 255)
}
