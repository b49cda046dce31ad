/**
 * What people and media do to single replicas (S11), and what may be said of it afterwards. At most one replica of an object
 * is ever bad beyond its parity, and an object is harmed once in a run: there is always a good copy, so that both must be
 * good again in the end.
 */

import { filesIn } from '@azukari/gateway/data-server/layout'
import type { VerdictTable } from '@azukari/gateway/services/placement/audit/tables'
import { catalogueMedia, members, type ReplicaRow } from '@azukari/gateway/services/placement/store'
import { hex } from '@azukari/protocol/bytes'
import { someInOrder } from '@azukari/protocol/in-order'
import { isProblem } from '@azukari/protocol/problem'
import { openVerdict, type VerdictKind } from '@azukari/protocol/verdict'
import { type FaultKind, truth } from '../testkit/placement/faults.ts'
import {
  forge,
  replicaFolder,
  scrambled,
  sealedAnew,
  shardsOf,
  someOther,
  storedSegments,
} from '../testkit/placement/forger.ts'
import type { SeededRandom } from '../testkit/world/chance.ts'
import { type ServerMachine, serverDisks } from './server-machine.ts'
import type { Site } from './site.ts'

const harmKinds = [
  'changed without keys',
  'changed with keys',
  'rot beyond parity',
  'deleted',
] as const satisfies readonly FaultKind[]

/** Where forged files are made ready: no disk of the data server. */
const workshop = '/forged'

interface Harm {
  kind: (typeof harmKinds)[number]
  replica: ReplicaRow
  /** Verdicts that stood before it, by their highest number. */
  afterVerdict: number
}

type Standing = Pick<ReplicaRow, 'object' | 'version' | 'slot' | 'server' | 'epoch'>

export class Harms {
  readonly #site: Site
  readonly #done: Harm[] = []
  /** Objects that were harmed, in hex. */
  readonly #objects = new Set<string>()
  /** Replicas with a bit turned over within parity, by server and folder. */
  readonly #rotten = new Set<string>()

  constructor(site: Site) {
    this.#site = site
  }

  /** Within parity: once per replica, because a second time might be more than parity bears. */
  noteRot(server: string, folder: string): void {
    this.#rotten.add(`${server}:${folder}`)
  }

  /** Whether a replica is better left alone by rot within parity. */
  mayNotRot(server: string, folder: string): boolean {
    return (
      this.#rotten.has(`${server}:${folder}`) ||
      this.#done.some(({ replica }) => replica.server === server && folder.endsWith(nameOf(replica)))
    )
  }

