/**
 * The vault's files: two generations, each whole or not at all. A new one is written beside, made durable and renamed; what
 * was current stays as the older generation until the next change. A file that is torn or rotten is noticed by its
 * hash, and the older generation serves.
 */
import { createHash } from 'node:crypto'
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import type { Files } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'

const magic = new TextEncoder().encode('AZVAULT1')
const hashBytes = 32
const fileMaxBytes = 16 << 20

export class VaultFiles {
  readonly #files: Files
  readonly #directory: string

  constructor(files: Files, directory: string) {
    this.#files = files
    this.#directory = directory
  }

  /** The newest whole generation; undefined when there is no vault. @throws {Problem} `vault.damaged` when none is whole */
  async read(): Promise<Uint8Array | undefined> {
    const found = [await this.#readFile('vault'), await this.#readFile('vault.old')]
    const whole = found.map((bytes) => bytes && opened(bytes)).find((bytes) => bytes)
    if (whole) return whole
    if (found.some((bytes) => bytes)) throw new Problem('vault.damaged', 'neither generation is whole')
    return undefined
  }

  /**
   * Writes a new generation.
   * @param forget also overwrites the older one: after a change of password it must not open with the old one
   */
  async write(content: Uint8Array, forget = false): Promise<void> {
    await this.#replace('vault', content, 'vault.old')
    if (forget) await this.#replace('vault.old', content)
  }

  async readTries(): Promise<Uint8Array | undefined> {
    const bytes = await this.#readFile('tries')
    return bytes && opened(bytes)
  }

  async writeTries(content: Uint8Array): Promise<void> {
    await this.#replace('tries', content)
  }

  async #replace(name: string, content: Uint8Array, keepAs?: string): Promise<void> {
    const path = `${this.#directory}/${name}`
    await makeDurableDirectory(this.#files, this.#directory)
    const hash = createHash('sha256').update(magic).update(content).digest()
    const bytes = new Uint8Array(Buffer.concat([magic, hash, content]))
    const file = await this.#files.open(`${path}.new`, 'create')
    try {
      await file.truncate(0)
      await file.write(0, bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    const before = keepAs === undefined ? undefined : await this.#readFile(name)
    // A torn current file must not take the place of the whole older one.
    if (keepAs !== undefined && before && opened(before)) await this.#files.rename(path, `${this.#directory}/${keepAs}`)
    await this.#files.rename(`${path}.new`, path)
    await this.#files.syncDirectory(this.#directory)
  }

  async #readFile(name: string): Promise<Uint8Array | undefined> {
    try {
      const file = await this.#files.open(`${this.#directory}/${name}`, 'read')
      try {
        return await file.read(0, Math.min(await file.size(), fileMaxBytes))
      } finally {
        await file.close()
      }
    } catch (error) {
      if (isProblem(error, 'object.unknown')) return undefined
      throw error
    }
  }
}

function opened(bytes: Uint8Array): Uint8Array | undefined {
  const content = bytes.subarray(magic.length + hashBytes)
  const hash = createHash('sha256').update(magic).update(content).digest()
  const fits =
    Buffer.compare(bytes.subarray(0, magic.length), magic) === 0 &&
    Buffer.compare(bytes.subarray(magic.length, magic.length + hashBytes), hash) === 0
  return fits ? content : undefined
}
