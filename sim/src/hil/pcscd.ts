/**
 * The real PC/SC daemon with a virtual reader of two slots (vsmartcard's vpcd), and our virtual cards in them. vpcd listens
 * on every address, so daemon and slots live in a network namespace of their own, and cards reach them through Unix sockets.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { slotPort as port, ReaderSlot } from '../site/card/reader-slot.ts'
import { until } from '../site/wait.ts'
import { type Apart, isApart, startApart } from './apart.ts'

export class VirtualReader {
  readonly slots: readonly [ReaderSlot, ReaderSlot]
  readonly #folder: string
  #daemon: Apart | undefined

  private constructor(folder: string) {
    this.#folder = folder
    const slot = (number: number) => new ReaderSlot({ path: join(folder, `slot${number}`) })
    this.slots = [slot(0), slot(1)]
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
