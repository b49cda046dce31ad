/** Files that are being read, kept open between reads: several uploads take turns, and none closes another's. */
export interface OpenFile {
  read(at: number, length: number, into?: Uint8Array): Promise<Uint8Array>
  close(): Promise<void>
}

interface Entry {
  file: Promise<OpenFile>
  /** Reads under way. */
  users: number
  /** To be closed when nobody reads any more. */
  isOver: boolean
}

/** Files kept open at once; those that are being read are not counted out. */
const maxOpen = 4

export class OpenFiles {
  readonly #open: (name: string) => Promise<OpenFile>
  /** The one used longest ago first. */
  readonly #entries = new Map<string, Entry>()

  constructor(open: (name: string) => Promise<OpenFile>) {
    this.#open = open
  }

  /** @throws {Problem} what opening or reading gives; the file is opened anew at the next read */
  async read(name: string, at: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const entry = this.#entries.get(name) ?? { file: this.#open(name), users: 0, isOver: false }
    this.#entries.delete(name)
    this.#entries.set(name, entry)
    entry.users++
    try {
      const file = await entry.file
      return await file.read(at, length, into)
    } catch (error) {
      // The medium may have been taken out and put back.
      entry.isOver = true
      if (this.#entries.get(name) === entry) this.#entries.delete(name)
      throw error
    } finally {
      entry.users--
      if (entry.isOver && entry.users === 0) await closed(entry)
      await this.#trim()
    }
  }

  /** The file is going away. */
  async release(name: string): Promise<void> {
    const entry = this.#entries.get(name)
    if (!entry) return
    this.#entries.delete(name)
    entry.isOver = true
    if (entry.users === 0) await closed(entry)
  }

  async #trim(): Promise<void> {
    for (const [name, { users }] of this.#entries) {
      if (this.#entries.size <= maxOpen) return
      if (users === 0) await this.release(name)
    }
  }
}

/** What cannot be closed was not open. */
async function closed({ file }: Entry): Promise<void> {
  await file.then((open) => open.close()).catch(() => undefined)
}
