/**
 * The slow part of a save (S5–S7): choose, seal, authenticate each server, send, collect both signed receipts, journal,
 * and only then sign the receipt. Every step is written down, so that after a crash the next run goes on where the last
 * one stopped; sending a replica again is answered with the same receipt.
 */

import { saveKept, saveProgress, transferKeyDomain } from '@azukari/protocol/contracts/save'
import type { DirectSigner } from '@azukari/protocol/cose'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { sealedBytes as sealedSize } from '@azukari/protocol/sealed'
import { encryptedBytes } from '@azukari/protocol/transfer'
import { PeriodicWorker } from '../../../service/periodic-worker.ts'
import type { ReceiveBuffer, ServiceStore } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { contain } from '../audit/contain.ts'
import type { ImpostorRules } from '../audit/impostors.ts'
import { sealEntry } from '../journal/journal.ts'
import { JournalPush } from '../journal/push.ts'
import type { PlacementKeys } from '../keys/keys.ts'
import { unwrapDataKey, unwrapMemberKey } from '../keys/keystore.ts'
import { beginCatalogue, catalogueBytes, catalogueFrom, catalogueVersionsKept } from '../members/catalogue.ts'
import type { Registry } from '../members/registry.ts'
import { assignedPlaces, buckets, enterBucket, isAbroad, leaveBucket, noteStrays } from '../moves/buckets.ts'
import type { DataServers } from '../replicas/data-servers.ts'
import { deliverSealing, destroy } from '../replicas/deliver.ts'
import {
  type AbandonedRow,
  catalogueMedia,
  catalogues,
  conditions,
  journal,
  type MemberRow,
  members,
  type ReplicaRow,
  replicas,
  type SaveRow,
  saves,
  servers,
} from '../store.ts'
import { type Candidate, type Choice, type ChooseRules, choiceOf, choose } from './choose.ts'
import { conditionsFor, receiptFor } from './conditions.ts'
import { GivenUp, giveUp, giveUpAll, giveUpUnwritten } from './given-up.ts'
import { hold } from './held.ts'
import { OnePass } from './one-pass.ts'
import {
  type Content,
  keptEntry,
  manifestOf,
  newReplica,
  OwnContent,
  rootsOf,
  sealedSegments,
  sealerOf,
  TransferredContent,
} from './sealing.ts'

export interface SaveWorkerOptions {
  store: ServiceStore
  registry: Registry
  keys: PlacementKeys
  signer: DirectSigner
  buffer: ReceiveBuffer
  dataServers: DataServers
  rules: ChooseRules
  /** A save went elsewhere than where its bucket belongs. */
  onElsewhere?: () => void
  /** Has the member's card prove itself again where it still is (S12). @returns whether it did */
  recall?: (member: Uint8Array, device: string, signal: AbortSignal) => Promise<boolean>
  impostors: ImpostorRules
  /** Hears that a server was shut off (S12). */
  onContained?: ((server: string) => void) | undefined
  clock: Clock
  random: Random
  log: Log
}

/** Saves under way at once: memory is a few segments for each. */
const savesAtOnce = 4
/** How long a save that waits for a server sleeps, at most. */
const waitAtMostMs = 60_000
/** How often the journal and waiting saves are looked at when nothing happens. */
const idleMs = 10_000

export class SaveWorker {
  readonly #o: SaveWorkerOptions
  readonly #worker: PeriodicWorker
  /** Shared by all that depends on the journal. */
  readonly journal: JournalPush
  readonly #busy = new Map<string, Promise<void>>()
  readonly #notBefore = new Map<string, number>()
  readonly #givenUp: GivenUp

