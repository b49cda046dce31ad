/** A serial line that comes back (S17): opened when it is there, opened again when it was unplugged. */
import { type PartKind, partProblem } from '@azukari/device/drivers'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import { SerialPort } from 'serialport'

export interface SerialLineOptions {
  /** A stable name: `/dev/serial/by-id/…`. */
  path: string
  baudRate: number
  clock: Clock
  log: Log
  /** How soon a line that is gone is looked for again. */
  againMs?: number
}

/** What the line's owner does with each opening of it. */
export interface SerialUser {
  opened(port: SerialPort): void
  /** The line is gone; another opening may come. */
  lost(): void
}

export class SerialLine {
  readonly #o: SerialLineOptions
  readonly #user: SerialUser
  #port: SerialPort | undefined
  #again: Timer | undefined
  #closed = false
  #why = ''

  constructor(options: SerialLineOptions, user: SerialUser) {
    this.#o = options
    this.#user = user
    this.#open()
  }

  get isOpen(): boolean {
    return this.#port?.isOpen === true
  }

  /** The open line. @throws {Problem} the part's `absent` */
  require(part: PartKind): SerialPort {
    if (!this.#port?.isOpen) throw partProblem(part, 'absent', `${this.#o.path}: ${this.#why || 'not open'}`)
    return this.#port
  }

  /** Opens the line anew, when what is on it makes no sense. */
  reset(why: string): void {
    this.#lost(this.#port, why)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#again?.cancel()
    const port = this.#port
    this.#port = undefined
    if (port?.isOpen) await new Promise<void>((resolve) => port.close(() => resolve()))
  }

  #open(): void {
    if (this.#closed) return
    const { path, baudRate } = this.#o
    const port = new SerialPort({ path, baudRate, autoOpen: false, lock: true })
    this.#port = port
    port.on('error', (error) => this.#lost(port, error.message))
    port.on('close', () => this.#lost(port, 'unplugged'))
    port.open((error) => {
      if (error) return this.#lost(port, error.message)
      if (this.#closed || port !== this.#port) return port.close(() => undefined)
      this.#why = ''
      this.#user.opened(port)
    })
  }

  #lost(port: SerialPort | undefined, why: string): void {
    if (this.#closed || !port || port !== this.#port) return
    if (why !== this.#why) this.#o.log.info('a serial line is gone; looking again', { path: this.#o.path, why })
    this.#why = why
    this.#port = undefined
    if (port.isOpen) port.close(() => undefined)
    this.#user.lost()
    this.#again = this.#o.clock.timer(this.#o.againMs ?? 1_000, () => this.#open())
  }
}
