/**
 * Takes whole files out of a folder into which something else writes: a camera, a scanner, a PC. A file is whole when its
 * size has not changed between two looks; once taken over it is moved away, so it is never taken twice.
 */
import type { Clock, Files } from '@azukari/protocol/ports'

export interface FolderIntakeOptions {
  files: Files
  clock: Clock
  directory: string
  /** Where files go that were taken over; `taken` in the folder by default. */
  takenDirectory?: string
  /** Which names are looked at; hidden ones never are. */
  accepts?: (name: string) => boolean
  /** Between two looks; 500 ms by default. */
  lookMs?: number
}

export interface FoundFile {
  name: string
  path: string
  sizeBytes: number
}

/** Files looked at in one go; more wait their turn. */
const entriesMax = 1000

export class FolderIntake {
  readonly #options: FolderIntakeOptions
  readonly #taken: string
  #seen = new Map<string, number>()

  constructor(options: FolderIntakeOptions) {
    this.#options = options
    this.#taken = options.takenDirectory ?? `${options.directory}/taken`
  }

  /** Whether the folder is there. */
  async present(): Promise<boolean> {
    return (await this.#options.files.stat(this.#options.directory))?.directory === true
  }

  /** The first whole file for which `wanted`; waits for one. */
  async next(signal: AbortSignal, wanted: (name: string) => boolean = () => true): Promise<FoundFile> {
    for (;;) {
      signal.throwIfAborted()
      const found = (await this.#look()).find((file) => wanted(file.name))
      if (found) return found
      await this.#options.clock.sleep(this.#options.lookMs ?? 500, signal)
    }
  }

  async read(file: FoundFile, at: number, length: number): Promise<Uint8Array> {
    const handle = await this.#options.files.open(file.path, 'read')
    try {
      return await handle.read(at, length)
    } finally {
      await handle.close()
    }
  }

  /** Moves a file away, durably. One of the same name that was taken earlier is kept beside it. */
  async take(file: FoundFile): Promise<void> {
    const { files, directory } = this.#options
    await files.makeDirectory(this.#taken)
    let to = `${this.#taken}/${file.name}`
    for (let again = 1; (await files.stat(to)) !== undefined; again++) to = `${this.#taken}/${again}-${file.name}`
    await files.rename(file.path, to)
    await files.syncDirectory(this.#taken)
    await files.syncDirectory(directory)
    this.#seen.delete(file.name)
  }

  /** Whole files now, by name; remembers the sizes of the others for the next look. */
  async #look(): Promise<FoundFile[]> {
    const { files, directory, accepts = () => true } = this.#options
    const now = new Map<string, number>()
    const whole: FoundFile[] = []
    const names = (await files.list(directory)).filter((name) => !name.startsWith('.') && accepts(name))
    for (const name of names.slice(0, entriesMax)) {
      const path = `${directory}/${name}`
      const found = await files.stat(path)
      if (!found || found.directory || found.sizeBytes === 0) continue
      now.set(name, found.sizeBytes)
      if (this.#seen.get(name) === found.sizeBytes) whole.push({ name, path, sizeBytes: found.sizeBytes })
    }
    this.#seen = now
    return whole
  }
}