  constructor(options: SaveWorkerOptions) {
    this.#o = options
    const { store, dataServers, keys, clock, log } = options
    this.#worker = new PeriodicWorker({ name: 'placement worker', clock, log, idleMs, round: () => this.#round() })
    this.#givenUp = new GivenUp({
      store,
      clock,
      log,
      signal: this.#worker.signal,
      remove: (row) => this.#remove(row, row.server),
    })
    this.journal = new JournalPush({
      store,
      dataServers,
      recovery: keys.recovery,
      clock,
      log,
      signal: this.#worker.signal,
    })
  }

  start(): void {
    this.#worker.start()
  }

  /** Finishes the step that is under way; the rest goes on at the next start. */
  async stop(): Promise<void> {
    await this.#worker.stop()
    await Promise.allSettled([...this.#busy.values(), this.#givenUp.idle()])
  }

  /** Resolves when nothing is being done for an object; what is written of it from then on is refused. */
  async left(object: Uint8Array): Promise<void> {
    const name = `${Buffer.from(object).toString('hex')}.`
    await Promise.allSettled([...this.#busy].filter(([key]) => key.startsWith(name)).map(([, work]) => work))
  }

  /** There may be something to do. */
  wake(): void {
    this.#worker.wake()
  }

  /** One look around. @returns when to look again at the latest, ms */
  async #round(): Promise<number> {
    const { clock, store, log } = this.#o
    const now = clock.monotonicMs()
    for (const row of await saves.open(store.sql, 64)) {
      const key = nameOf(row)
      if (this.#busy.size >= savesAtOnce || this.#busy.has(key) || (this.#notBefore.get(key) ?? 0) > now) continue
      const work = this.#work(row, key)
        // What went wrong could not be written down either: it is found as it stands, when its time has come again.
        .catch((error) => log.error('a save’s failure could not be kept', { object: key, error: String(error) }))
        .finally(() => {
          this.#busy.delete(key)
          this.wake()
        })
      this.#busy.set(key, work)
    }
    if (this.#busy.size < savesAtOnce) await this.#beginCatalogues()
    if (this.#busy.size === 0) this.#givenUp.clean()
    // Not waited for: a server that hangs must not keep new saves from beginning.
    if (this.#busy.size === 0 && (await this.journal.isDue(now))) void this.journal.push()
    // The next save that waits for its time.
    return Math.min(idleMs, ...[...this.#notBefore.values()].filter((at) => at > now).map((at) => at - now))
  }

  async #beginCatalogues(): Promise<void> {
    const { store } = this.#o
    const due = await catalogues.due(store.sql, catalogueFrom)
    if (due.length === 0) return
    await store.transaction(async ({ sql }) => {
      for (const known of due) await beginCatalogue(sql, known, this.#o)
    })
    this.wake()
  }

  async #work(row: SaveRow, key: string): Promise<void> {
    const { store, clock, log } = this.#o
    try {
      if (row.state === 'buffered') await this.#seal(row)
      const sealed = await saves.get(store.sql, row.object, row.version)
      if (sealed?.state === 'sealed') await this.#keep(sealed)
      this.#notBefore.delete(key)
    } catch (error) {
      if (this.#worker.signal.aborted) return
      const code = isProblem(error) ? error.code : 'internal'
      if (!isProblem(error))
        log.error('a save failed', {
          object: key,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        })
      if (isProblem(error, 'object.erased')) return
      const tries = row.tries + 1
      this.#notBefore.set(key, clock.monotonicMs() + Math.min(waitAtMostMs, 500 * 2 ** Math.min(10, tries)))
      const state = endOf(code, row)
      // What lies in the buffer is good for nothing: the device sends it again, or the person was told.
      if (state) await this.#o.buffer.release(row.transfer).catch(() => undefined)
      await store.transaction(async ({ sql, emit }) => {
        await saves.set(sql, row, { tries, problem: code })
        if (state) await saves.set(sql, row, { state })
        if (state === 'refused') await giveUpAll(sql, row)
        if (row.device)
          await emit(saveProgress, row.device, { object: row.object, stage: 'waiting', problem: code }, { keep: false })
        if (code !== 'card.unproven') return
        await giveUpUnwritten(sql, row)
        await hold(sql, row, code)
      })
      if (state) this.#notBefore.delete(key)
    }
  }

  /** Both replicas, each at a server that has signed for it. */
  async #seal(row: SaveRow): Promise<void> {
    const { store } = this.#o
    const member = await members.byId(store.sql, row.member)
    if (!member) throw new Problem('member.unknown')
    const content = await this.#contentOf(row)
    // A server that fails is left out of the next choice, a few times; then the save waits.
    const avoid = new Map<string, number>()
    for (let attempt = 0; ; attempt++) {
      this.#worker.signal.throwIfAborted()
      const planned = await this.#plan(row, member, avoid)
      const missing = planned.filter((replica) => !replica.receipt)
      const pass = new OnePass(
        content,
        missing.map((replica) => sealerOf(replica, this.#dataKeyOf(replica, member))),
      )
      const results = await Promise.allSettled(
        missing.map((replica, at) => this.#send(content, member, replica, pass, at).finally(() => pass.leave(at))),
      )
      if (pass.failure) throw pass.failure
      const failed = results.filter((result) => result.status === 'rejected')
      const keepReceipts = async (sql: Sql) => {
        for (const replica of missing.filter(({ receipt }) => receipt)) {
          await replicas.put(sql, replica)
          await servers.resetDemerits(sql, replica.server)
        }
      }
      if (failed.length === 0) {
        // Both stand: receipts, journal entry and the new state in one commit. A crash before it sends them again, and
        // the servers answer with the same receipts.
        await store.commit(async ({ sql }) => {
          await requireWanted(sql, row)
          await keepReceipts(sql)
          const entry = keptEntry(row, await replicas.of(sql, row.object, row.version), this.#o.clock.now())
          const seq = await journal.append(sql, sealEntry(entry, this.#o.keys.recovery, this.#o.random))
          await saves.set(sql, row, { state: 'sealed', journal: seq, problem: null })
        })
        return
      }
      await store.transaction(({ sql }) => keepReceipts(sql))
      for (const { reason } of failed) {
        if (!(reason instanceof SendFailure)) throw reason
        avoid.set(reason.server, (avoid.get(reason.server) ?? 0) + 1)
      }
      // S12: where somebody plays a server, perhaps somebody plays the member too. What waits stays in the buffer.
      const impostor = failed.some(({ reason }) => reason.problem.code === 'server.impostor')
      const proven = !impostor || !this.#o.recall || (await this.#o.recall(row.member, row.device, this.#worker.signal))
      // A catalogue is placement's own: nobody brought it.
      if (!proven && row.device !== '') throw new Problem('card.unproven', 'the card did not prove itself again')
      if (attempt >= 3) throw (failed[0]!.reason as SendFailure).problem
    }
  }

  async #contentOf(row: SaveRow): Promise<Content> {
    const { store, keys, buffer } = this.#o
    if (row.media === catalogueMedia) {
      const bytes = await catalogueBytes(store.sql, row, keys)
      if (!bytes) throw new Problem('transfer.unknown', 'a newer catalogue has taken its place')
      return new OwnContent(row, bytes)
    }
    const about = await buffer.describe(row.transfer)
    if (!about?.complete) throw new Problem(about ? 'transfer.incomplete' : 'transfer.unknown')
    if (!same(about.root, row.root) || about.sizeBytes !== encryptedBytes(row.size) || about.device !== row.device)
      throw new Problem('transfer.bad-root')
    const transferKey = keys.open(row.transfer_key, transferKeyDomain)
    return new TransferredContent(row, transferKey, buffer, this.#worker.signal)
  }

  /** The two replicas as they should be: those that stand, and newly chosen places for the rest, written down. */
  async #plan(row: SaveRow, member: MemberRow, avoid: ReadonlyMap<string, number>): Promise<ReplicaRow[]> {
    const { store, registry, random, keys } = this.#o
    const isGood = (replica: ReplicaRow) => replica.receipt || !avoid.has(replica.server)
    const good = (await replicas.of(store.sql, row.object, row.version)).filter(isGood)
    if (good.length === 2) return good
    const memberKey = unwrapMemberKey(keys, member.wrapped_key)
    const sealedBytes = sealedSize(row.size)
    return store.commit(async ({ sql, afterCommit }) => {
      await requireWanted(sql, row)
      const before = await replicas.of(sql, row.object, row.version)
      const standing = before.filter(isGood)
      const candidates = await registry.candidates(sql)
      const bucket = await enterBucket(sql, row, member, sealedBytes)
      // Where its bucket belongs; elsewhere only when that cannot be now.
      const assigned = standing.length === 0 && avoid.size === 0 && assignedPlaces(bucket, candidates, sealedBytes)
      if (!assigned && bucket.one !== '') afterCommit(() => this.#o.onElsewhere?.())
      const choices = assigned
        ? choiceOf(...assigned)
        : this.#choose(row, member, { candidates, standing, avoid, sealedBytes })
      const planned = await mapInOrder(choices, async (choice) => {
        const stands = standing.find((replica) => replica.slot === choice.slot)
        if (stands) return stands
        const old = before.find((replica) => replica.slot === choice.slot)
        if (old) await giveUp(sql, old)
        const replica = newReplica(row, choice, sealedBytes, memberKey, (old?.epoch ?? 0) + 1, random)
        await replicas.put(sql, replica)
        await servers.reserve(sql, replica.server, sealedBytes)
        return replica
      })
      await noteStrays(sql, bucket, planned)
      return planned
    })
  }

  /** Places for the slots that have none, beside what stands. @throws {Problem} `placement.*` when there are none */
  #choose(
    row: SaveRow,
    member: MemberRow,
    given: {
      candidates: readonly Candidate[]
      standing: readonly ReplicaRow[]
      avoid: ReadonlyMap<string, number>
      sealedBytes: number
    },
  ): Choice[] {
    const { candidates, standing, avoid, sealedBytes } = given
    const find = (slot: 1 | 2) => {
      const server = standing.find((replica) => replica.slot === slot)?.server
      return candidates.find((candidate) => candidate.server === server)
    }
    const one = find(1)
    const two = find(2)
    return choose(
      candidates.filter((candidate) => !avoid.has(candidate.server)),
      {
        object: row.object,
        level: member.level,
        home: member.home,
        asking: row.asking,
        sealedBytes,
        abroad: isAbroad(member),
      },
      this.#o.rules,
      { ...(one ? { 1: one } : {}), ...(two ? { 2: two } : {}) },
    )
  }

  #dataKeyOf(replica: ReplicaRow, member: { wrapped_key: Uint8Array }): Uint8Array {
    return unwrapDataKey(unwrapMemberKey(this.#o.keys, member.wrapped_key), replica.wrapped_key)
  }

  /** S7: authenticates the server, then sends the replica while it is sealed, and checks the signed receipt. */
  async #send(content: Content, member: ReplicaOwner, replica: ReplicaRow, pass: OnePass, lane: number): Promise<void> {
    const { store, keys, log } = this.#o
    const { row } = content
    const server = await servers.byId(store.sql, replica.server)
    if (!server) throw new SendFailure(replica.server, new Problem('server.unreachable', 'not in the register'))
    const memberKey = unwrapMemberKey(keys, member.wrapped_key)
    try {
      const delivered = await deliverSealing(
        this.#o,
        server,
        (root) => manifestOf(row, { ...replica, root }, server, member),
        replica.wrapped_key,
        {
          segments: () => pass.segments(lane),
          root: () => pass.root(lane),
          leave: () => pass.leave(lane),
          again: {
            root: async () => (await rootsOf(content, [replica], memberKey))[0]!,
            segments: () => sealedSegments(content, replica, this.#dataKeyOf(replica, member)),
          },
        },
        this.#worker.signal,
      )
      Object.assign(replica, delivered)
    } catch (error) {
      if (this.#worker.signal.aborted || !isProblem(error) || content.failure || pass.failure)
        throw content.failure ?? pass.failure ?? error
      log.warn('a data server failed', { server: server.id, code: error.code, detail: error.detail })
      // S12: an impostor is shut off; one that only fails is asked again soon.
      if (error.code === 'server.impostor')
        await contain(this.#o, server.id, 'impostor', 'it did not prove its key when data was to be kept')
      else await store.transaction(({ sql }) => servers.penalise(sql, server.id, 1, 0))
      throw new SendFailure(server.id, error)
    }
  }

  /** The journal first, then the receipt, the conditions and the news, in one transaction; then the buffer is given back. */
  async #keep(row: SaveRow): Promise<void> {
    const { store, buffer, clock, keys, random, signer } = this.#o
    await this.journal.push()
    if (!(await this.journal.isSafe(row.journal!)))
      throw new Problem('server.unreachable', 'the journal is not in two regions yet')
    await store.commit(async ({ sql, emit }) => {
      await requireWanted(sql, row)
      const member = (await members.byId(sql, row.member))!
      const standing = await replicas.of(sql, row.object, row.version)
      const keptMs = clock.now()
      const receipt = await receiptFor(sql, row, standing, keptMs, signer)
      // Its bucket may have been given other places meanwhile.
      const bucket = row.class === 0 ? undefined : await buckets.at(sql, row.class, row.place)
      if (bucket) await noteStrays(sql, bucket, standing)
      await saves.set(sql, row, { state: 'kept', kept: keptMs, receipt, problem: null, transfer_key: new Uint8Array() })
      const record = await conditionsFor({ sql, keys, random }, row, standing, member)
      if (row.media === catalogueMedia) {
        const known = (await catalogues.get(sql, row.member))!
        await catalogues.put(sql, { ...known, content: new Uint8Array(), record })
        return
      }
      await conditions.put(sql, { member: row.member, object: row.object, version: row.version, record, written: null })
      await catalogues.touch(sql, row.member)
      await emit(saveKept, row.device, { object: row.object, receipt })
    })
    if (row.media === catalogueMedia) await this.#retire(row)
    else await buffer.release(row.transfer)
  }

  /** Has a data server destroy what it holds of a slot up to the replica’s epoch. */
  async #remove(row: AbandonedRow, server: string): Promise<Uint8Array> {
    return destroy(this.#o, await servers.byId(this.#o.store.sql, server), row, row.epoch, this.#worker.signal)
  }

  /** Catalogues that no card can still point to are destroyed where they lie; one that cannot be reached is tried with the next. */
  async #retire(row: SaveRow): Promise<void> {
    const { store, log } = this.#o
    for (const old of await replicas.before(store.sql, row.object, row.version - catalogueVersionsKept)) {
      const server = await servers.byId(store.sql, old.server)
      try {
        if (server) await this.#remove(old, server.id)
        await store.transaction(async ({ sql }) => {
          await replicas.remove(sql, old)
          const save = old.slot === 1 && (await saves.get(sql, old.object, old.version))
          if (save) await leaveBucket(sql, save, old.sealed)
        })
      } catch (error) {
        if (this.#worker.signal.aborted || !isProblem(error)) throw error
        log.info('an old catalogue stays for now', { server: old.server, code: error.code })
      }
    }
  }
}

/** D8: its member may have had it erased meanwhile. @throws {Problem} `object.erased` */
async function requireWanted(sql: Sql, { object, version }: SaveRow): Promise<void> {
  const state = (await saves.get(sql, object, version))?.state
  if (state !== 'buffered' && state !== 'sealed') throw new Problem('object.erased')
}

/** What of a member the manifest and the keys need. */
interface ReplicaOwner {
  id: Uint8Array
  auth_key: Uint8Array
  wrapped_key: Uint8Array
}

/** Whether a save ends here for now: its device begins again, or is told that it will not be kept. */
function endOf(code: string, row: SaveRow): 'lost' | 'refused' | undefined {
  if (code === 'transfer.unknown' || code === 'transfer.incomplete') return 'lost'
  // A block that arrived whole and does not open: the buffer's disk rotted, or, when it is so again, the key is wrong.
  if (code === 'transfer.bad-block') return row.problem === code ? 'refused' : 'lost'
  return code === 'transfer.bad-root' ? 'refused' : undefined
}

/** A server failed; another one may do. */
class SendFailure extends Error {
  readonly server: string
  readonly problem: Problem

  constructor(server: string, problem: Problem) {
    super(problem.message, { cause: problem })
    this.server = server
    this.problem = problem
  }
}

function nameOf(row: SaveRow): string {
  return `${Buffer.from(row.object).toString('hex')}.${row.version}`
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(b)
}
