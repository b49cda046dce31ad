/**
 * The real PC/SC daemon with a virtual reader of two slots (vsmartcard's vpcd), and our virtual cards in them. A card that
 * is in is a connection to its slot: a 16-bit length before every message; one byte 0 off, 1 on, 2 reset, 4 ATR; longer
 * ones are commands. vpcd listens on every address, so daemon and slots live in a network namespace of their own, and
 * cards reach them through Unix sockets.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../site/wait.ts'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'
import { type Apart, isApart, startApart } from './apart.ts'

/** No historical bytes; T=0 and T=1 are offered (ISO 7816-3 §8). */
const atr = Buffer.from('3b80800101', 'hex')
/** Of the first slot; the second has the next. */
const port = 35_963

/** One slot of the virtual reader. */
class Slot {
  readonly #path: string
  #line: Socket | undefined
  /** Waits before every answer. */
  delayMs = 0

  constructor(path: string) {
    this.#path = path
  }

  insert(card: VirtualCard): void {
    this.remove()
    card.powerOff()
    const line = connect(this.#path)
    this.#line = line
    let waiting = Buffer.alloc(0)
    line.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk])
      while (waiting.length >= 2 && waiting.length >= 2 + waiting.readUInt16BE()) {
        const end = 2 + waiting.readUInt16BE()
        this.#receive(waiting.subarray(2, end), card, line)
        waiting = waiting.subarray(end)
      }
    })
    line.on('error', () => undefined)
    line.on('close', () => card.powerOff())
  }

  remove(): void {
    this.#line?.destroy()
    this.#line = undefined
  }

  #receive(message: Buffer, card: VirtualCard, line: Socket): void {
    if (message.length === 1) {
      if (message[0] === 0) card.powerOff()
      else if (message[0] === 4) answer(line, atr)
      else card.reset()
      return
    }
    const bytes = Buffer.from(card.transmit(Uint8Array.from(message)))
    // A card whose power went says nothing, and is gone.
    if (bytes.length === 0) return this.remove()
    if (this.delayMs > 0) setTimeout(() => answer(line, bytes), this.delayMs)
    else answer(line, bytes)
  }
}

function answer(line: Socket, bytes: Buffer): void {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(bytes.length)
  line.write(Buffer.concat([head, bytes]))
}

export class VirtualReader {
  readonly slots: readonly [Slot, Slot]
  readonly #folder: string
  #daemon: Apart | undefined

  private constructor(folder: string) {
    this.#folder = folder
    this.slots = [new Slot(join(folder, 'slot0')), new Slot(join(folder, 'slot1'))]
  }

  /** @throws {Problem} `service.unavailable` when the daemon does not come up */
  static async start(): Promise<VirtualReader> {
    const folder = await mkdtemp(join(tmpdir(), 'azukari-pcscd-'))
    await writeFile(
      join(folder, 'vpcd'),
      [
        'FRIENDLYNAME "Virtual PCD"',
        `DEVICENAME /dev/null:0x${port.toString(16)}`,
        'LIBPATH /usr/lib/pcsc/drivers/serial/libifdvpcd.so',
        `CHANNELID 0x${port.toString(16)}`,
        '',
      ].join('\n'),
    )
    await mkdir(join(folder, 'run'))
    // Where clients in this process look for the daemon: a machine may have one of its own.
    if (isApart()) process.env['PCSCLITE_CSOCK_NAME'] = join(folder, 'run/pcscd.comm')
    const reader = new VirtualReader(folder)
    await reader.startDaemon()
    return reader
  }

  get #socket(): string {
    return isApart() ? join(this.#folder, 'run/pcscd.comm') : '/run/pcscd/pcscd.comm'
  }

  async startDaemon(): Promise<void> {
    const bridge = (slot: number) =>
      `socat UNIX-LISTEN:${this.#folder}/slot${slot},fork,unlink-early TCP:127.0.0.1:${port + slot},nodelay &`
    // vpcd sends each message in two pieces, the second only when the first is acknowledged: at once, not after 40 ms.
    const quick = ['127.0.0.0/8', '127.0.0.1']
      .map((to) => `ip route change local ${to} dev lo table local proto kernel scope host src 127.0.0.1 quickack 1`)
      .join('; ')
    const script = `${quick}\n${bridge(0)} ${bridge(1)} pcscd --foreground --error --config ${this.#folder} &`
    this.#daemon = startApart('pcscd', script, { '/run/pcscd': join(this.#folder, 'run') })
    const ready = () =>
      [0, 1].every((slot) => existsSync(join(this.#folder, `slot${slot}`))) && existsSync(this.#socket)
    await Promise.race([until('pcscd', () => ready() || undefined), this.#daemon.ended])
  }

  async stopDaemon(): Promise<void> {
    const daemon = this.#daemon
    this.#daemon = undefined
    for (const slot of this.slots) slot.remove()
    if (!daemon) return
    await daemon.stop()
    await until('pcscd to end', () => !existsSync(this.#socket) || undefined)
  }

  async stop(): Promise<void> {
    await this.stopDaemon()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
