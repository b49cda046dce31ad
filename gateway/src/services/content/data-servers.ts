/** The site's data servers, as content reaches them: where they stand, and what they may do with one object. */

import type { DirectSigner } from '@azukari/protocol/cose'
import { signGrant } from '@azukari/protocol/delivery'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { ObjectServerPort } from '../../data-server/object-port.ts'
import { regions } from '../../geography.ts'
import type { ReachedDataServers } from '../../host/machine-ports.ts'
import type { ServersFile } from '../../servers-file.ts'
import type { ServerEntry } from '../../site-folder.ts'
import { nearestFirst } from './nearest.ts'

/** How long a grant is good, ms: as long as the slowest fetch may take, and the clocks differ. */
const grantLifeMs = 600_000
/** A server that did not answer is not the first choice for so long, ms. */
const awayMs = 60_000

export interface DataServersOptions {
  listed: Pick<ServersFile, 'all'>
  reach: Pick<ReachedDataServers, 'objects'>
  /** How this service is named in its certificate. */
  name: string
  signer: DirectSigner
  clock: Clock
}

export class DataServers {
  readonly #o: DataServersOptions
  readonly #away = new Map<string, number>()

  constructor(options: DataServersOptions) {
    this.#o = options
  }

  /** Those that answer first, from the nearest to a region on. @throws {Problem} `config.invalid` */
  async nearestTo(region: string): Promise<ServerEntry[]> {
    return this.#answeringFirst(nearestFirst(await this.#o.listed.all(), regions.get(region)))
  }

  /** The same, seen from a server. */
  async nearestToServer(id: string): Promise<ServerEntry[]> {
    const all = await this.#o.listed.all()
    return this.#answeringFirst(
      nearestFirst(
        all,
        all.find((server) => server.id === id),
      ),
    )
  }

  all(): Promise<ServerEntry[]> {
    return this.#o.listed.all()
  }

  /** @throws {Problem} `config.invalid` */
  async entry(id: string): Promise<ServerEntry> {
    const found = (await this.#o.listed.all()).find((server) => server.id === id)
    if (!found) throw new Problem('config.invalid', `servers.json names no data server ${id}`)
    return found
  }

  of({ id, url, key }: ServerEntry): ObjectServerPort {
    return this.#o.reach.objects({ id, url, key: new Uint8Array(Buffer.from(key, 'hex')) })
  }

  /** It did not answer just now. */
  noteAway(id: string): void {
    this.#away.set(id, this.#o.clock.monotonicMs() + awayMs)
  }

  /** @param peer who may use it; this service itself when absent */
  grant(use: 'read' | 'keep' | 'drop', root: Uint8Array, server: string, peer = this.#o.name): Uint8Array {
    const { clock, signer } = this.#o
    return signGrant({ root, use, peer, server, expiresMs: clock.now() + grantLifeMs }, signer)
  }

  #answeringFirst(servers: ServerEntry[]): ServerEntry[] {
    const now = this.#o.clock.monotonicMs()
    const isAway = ({ id }: ServerEntry) => (this.#away.get(id) ?? 0) > now
    return [...servers.filter((server) => !isAway(server)), ...servers.filter(isAway)]
  }
}
