/**
 * A site's certificates on disk: `authority.pem`, `authority.key`, and `{id}.pem`, `{id}.key` per process. Keys are for
 * the owner's eyes only (the Files adapter makes files with mode 0600). A retired authority's certificate stays in
 * `trusted/` until nobody shows one of its certificates any more.
 */
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import type { Clock, Files, Random } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import type { TlsIdentity } from '../transport/server.ts'
import type { CertifiedKey, Role } from './authority.ts'
import { isDue } from './validity.ts'

export interface KeyringOptions {
  folder: string
  site: string
  files: Files
  clock: Clock
  random: Random
  authorityDays?: number
  certificateDays?: number
}

export class Keyring {
  readonly #options: Required<KeyringOptions>

  constructor(options: KeyringOptions) {
    this.#options = { authorityDays: 3650, certificateDays: 90, ...options }
  }

  /** The site's authority, made on first use. */
  async authority(): Promise<CertifiedKey> {
    const { site, clock, random, authorityDays } = this.#options
    const found = await this.#load('authority')
    if (found && !isDue(found.cert, clock.now())) return found
    if (found) await this.#save(`trusted/${clock.now()}.pem`, found.cert)
    const { createAuthority } = await import('./authority.ts')
    const made = await createAuthority(site, { nowMs: clock.now(), days: authorityDays }, random)
    await this.#keep('authority', made)
    return made
  }

  /** What one process shows and trusts; made on first use, renewed when less than a third of its time is left. */
  async identity(id: string, role: Role): Promise<TlsIdentity> {
    const { clock, random, certificateDays } = this.#options
    const authority = await this.authority()
    let own = await this.#load(id)
    if (!own || isDue(own.cert, clock.now())) {
      const { issue } = await import('./authority.ts')
      own = await issue(authority, { id, role }, { nowMs: clock.now(), days: certificateDays }, random)
      await this.#keep(id, own)
    }
    return { ca: [authority.cert, ...(await this.#trusted())], cert: own.cert, key: own.key }
  }

  async #trusted(): Promise<string[]> {
    const { files, folder } = this.#options
    const names = await files.list(`${folder}/trusted`)
    return Promise.all(names.map((name) => this.#read(`trusted/${name}`).then((text) => text ?? '')))
  }

  async #load(name: string): Promise<CertifiedKey | undefined> {
    const [cert, key] = await Promise.all([this.#read(`${name}.pem`), this.#read(`${name}.key`)])
    return cert && key ? { cert, key } : undefined
  }

  /** The certificate last: a crash between leaves a key without one, and both are made again. */
  async #keep(name: string, { cert, key }: CertifiedKey): Promise<void> {
    await this.#options.files.remove(`${this.#options.folder}/${name}.pem`)
    await this.#save(`${name}.key`, key)
    await this.#save(`${name}.pem`, cert)
  }

  async #read(name: string): Promise<string | undefined> {
    try {
      const handle = await this.#options.files.open(`${this.#options.folder}/${name}`, 'read')
      try {
        return new TextDecoder().decode(await handle.read(0, await handle.size()))
      } finally {
        await handle.close()
      }
    } catch (error) {
      if (isProblem(error, 'object.unknown')) return undefined
      throw error
    }
  }

  async #save(name: string, text: string): Promise<void> {
    const { files } = this.#options
    const path = `${this.#options.folder}/${name}`
    const directory = path.slice(0, path.lastIndexOf('/'))
    await makeDurableDirectory(files, directory)
    const handle = await files.open(`${path}.new`, 'create')
    try {
      await handle.truncate(0)
      await handle.write(0, new TextEncoder().encode(text))
      await handle.sync()
    } finally {
      await handle.close()
    }
    await files.rename(`${path}.new`, path)
    await files.syncDirectory(directory)
  }
}