  /** Whether a replica is known to be bad now, as no code of the site knows. */
  async spoilt(replica: Pick<Standing, 'object' | 'slot' | 'server'>): Promise<boolean> {
    return await someInOrder(
      this.#done,
      async (harm) =>
        harm.replica.slot === replica.slot &&
        harm.replica.server === replica.server &&
        hex(harm.replica.object) === hex(replica.object) &&
        !(await this.#healed(harm)),
    )
  }

  /** Whether an object has its only good replica on one of these servers. */
  async lastGoodOn(servers: readonly ServerMachine[]): Promise<boolean> {
    const names = new Set(servers.map(({ name }) => name))
    return await someInOrder(
      this.#done,
      async (harm) =>
        !(await this.#healed(harm)) &&
        (await this.#rowsOf(harm.replica.object)).some(
          ({ slot, server }) => slot !== harm.replica.slot && names.has(server),
        ),
    )
  }

  /** Harms a replica of an object that has two good ones. */
  async strike(chance: SeededRandom): Promise<void> {
    const { world, servers } = this.#site
    const replica = chance.pick(await this.#harmable())
    if (!replica) return
    const kind = chance.pick(harmKinds)
    const machine = servers.get(replica.server)!
    const folder = serverDisks
      .map((disk) => replicaFolder(disk, replica))
      .find((path) => machine.files.durable(filesIn(path).segments))
    if (folder === undefined) return
    const afterVerdict = (await this.#sql.get<{ id: number }>('SELECT coalesce(max(id), 0) AS id FROM verdicts'))!.id
    // Known from before it is done: nobody may find it first.
    const harm = { kind, replica, afterVerdict }
    this.#objects.add(hex(replica.object))
    this.#done.push(harm)
    if (!(await this.#inflict(kind, machine, folder, replica, chance))) {
      this.#done.splice(this.#done.indexOf(harm), 1)
      return
    }
    world.count(`replica.${kind}`)
    world.story.say(machine.name, `${nameOf(replica)}: ${kind}`)
  }

  /** @returns false when it could not be done */
  async #inflict(
    kind: Harm['kind'],
    { files }: ServerMachine,
    folder: string,
    replica: ReplicaRow,
    chance: SeededRandom,
  ): Promise<boolean> {
    const parent = folder.slice(0, folder.lastIndexOf('/'))
    if (kind === 'deleted') {
      await Promise.all([files.remove(folder), files.syncDirectory(parent)])
      return true
    }
    if (kind === 'rot beyond parity') {
      const shards = shardsOf(folder, replica.sealed, 0)
      // A data shard and both of parity, or more.
      for (const { path, from, to } of [shards[0]!, ...shards.slice(-2)]) files.rot(path, 4, { from, to })
      return true
    }
    try {
      const stored = await storedSegments(files, folder, replica)
      const segments =
        kind === 'changed with keys' ? await this.#sealedAnew(replica, chance) : scrambled(stored, chance)
      await forge(files, workshop, replica, segments, this.#site.world.clock.now())
    } catch (error) {
      // The disk is full, or the machine has died under it.
      if (!isProblem(error)) throw error
      await files.remove(workshop)
      return false
    }
    // At once, as for one who has stopped the server for a moment, and durable.
    await Promise.all([
      files.remove(folder),
      files.rename(workshop, folder),
      files.syncDirectory(parent),
      files.syncDirectory('/'),
    ])
    return true
  }

  async #sealedAnew(replica: ReplicaRow, chance: SeededRandom): Promise<Uint8Array[]> {
    const { sha256, member } = (await this.#sql.get<{ sha256: Uint8Array; member: Uint8Array }>(
      'SELECT sha256, member FROM saves WHERE object = ? AND version = ?',
      replica.object,
      replica.version,
    ))!
    const original = this.#site.shots.get(hex(sha256))!
    const { wrapped_key } = (await members.byId(this.#sql, member))!
    return sealedAnew(replica, this.#site.placementKeys, wrapped_key, someOther(original, chance))
  }

  /** Replicas of kept pictures with two good ones, none of them on the move. */
  async #harmable(): Promise<ReplicaRow[]> {
    const { servers } = this.#site
    const rows = await this.#sql.all<ReplicaRow>(
      `SELECT r.* FROM replicas AS r JOIN saves AS s ON s.object = r.object AND s.version = r.version
       WHERE s.state = 'kept' AND s.media <> ? AND NOT EXISTS (SELECT 1 FROM moves AS m WHERE m.object = r.object)
       AND NOT EXISTS (SELECT 1 FROM making AS m WHERE m.object = r.object) ORDER BY r.object, r.slot`,
      catalogueMedia,
    )
    const lost = new Set(
      rows.filter(({ server }) => servers.get(server)?.gone !== false).map(({ object }) => hex(object)),
    )
    return rows.filter(({ object }) => !lost.has(hex(object)) && !this.#objects.has(hex(object)))
  }

  /** Made anew, elsewhere or in its place, or repaired where it is. */
  async #healed({ replica, afterVerdict }: Harm): Promise<boolean> {
    const now = (await this.#rowsOf(replica.object)).find(({ slot }) => slot === replica.slot)
    if (!now || now.server !== replica.server || now.epoch !== replica.epoch) return true
    return (await this.#verdictsAbout(replica)).some(
      ({ id, outcome, done }) => id > afterVerdict && done !== null && outcome === 'segments',
    )
  }

  /** I8: verdicts are signed and true of what was done, all that was done and still stood there was found, nobody else is accused. */
  async check(): Promise<void> {
    const { world, placementKeys, servers } = this.#site
    for (const row of await this.#sql.all<VerdictTable>('SELECT * FROM verdicts ORDER BY id')) {
      const { kind, server, because } = row
      if (openVerdict(row.signed, placementKeys.own).kind !== kind)
        world.violate('I8', `verdict ${row.id} is signed as another`)
      if (!this.#trueOf(row, servers.get(server)!).includes(kind))
        world.violate('I8', `${server}: ${kind} is said and not true: ${because}`)
    }
    for (const { kind, replica } of this.#done) {
      const now = (await this.#rowsOf(replica.object)).find(({ slot }) => slot === replica.slot)
      const stands = now?.server === replica.server && now.epoch === replica.epoch
      if (stands && !(await this.#verdictsAbout(replica)).some((row) => truth[kind].includes(row.kind)))
        world.violate('I8', `${replica.server}, ${nameOf(replica)}: ${kind}, and nobody has found it`)
    }
  }

  #trueOf(row: VerdictTable, server: ServerMachine): VerdictKind[] {
    if (!row.object) return server.everImpostor ? ['impostor'] : []
    const about = row as unknown as Standing
    const harms = this.#done.filter(({ replica }) => isSame(replica, about))
    const rotten = serverDisks.some((disk) => this.#rotten.has(`${row.server}:${replicaFolder(disk, about)}`))
    return [...harms.flatMap(({ kind }) => truth[kind]), ...(rotten ? (['media'] as const) : [])]
  }

  async #verdictsAbout(replica: Standing): Promise<VerdictTable[]> {
    return (
      await this.#sql.all<VerdictTable>('SELECT * FROM verdicts WHERE object = ? ORDER BY id', replica.object)
    ).filter((row) => isSame(replica, row as unknown as Standing))
  }

  async #rowsOf(object: Uint8Array): Promise<Standing[]> {
    return this.#sql.all<Standing>(
      'SELECT object, version, slot, server, epoch FROM replicas WHERE object = ? ORDER BY version, slot',
      object,
    )
  }

  get #sql() {
    return this.#site.placementSql
  }
}

function isSame(a: Standing, b: Standing): boolean {
  return a.slot === b.slot && a.server === b.server && a.epoch === b.epoch && hex(a.object) === hex(b.object)
}

function nameOf({ object, version, slot }: Pick<Standing, 'object' | 'version' | 'slot'>): string {
  return `${hex(object)}-${version}-${slot}`
}
