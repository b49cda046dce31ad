/** The site's `servers.json` as it is now: commands and joining servers change it while everything runs. */
import type { Clock } from '@azukari/protocol/ports'
import type { ServerEntry, SiteFolder } from './site-folder.ts'

/** How long what was read counts as current, ms. */
const freshMs = 5_000

export class ServersFile {
  readonly #folder: SiteFolder
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #read: { atMs: number; servers: Promise<ServerEntry[]> } | undefined

  constructor(folder: SiteFolder, clock: Pick<Clock, 'monotonicMs'>) {
    this.#folder = folder
    this.#clock = clock
  }

  /** @throws {Problem} `config.invalid` */
  async all(): Promise<ServerEntry[]> {
    const atMs = this.#clock.monotonicMs()
    if (!this.#read || atMs - this.#read.atMs >= freshMs) {
      const servers = this.#folder.servers()
      this.#read = { atMs, servers }
      // A file that cannot be read now may be well again at the next look.
      servers.catch(() => (this.#read = undefined))
    }
    return this.#read.servers
  }

  /** @throws {Problem} `config.invalid` */
  async find(id: string): Promise<ServerEntry | undefined> {
    return (await this.all()).find((server) => server.id === id)
  }
}
