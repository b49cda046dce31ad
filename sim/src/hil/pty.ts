/** Pairs of pseudo-terminals (socat): one end for a driver, the other for what pretends to be the part. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SerialPort } from 'serialport'
import { until } from '../site/wait.ts'

export class PtyPair {
  readonly #folder: string
  #socat: ChildProcess | undefined
  #far: SerialPort | undefined

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** The driver's end. */
  get path(): string {
    return join(this.#folder, 'near')
  }

  static async open(): Promise<PtyPair> {
    const pair = new PtyPair(await mkdtemp(join(tmpdir(), 'azukari-pty-')))
    await pair.plug()
    return pair
  }

  /** The part's end, as long as it is plugged in. */
  get far(): SerialPort {
    return this.#far!
  }

  async plug(): Promise<void> {
    const [near, far] = [this.path, join(this.#folder, 'far')]
    // It ends with us, however we end.
    const socat = spawn(
      'setpriv',
      ['--pdeathsig', 'TERM', 'socat', ...[near, far].map((end) => `pty,raw,echo=0,link=${end}`)],
      {
        stdio: 'ignore',
      },
    )
    this.#socat = socat
    await until('a pty pair', () => (existsSync(near) && existsSync(far)) || undefined)
    const port = new SerialPort({ path: far, baudRate: 57_600, autoOpen: false, lock: false })
    await new Promise<void>((resolve, reject) => port.open((error) => (error ? reject(error) : resolve())))
    port.on('error', () => undefined)
    this.#far = port
  }

  /** Pulls the plug: both ends are gone. */
  async unplug(): Promise<void> {
    const socat = this.#socat
    this.#socat = undefined
    if (this.#far?.isOpen) await new Promise<void>((resolve) => this.#far!.close(() => resolve()))
    if (!socat || socat.exitCode !== null || socat.signalCode !== null) return
    const gone = new Promise<void>((resolve) => socat.once('exit', () => resolve()))
    socat.kill()
    await gone
  }

  async close(): Promise<void> {
    await this.unplug()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
