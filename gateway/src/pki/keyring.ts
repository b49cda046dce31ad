/**
 * A site's certificates on disk: `authority.pem`, `authority.key`, and `{id}.pem`, `{id}.key` per process. Keys are for
 * the owner's eyes only (the Files adapter makes files with mode 0600). A retired authority's certificate stays in
 * `trusted/` until nobody shows one of its certificates any more.
 */
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import type { Clock, Files, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { TlsIdentity } from '../transport/server.ts'
import type { CertifiedKey, Role } from './authority.ts'
import { checkIssued, isDue, serialOf } from './validity.ts'

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

  /**
   * The site's authority, made on first use.
   * @throws {Problem} `certificate.invalid` on a host where only its certificate lies: there it is never made anew
   */
  async authority(): Promise<CertifiedKey> {
    const { site, clock, random, authorityDays, folder } = this.#options
    const found = await this.#load('authority')
    if (!found && (await this.#read('authority.pem')))
      throw new Problem('certificate.invalid', `${folder} holds the authority's certificate without its key`)
    if (found && !isDue(found.cert, clock.now())) return found
    if (found) await this.#save(`trusted/${clock.now()}.pem`, found.cert)
    const { createAuthority } = await import('./authority.ts')
    const made = await createAuthority(site, { nowMs: clock.now(), days: authorityDays }, random)
    await this.#keep('authority', made)
    return made
  }

  /**
   * What one process shows and trusts; made on first use, renewed when less than a third of its time is left.
   * @param file where it is kept: of several processes of one name each has its own
   */
  async identity(id: string, role: Role, file = id): Promise<TlsIdentity> {
    const { clock, random, certificateDays } = this.#options
    const authority = await this.authority()
    let own = await this.#load(file)
    if (!own || isDue(own.cert, clock.now())) {
      const { issue } = await import('./authority.ts')
      own = await issue(authority, { id, role }, { nowMs: clock.now(), days: certificateDays }, random)
      await this.#keep(file, own)
    }
    return { ca: [authority.cert, ...(await this.#trusted())], cert: own.cert, key: own.key }
  }

  /** A certificate for a process on another host, from its request (PKCS #10). @throws {Problem} `certificate.invalid` */
  async certify(id: string, role: Role, request: Uint8Array): Promise<{ certificate: string; authority: string[] }> {
    const { clock, random, certificateDays } = this.#options
    const authority = await this.authority()
    const { certify } = await import('./authority.ts')
    const validity = { nowMs: clock.now(), days: certificateDays }
    const certificate = await certify(authority, { id, role }, request, validity, random)
    return { certificate, authority: [authority.cert, ...(await this.#trusted())] }
  }

  /** What a process shows whose certificate another host's authority made; undefined before it was. */
  async certified(id: string): Promise<TlsIdentity | undefined> {
    const [both, authority] = [await this.#read(`${id}.pem`), await this.#read('authority.pem')]
    const [cert, key] = [partOf(both, 'CERTIFICATE'), partOf(both, 'PRIVATE KEY')]
    return cert && key && authority ? { ca: [authority, ...(await this.#trusted())], cert, key } : undefined
  }

  /**
   * Keeps a certificate that another host's authority made.
   * @throws {Problem} `certificate.invalid` when it is not this key's or not that authority's, or another site's authority
   * lies here: nothing is replaced then
   */
  async keepCertified(id: string, { cert, key }: CertifiedKey, authority: readonly string[]): Promise<TlsIdentity> {
    const [present = '', ...others] = authority
    const before = await this.#read('authority.pem')
    const known = before ? [before, ...(await this.#trusted())] : []
    if (known.length > 0 && !authority.some((one) => known.includes(one)))
      throw new Problem('certificate.invalid', `${this.#options.folder} belongs to another site`)
    checkIssued(cert, key, present, id)
    for (const one of others) if (!known.includes(one)) await this.#save(`trusted/${serialOf(one)}.pem`, one)
    await this.#save('authority.pem', present)
    // In one file: a power cut leaves the former certificate with its key, or the new one with its own.
    await this.#save(`${id}.pem`, `${cert.trim()}\n${key.trim()}\n`)
    return { ca: [...authority], cert, key }
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

/** One part of a PEM text. */
function partOf(pem: string | undefined, label: string): string | undefined {
  return pem && new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`).exec(pem)?.[0]
}
