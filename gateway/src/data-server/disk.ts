/** One storage device: what is used, what is promised to writers, and whether it still works. */
import type { Files, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { DiskStatus } from './port.ts'

export class Disk {
  readonly number: number
  readonly path: string
  readonly capacityBytes: number
  usedBytes = 0
  replicas = 0
  #reservedBytes = 0
  #failed: string | undefined
  readonly #files: Files
  readonly #log: Log

  constructor(
    number: number,
    { path, capacityBytes }: { path: string; capacityBytes: number },
    files: Files,
    log: Log,
  ) {
    this.number = number
    this.path = path
    this.capacityBytes = capacityBytes
    this.#files = files
    this.#log = log
  }

  get works(): boolean {
    return this.#failed === undefined
  }

  get incoming(): string {
    return `${this.path}/incoming`
  }

  get freeBytes(): number {
    return this.works ? Math.max(0, this.capacityBytes - this.usedBytes - this.#reservedBytes) : 0
  }

  folderOf(name: string): { bucket: string; folder: string } {
    const bucket = `${this.path}/replicas/${name.slice(0, 2)}`
    return { bucket, folder: `${bucket}/${name}` }
  }

  /** Promises space until disposed of: two writers cannot both take the last of it. Undefined when there is not enough. */
  async reserve(bytes: number): Promise<Disposable | undefined> {
    if (this.freeBytes < bytes) return undefined
    let open = true
    this.#reservedBytes += bytes
    const release = () => {
      if (open) this.#reservedBytes -= bytes
      open = false
    }
    try {
      // The medium may be shared with others; what is reserved may in part be written already, so this errs to caution.
      if ((await this.#files.freeBytes(this.path)) < this.#reservedBytes) {
        release()
        return undefined
      }
    } catch (error) {
      release()
      throw error
    }
    return { [Symbol.dispose]: release }
  }

  /** Does what writes; a disk that fails to is taken out, and others go on. A full one is not broken. */
  async writing<T>(work: () => Promise<T>): Promise<T> {
    if (this.#failed !== undefined) throw new Problem('storage.failed', `disk ${this.number} is out of use`)
    try {
      return await work()
    } catch (error) {
      if (isProblem(error, 'storage.failed')) this.fail(error.detail ?? error.code)
      throw error
    }
  }

  fail(why: string): void {
    if (this.#failed !== undefined) return
    this.#failed = why
    this.#log.error('a disk is taken out of use', { disk: this.number, why })
  }

  status(): DiskStatus {
    const { number: disk, capacityBytes, usedBytes, replicas } = this
    const status: DiskStatus = { disk, capacityBytes, usedBytes, reservedBytes: this.#reservedBytes, replicas }
    if (this.#failed !== undefined) status.failed = this.#failed
    return status
  }
}
