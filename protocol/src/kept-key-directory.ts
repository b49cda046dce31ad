/** The newest key directory in a file: for devices, data servers and services apart, which need it when nobody can be asked. */
import { makeDurableDirectory } from './durable-directory.ts'
import { type DirectoryTrust, type KeyDirectory, openKeyDirectory, takeKeyDirectory } from './key-directory.ts'
import type { Files, Log } from './ports.ts'
import { isProblem } from './problem.ts'

export interface KeptKeyDirectoryOptions {
  files: Files
  path: string
  log: Log
}

export class KeptKeyDirectory {
  readonly #o: KeptKeyDirectoryOptions
  #current: KeyDirectory | undefined
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(options: KeptKeyDirectoryOptions, current: KeyDirectory | undefined) {
    this.#o = options
    this.#current = current
  }

  /**
   * Opens what was kept. A file that this site did not sign counts for nothing.
   * @param trust undefined while the site is not known
   * @throws {Problem} `storage.*`
   */
  static async open(options: KeptKeyDirectoryOptions, trust: DirectoryTrust | undefined): Promise<KeptKeyDirectory> {
    return new KeptKeyDirectory(options, trust && (await load(options, trust)))
  }

  get current(): KeyDirectory | undefined {
    return this.#current
  }

  /** 0 when there is none. */
  get version(): number {
    return this.#current?.version ?? 0
  }

  /** Takes a directory in place of the one held, durably. @throws {Problem} `keys.*`, `storage.*` */
  take(signed: Uint8Array, trust: DirectoryTrust, nowMs: number): Promise<KeyDirectory> {
    return this.#inTurn(async () => {
      const directory = takeKeyDirectory(signed, trust, this.#current, nowMs)
      await this.#write(signed)
      this.#current = directory
      return directory
    })
  }

  /** Begins anew with what another site, or the same one anew, has signed; out of date or not. @throws {Problem} `keys.*`, `storage.*` */
  beginWith(signed: Uint8Array | undefined, trust: DirectoryTrust): Promise<void> {
    return this.#inTurn(async () => {
      const directory = signed && openKeyDirectory(signed, trust)
      if (signed) await this.#write(signed)
      else await this.#o.files.remove(this.#o.path)
      this.#current = directory
    })
  }

  /** Written beside, synced, renamed into place: whole or not at all. */
  async #write(signed: Uint8Array): Promise<void> {
    const { files, path } = this.#o
    const folder = path.slice(0, path.lastIndexOf('/')) || '.'
    await makeDurableDirectory(files, folder)
    const file = await files.open(`${path}.new`, 'create')
    try {
      await file.truncate(0)
      await file.write(0, signed)
      await file.sync()
    } finally {
      await file.close()
    }
    await files.rename(`${path}.new`, path)
    await files.syncDirectory(folder)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#writing.then(work)
    this.#writing = turn.catch(() => undefined)
    return turn
  }
}

async function load(
  { files, path, log }: KeptKeyDirectoryOptions,
  trust: DirectoryTrust,
): Promise<KeyDirectory | undefined> {
  if (!(await files.stat(path))) return undefined
  const file = await files.open(path, 'read')
  try {
    return openKeyDirectory(await file.read(0, await file.size()), trust)
  } catch (error) {
    if (!isProblem(error) || error.code.startsWith('storage.')) throw error
    log.warn('the kept key directory is not this site’s', { path, code: error.code })
    return undefined
  } finally {
    await file.close()
  }
}
