/**
 * The device's keystore (S14, D1): a folder of sealed items, and the secret that opens them. An item is COSE_Encrypt0
 * (RFC 9052) under a key derived from the secret and the item's name, so one item cannot take another's place. It is written
 * whole or not at all. The secret is a file that the device's account alone can read; where it lies is configured, so that
 * it can be elsewhere than the items: a credential of systemd that the machine's TPM seals, or a stick with the operator.
 * Whoever has both has the keys; what that means is in `docs/threat-model.md`.
 */
import { hkdfSync } from 'node:crypto'
import { decrypt0, encrypt0 } from '@azukari/protocol/cose-encrypt0'
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import type { Files, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'

const secretBytes = 32
const ivBytes = 12
const itemMaxBytes = 1 << 20
const domain = new TextEncoder().encode('azukari/keystore/1')

export interface KeystoreOptions {
  files: Files
  random: Random
  folder: string
  /** File of the secret; `secret` in the folder when absent. */
  secret?: string | undefined
}

export class Keystore {
  readonly #o: KeystoreOptions

  constructor(options: KeystoreOptions) {
    this.#o = options
  }

  get folder(): string {
    return this.#o.folder
  }

  /** Whether there is an item of that name; opens nothing. @throws {Problem} `storage.failed` */
  async has(name: string): Promise<boolean> {
    return (await this.#o.files.stat(this.#path(name))) !== undefined
  }

  /**
   * An item's content; undefined when there is none.
   * @throws {Problem} `config.invalid` when the secret is missing, no secret, or readable by others; `card.damaged` when the
   * item does not open with it; `storage.failed`
   */
  async read(name: string): Promise<Uint8Array | undefined> {
    const sealed = await this.#readFile(this.#path(name), itemMaxBytes)
    if (!sealed) return undefined
    const key = await this.#keyOf(name)
    try {
      return decrypt0(sealed, key, aadOf(name))
    } catch (cause) {
      throw new Problem('card.damaged', `${this.#path(name)} does not open with the keystore’s secret`, { cause })
    } finally {
      key.fill(0)
    }
  }

  /** Replaces an item; resolved when it outlasts a power cut. Makes the secret first where there is none. @throws {Problem} as `read`, `storage.*` */
  async write(name: string, content: Uint8Array): Promise<void> {
    await makeDurableDirectory(this.#o.files, this.#o.folder)
    await this.#makeSecret()
    const key = await this.#keyOf(name)
    try {
      await this.#replace(this.#path(name), encrypt0(content, key, this.#o.random.bytes(ivBytes), aadOf(name)))
    } finally {
      key.fill(0)
    }
  }

  /** Takes an item away; absent is no error. */
  async remove(name: string): Promise<void> {
    const { files, folder } = this.#o
    await files.remove(this.#path(name))
    await files.syncDirectory(folder)
  }

  get #secretPath(): string {
    return this.#o.secret ?? `${this.#o.folder}/secret`
  }

  #path(name: string): string {
    return `${this.#o.folder}/${name}.sealed`
  }

  async #keyOf(name: string): Promise<Uint8Array> {
    const { files } = this.#o
    const path = this.#secretPath
    const found = await files.stat(path)
    if (!found) throw new Problem('config.invalid', `the keystore’s secret ${path} is not there`)
    // systemd hands out credentials with an access list, which looks as if a group could read them.
    if ((found.mode ?? 0) & (this.#o.secret === undefined ? 0o077 : 0o037))
      throw new Problem('config.invalid', `others can read the keystore’s secret: chmod 600 ${path}`)
    const secret = await this.#readFile(path, secretBytes + 1)
    if (secret?.length !== secretBytes)
      throw new Problem('config.invalid', `${path} is no secret of ${secretBytes} bytes`)
    const key = hkdfSync('sha256', secret, new Uint8Array(0), Buffer.concat([domain, Buffer.from(`/${name}`)]), 32)
    secret.fill(0)
    return new Uint8Array(key)
  }

  /** A secret of ours is made once, and never while something is sealed already: that would hide that the right one is missing. */
  async #makeSecret(): Promise<void> {
    const { files, folder, random, secret } = this.#o
    if (secret !== undefined || (await files.stat(this.#secretPath))) return
    if ((await files.list(folder)).some((name) => name.endsWith('.sealed'))) return
    const made = random.bytes(secretBytes)
    await this.#replace(this.#secretPath, made)
    made.fill(0)
  }

  /** Beside, synced, renamed, and the name synced: the old content or the new one. */
  async #replace(path: string, content: Uint8Array): Promise<void> {
    const { files } = this.#o
    const file = await files.open(`${path}.new`, 'create')
    try {
      await file.truncate(0)
      await file.write(0, content)
      await file.sync()
    } finally {
      await file.close()
    }
    await files.rename(`${path}.new`, path)
    await files.syncDirectory(this.#o.folder)
  }

  async #readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    try {
      const file = await this.#o.files.open(path, 'read')
      try {
        return Uint8Array.from(await file.read(0, Math.min(await file.size(), maxBytes)))
      } finally {
        await file.close()
      }
    } catch (error) {
      if (isProblem(error, 'object.unknown')) return undefined
      throw error
    }
  }
}

function aadOf(name: string): Uint8Array {
  return Buffer.concat([domain, Buffer.from(`/${name}`)])
}
