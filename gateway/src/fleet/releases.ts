/** Releases that a site holds (D6): packed and signed here, those of the device's runtime read by devices piece by piece. */
import { createHash, type KeyObject } from 'node:crypto'
import { signerOf } from '@azukari/protocol/cose'
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import type { FileHandle, Files } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import {
  signUpgrade,
  type UpgradeManifest,
  type UpgradeProgram,
  upgradeManifestMaxBytes,
  upgradeMaxBytes,
  upgradeName,
} from '@azukari/protocol/upgrade/manifest'

const manifestName = 'manifest.cose'
const pieceBytes = 1 << 20

export interface Release {
  version: string
  /** SHA-256 of the signed manifest. */
  name: Uint8Array
}

export class Releases {
  readonly #files: Files
  readonly #folder: string
  /** Versions by the name of their release, hex. */
  readonly #known = new Map<string, string>()

  /** @param folder holds one folder per version */
  constructor(files: Files, folder: string) {
    this.#files = files
    this.#folder = folder
  }

  /**
   * Copies a folder's files in and signs them.
   * @throws {Problem} `config.invalid` for a version that is there, `message.invalid` for names that no bundle may have
   */
  async pack(
    from: string,
    says: Omit<UpgradeManifest, 'files'>,
    key: KeyObject,
    program: UpgradeProgram = 'device',
  ): Promise<Release> {
    const target = `${this.#folder}/${says.version}`
    if (await this.#files.stat(`${target}/${manifestName}`))
      throw new Problem('config.invalid', `release ${says.version} is there already`)
    const found: UpgradeManifest['files'] = []
    let total = 0
    for (const path of await this.#below(from)) {
      const copied = await this.#copy(`${from}/${path}`, `${target}/files/${path}`)
      total += copied.bytes
      if (total > upgradeMaxBytes)
        throw new Problem('transfer.too-large', `a bundle has at most ${upgradeMaxBytes} bytes`)
      found.push({ path, ...copied })
    }
    return this.keep(says.version, signUpgrade({ ...says, files: found }, signerOf(key), program))
  }

  /** Keeps what is signed of a release, durably, under its version. @throws {Problem} `config.invalid` when there is one already */
  async keep(version: string, signed: Uint8Array): Promise<Release> {
    const target = `${this.#folder}/${version}`
    if (await this.#files.stat(`${target}/${manifestName}`))
      throw new Problem('config.invalid', `release ${version} is there already`)
    await makeDurableDirectory(this.#files, target)
    // Whole or not there: a gateway that runs looks for it at any time.
    const file = await this.#files.open(`${target}/${manifestName}.new`, 'create')
    try {
      await file.truncate(0)
      await file.write(0, signed)
      await file.sync()
    } finally {
      await file.close()
    }
    await this.#files.rename(`${target}/${manifestName}.new`, `${target}/${manifestName}`)
    await this.#files.syncDirectory(target)
    return { version, name: upgradeName(signed) }
  }

  /** @throws {Problem} `object.unknown` when there is no such version */
  async named(version: string): Promise<Release> {
    const signed = await this.#read(version, undefined, 0, upgradeManifestMaxBytes)
    return { version, name: upgradeName(signed) }
  }

  /** A piece for a device. @throws {Problem} `object.unknown` */
  async piece(release: Uint8Array, path: string | undefined, at: number, length: number): Promise<Uint8Array> {
    const name = Buffer.from(release).toString('hex')
    if (!this.#known.has(name)) {
      this.#known.clear()
      for (const version of await this.#files.list(this.#folder)) {
        const found = await this.named(version).catch((error) => {
          if (!isProblem(error, 'object.unknown')) throw error
        })
        if (found) this.#known.set(Buffer.from(found.name).toString('hex'), version)
      }
    }
    const version = this.#known.get(name)
    if (version === undefined) throw new Problem('object.unknown', 'no such release')
    return this.#read(version, path, at, length)
  }

  async #read(version: string, path: string | undefined, at: number, length: number): Promise<Uint8Array> {
    if (`${version}/${path ?? ''}`.split('/').some((part) => part.startsWith('.')))
      throw new Problem('object.unknown', 'no such file')
    const file = await this.#files.open(
      `${this.#folder}/${version}/${path === undefined ? manifestName : `files/${path}`}`,
      'read',
    )
    try {
      return await file.read(at, length)
    } finally {
      await file.close()
    }
  }

  async #copy(from: string, to: string): Promise<{ bytes: number; hash: Uint8Array }> {
    const directory = to.slice(0, to.lastIndexOf('/'))
    await makeDurableDirectory(this.#files, directory)
    const source = await this.#files.open(from, 'read')
    let target: FileHandle | undefined
    try {
      target = await this.#files.open(to, 'create')
      await target.truncate(0)
      const hash = createHash('sha256')
      let at = 0
      for (;;) {
        const piece = await source.read(at, pieceBytes)
        if (piece.length === 0) break
        hash.update(piece)
        await target.write(at, piece)
        at += piece.length
      }
      await target.sync()
      await this.#files.syncDirectory(directory)
      return { bytes: at, hash: new Uint8Array(hash.digest()) }
    } finally {
      await target?.close()
      await source.close()
    }
  }

  async #below(folder: string, below = ''): Promise<string[]> {
    const found: string[] = []
    for (const name of await this.#files.list(`${folder}${below}`)) {
      const path = `${below}/${name}`
      if ((await this.#files.stat(`${folder}${path}`))?.directory) found.push(...(await this.#below(folder, path)))
      else found.push(path.slice(1))
    }
    return found
  }
}
