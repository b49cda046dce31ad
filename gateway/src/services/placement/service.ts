import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { recallSession } from '@azukari/protocol/contracts/audit'
import type { Measure } from '@azukari/protocol/contracts/internal'
import { offerSave, type SaveOffer, saveStatus } from '@azukari/protocol/contracts/save'
import { keepCard } from '@azukari/protocol/contracts/settlement-placement'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Budgets } from '../../budgets/budgets.ts'
import { createServiceHost } from '../../service/host.ts'
import type { HostCounts } from '../../service/host-limits.ts'
import { memberCheck } from '../../service/member-tokens.ts'
import {
  call,
  type OwnContext,
  type ReceiveBuffer,
  type Service,
  type ServiceStore,
  serviceAct,
  signedAct,
} from '../../service/service.ts'
import type { Unlisted } from '../../service/unlisted.ts'
import type { Database, Sql } from '../../storage/database.ts'
import { Auditor } from './audit/audit.ts'
import { contain, release } from './audit/contain.ts'
import { defaultImpostorRules, type ImpostorRules } from './audit/impostors.ts'
import type { AuditLimits } from './audit/schedule.ts'
import { Eraser } from './erasure/eraser.ts'
import { erasures } from './erasure/erasures.ts'
import { requestHandlers } from './erasure/handlers.ts'
import type { ErasureReport } from './erasure/report.ts'
import type { HazardRules } from './hazards/rules.ts'
import { FeedWatch, type HazardSources } from './hazards/watch.ts'
import { KeyPairs } from './keys/key-pairs.ts'
import { type PlacementKeys, placementSigner } from './keys/keys.ts'
import { Recalls } from './members/recalls.ts'
import { refuseLost, takeWord } from './members/register-sync.ts'
import { Registry } from './members/registry.ts'
import { sessionHandlers } from './members/session-handlers.ts'
import { Sessions } from './members/sessions.ts'
import { memberOfSigner, memberSigners } from './members/signers.ts'
import { placementMigrations } from './migrations.ts'
import { asksFromElsewhere, noteAsking } from './moves/asking.ts'
import { ageMembers, type ChangePorts, changeMember, changeServer, type MemberChange } from './moves/changes.ts'
import { type DecideRules, defaultDecideRules } from './moves/decide.ts'
import { mayBecome, takeOut } from './moves/leaving.ts'
import type { ReplacePorts } from './moves/making.ts'
import { Mover, type MoverLimits } from './moves/mover.ts'
import type { DataServers } from './replicas/data-servers.ts'
import type { RiskBoard } from './risk/board.ts'
import { LiveRiskBoard } from './risk/live-board.ts'
import { type RiskReport, riskReport } from './risk/report.ts'
import { hold, isHeld, mayShowLevel, release as releaseHeld } from './saves/held.ts'
import { SaveWorker } from './saves/worker.ts'
import { type MemberRow, type SaveRow, type ServerState, saves, servers } from './store.ts'
import { placementTelemetry } from './telemetry.ts'

export interface PlacementOptions {
  database: Database
  keys: PlacementKeys
  /** Writes the keys down when there are new ones; durable when it resolves. */
  keepKeys?: (keys: PlacementKeys) => Promise<void>
  buffer: ReceiveBuffer
  dataServers: DataServers
  clock: Clock
  random: Random
  log: Log
  rules?: Partial<DecideRules>
  /** How fast and how much data is moved. */
  mover?: Partial<MoverLimits>
  /** How often and how much is audited. */
  audits?: Partial<AuditLimits>
  /** From how many impostors on members are told, and a server is shut off (S12). */
  impostors?: Partial<ImpostorRules>
  hazardRules?: HazardRules
  /** Feeds, files and folders; without them hazards are only pushed. */
  hazardSources?: HazardSources
  /** Risks from elsewhere than rates and hazards, for tests. */
  risks?: RiskBoard
  /** How long the old replica stays after a move, at least, ms. */
  graceMs?: number
  /** Runs work when what the network has brought so far has been taken in. */
  defer?: (work: () => void) => void
  /** Where its budgets are shown. */
  budgets?: Budgets
  /** Hears of answers that contracts do not list: `logUnlisted`, in tests `throwUnlisted`. */
  unlisted: Unlisted
}

export interface Placement extends Service {
  readonly registry: Registry
  /** What every data server risks now, and who is told when that changes (S9). */
  readonly risks: LiveRiskBoard
  /** Feeds of hazards, and the way to push one. */
  readonly hazards: FeedWatch
  riskReport(): Promise<RiskReport>
  readonly store: ServiceStore
  /** Acts, refusals and commits since the start, for metrics. */
  readonly counts: Readonly<HostCounts>
  readonly worker: SaveWorker
  /** With what replicas are made anew or moved (`replace/reseal.ts`, `replace/copy.ts`). */
  readonly replace: ReplacePorts
  /** Moves data when risks, levels, regions, servers or room change (S9, S16). */
  readonly mover: Mover
  /** Audits, verdicts and repairs (S11, S12). */
  readonly audits: Auditor
  /** What members had erased, and what is left of it (D8). */
  erasureStatus(): Promise<ErasureReport>
  /** What the gateway tells other programs of placement (D6). */
  telemetry(): Promise<readonly Measure[]>
  /** A member's plan, level or home region (S9, S16). @throws {Problem} `member.unknown`, `config.invalid` */
  changeMember(number: string, change: MemberChange): Promise<MemberRow>
  /** Settlement's word on a card (P4): what it was told stands, once. */
  takeWord(word: RequestOf<typeof keepCard>): Promise<ReplyOf<typeof keepCard>>
  /** A server is to be emptied, is gone for good, or is in use again. @throws {Problem} `server.unreachable` */
  changeServer(id: string, state: ServerState): Promise<void>
  /** Empties a server, or takes it back into use (S9). @throws {Problem} `config.invalid`, `server.not-leaving` */
  drainServer(id: string, state: 'draining' | 'open'): Promise<void>
  /** Takes a server out of the register. @throws {Problem} `config.invalid`, `server.not-leaving`, `server.in-use` */
  takeOutServer(id: string): Promise<void>
  /** Shuts a server off by an operator's word (S12). @throws {Problem} `server.unreachable` */
  containServer(id: string, reason: string): Promise<void>
  /** Lets a server back in that was shut off (S12). @throws {Problem} `server.unreachable` */
  releaseServer(id: string, reason: string): Promise<void>
  /** Members do not read there either (S12). @throws {Problem} `server.contained` */
  mayRead(server: string): Promise<void>
  /** The keys as they change: what the key directory says of them, and the next ones. */
  readonly keyPairs: KeyPairs
}

/** A week: members' cards come by. Longer only costs room, shorter only a detour over the forwarding record. */
const defaultGraceMs = 7 * 86_400_000

export async function createPlacement(options: PlacementOptions): Promise<Placement> {
  const { database, keys, clock, random, log } = options
  const sessions = new Sessions(clock, random)
  const recalls = new Recalls(clock)
  /** @throws {Problem} `card.unknown`, `member.suspended`, `card.lost` */
  const mayAct = async (sql: Sql, row: MemberRow | undefined): Promise<MemberRow> => {
    const member = activeMember(row)
    await refuseLost(sql, member)
    return member
  }
  const signer = placementSigner(keys)
  const impostors = { ...defaultImpostorRules, ...options.impostors }
  const hosted = await createServiceHost({
    name: 'placement',
    database,
    clock,
    random,
    log,
    migrations: placementMigrations,
    ...(options.defer ? { defer: options.defer } : {}),
    ...(options.budgets ? { budgets: options.budgets } : {}),
    unlisted: options.unlisted,
    signers: memberSigners,
    members: memberCheck(keys.own, (session, device) => sessions.isOpen(session, device)),
    handlers: [
      ...sessionHandlers({
        sql: database,
        transaction: (work) => hosted.store.transaction(({ sql }) => work(sql)),
        signer,
        keys,
        sessions,
        recalls,
        log,
        impostorsTold: impostors.told,
        proven: cardProven,
        mayAct,
      }),

      serviceAct(keepCard, ['settlement'], (word, context) => keepWord(word, context)),

      signedAct(offerSave, async ({ transferKey }, { sql, caller, nowMs, afterCommit, signed }) => {
        const { body: offer } = signed
        const member = await mayAct(sql, memberOfSigner(signed.signer))
        keys.requireAddressed(offer.audience, nowMs)
        if (!same(offer.member, member.id)) throw new Problem('cose.bad-signature', 'the signer is another member')
        if (offer.expiresMs < nowMs) throw new Problem('message.expired', 'the offer is too old')
        if (await erasures.of(sql, offer.object)) throw new Problem('object.erased')
        const known = await saves.get(sql, offer.object, offer.version)
        if (
          known &&
          !(same(known.transfer, offer.transfer) && same(known.sha256, offer.sha256) && same(known.member, member.id))
        )
          throw new Problem('act.conflict', 'another object has this id')
        if (!known) {
          const row = rowOf(offer, member, caller, transferKey, nowMs)
          await saves.add(sql, row)
          if (offer.level !== undefined && !(await mayShowLevel(sql, member, offer.level)))
            await hold(sql, row, 'level.unproven')
          if (await noteAsking(sql, caller)) afterCommit(() => mover.changed('region'))
        } else if (known.state === 'lost') await saves.set(sql, known, { state: 'buffered', tries: 0 })
        afterCommit(() => worker.wake())
        return { object: offer.object, bufferedMs: known?.at ?? nowMs }
      }),

      call(saveStatus, async ({ object, version }, { caller }) => {
        if ((await erasures.of(database, object))?.device === caller.device)
          return { stage: 'refused' as const, problem: 'object.erased' }
        const row = await saves.get(database, object, version)
        if (!row || row.device !== caller.device || row.state === 'lost') return { stage: 'unknown' as const }
        if (row.state === 'erasing') return { stage: 'refused' as const, problem: 'object.erased' }
        if (row.receipt) return { stage: 'kept' as const, receipt: row.receipt }
        if (row.state === 'refused') return { stage: 'refused' as const, problem: row.problem ?? 'internal' }
        return row.problem ? { stage: 'waiting' as const, problem: row.problem } : { stage: 'buffered' as const }
      }),

      ...requestHandlers({
        sql: database,
        keys,
        random,
        memberOf: (session, device) => sessions.memberOf(session, device),
        active: mayAct,
        changed: () => mover.changed('member'),
        erase: () => eraser.wake(),
      }),
    ],
  })

  const live = new LiveRiskBoard({
    store: hosted.store,
    clock,
    log,
    ...(options.hazardRules ? { rules: options.hazardRules } : {}),
  })
  const hazards = new FeedWatch({
    ...(options.hazardSources ? { sources: options.hazardSources } : {}),
    board: live,
    store: hosted.store,
    clock,
    log,
  })
  await live.load()
  await hazards.load()
  const risks = options.risks ?? live
  const registry = new Registry(hosted.store, keys, random, clock, risks)
  const rules = { ...defaultDecideRules, ...options.rules }
  const worker = new SaveWorker({
    ...options,
    store: hosted.store,
    registry,
    rules,
    impostors,
    onElsewhere: () => mover.changed('room'),
    onContained,
    recall,
    signer,
  })
  const replace: ReplacePorts = {
    store: hosted.store,
    keys,
    signer,
    dataServers: options.dataServers,
    journal: worker.journal,
    clock,
    random,
    log,
    impostors,
    onContained,
    graceMs: options.graceMs ?? defaultGraceMs,
  }
  const changes: ChangePorts = { store: hosted.store, keys, clock, random }
  const mover = new Mover({
    ...replace,
    registry,
    rules,
    limits: options.mover ?? {},
    age: async (after, limit) => ageMembers(changes, after, limit),
  })
  const audits = new Auditor({ ...replace, mover, limits: options.audits ?? {} })
  const eraser = new Eraser({
    ...replace,
    worker,
    mover,
    release: (transfer) => options.buffer.release(transfer),
  })
  const keyPairs = new KeyPairs({
    keys,
    registry,
    clock,
    random,
    log,
    journal: worker.journal,
    ...(options.keepKeys ? { keep: options.keepKeys } : {}),
  })
  risks.onChange(({ reason }) => mover.changed(reason))

  /** What waited for the card goes on (S3, S12), and what its device brought follows it to another region (S9). */
  async function cardProven(member: Uint8Array, caller: { device: string; region: string }): Promise<void> {
    if (!(await isHeld(database, member)) && !(await asksFromElsewhere(database, caller))) return
    await hosted.store.transaction(async ({ sql, afterCommit }) => {
      if (await releaseHeld(sql, member)) afterCommit(() => worker.wake())
      if (await noteAsking(sql, caller)) afterCommit(() => mover.changed('region'))
    })
  }

  /** S12: the member's session is called up where the card still is. What no device asked for: wherever the card is. */
  async function recall(member: Uint8Array, asking: string, signal: AbortSignal): Promise<boolean> {
    const session = sessions.recall(member, asking || undefined)
    if (!session) return false
    const answer = recalls.wait(member, session.device, signal)
    await hosted.store.transaction(({ emit }) =>
      emit(recallSession, session.device, { session: session.id, reason: 'server.impostor' }, { keep: false }),
    )
    return answer
  }

  /** What settlement says of a card; where the card is now, its session is called up, and refused. */
  async function keepWord(word: RequestOf<typeof keepCard>, context: OwnContext): Promise<ReplyOf<typeof keepCard>> {
    const { taken, ...reply } = await takeWord(context, changes, word)
    if (taken && word.lost)
      for (const { id, device } of sessions.closeCard(word.card))
        await context.emit(recallSession, device, { session: id, reason: 'card.lost' }, { keep: false })
    if (taken && word.change) context.afterCommit(() => mover.changed('member'))
    return reply
  }

  function onContained(server: string): void {
    mover.changed(`server ${server}`)
    audits.wake()
  }

  return {
    name: 'placement',
    handle: (request) => hosted.handle(request),
    takeEvents: (after, limit, device) => hosted.takeEvents(after, limit, device),
    eventsDone: (device, ids) => hosted.eventsDone(device, ids),
    onEvents: (listener) => hosted.onEvents(listener),
    downloads: hosted.downloads,
    registry,
    risks: live,
    hazards,
    riskReport: async () => riskReport(live, await registry.servers(), hazards.status(), clock.now()),
    telemetry: async () =>
      placementTelemetry(hosted.store.sql, live, await registry.servers(), (await mover.status()).stuck),
    store: hosted.store,
    counts: hosted.counts,
    worker,
    replace,
    mover,
    audits,
    erasureStatus: async () => eraser.status(),
    changeMember: async (number, change) => {
      const now = await changeMember(changes, number, change)
      mover.changed('member')
      return now
    },
    takeWord: (word) => hosted.store.transaction((context) => keepWord(word, context)),
    changeServer: async (id, state) => {
      await changeServer(changes, id, state)
      mover.changed('server')
    },
    drainServer: async (id, state) => {
      await mayBecome(hosted.store.sql, id, state)
      await changeServer(changes, id, state)
      mover.changed('server')
    },
    takeOutServer: async (id) => {
      await takeOut(changes, id)
      await live.reload()
      mover.changed('server')
    },
    containServer: async (id, reason) => {
      await contain(replace, id, 'contained', `an operator: ${reason}`)
    },
    releaseServer: async (id, reason) => release(replace, id, reason),
    mayRead: async (id) => {
      if ((await servers.byId(hosted.store.sql, id))?.state === 'contained') throw new Problem('server.contained', id)
    },
    keyPairs,
    start: async () => {
      await hosted.start()
      await registry.journalKeys(keys)
      keyPairs.start()
      await live.start()
      hazards.start()
      worker.start()
      await mover.start()
      audits.start()
      eraser.start()
    },
    stop: async () => {
      keyPairs.stop()
      await hazards.stop()
      live.stop()
      await audits.stop()
      await eraser.stop()
      await mover.stop()
      await worker.stop()
      await hosted.stop()
    },
  }
}

function activeMember(member: MemberRow | undefined): MemberRow {
  if (!member) throw new Problem('card.unknown')
  if (member.status !== 'active') throw new Problem('member.suspended')
  return member
}

function rowOf(
  offer: SaveOffer,
  member: MemberRow,
  caller: { device: string; region: string },
  transferKey: Uint8Array,
  nowMs: number,
): SaveRow {
  return {
    object: offer.object,
    version: offer.version,
    member: member.id,
    device: caller.device,
    // Without consent to location the device's own place decides nothing (D8).
    asking: member.location === 1 ? caller.region : member.home,
    transfer: offer.transfer,
    transfer_key: transferKey,
    root: offer.root,
    size: offer.sizeBytes,
    sha256: offer.sha256,
    name: offer.name,
    media: offer.mediaType,
    taken: offer.takenMs,
    state: 'buffered',
    problem: null,
    tries: 0,
    at: nowMs,
    kept: null,
    receipt: null,
    journal: null,
    class: 0,
    place: 0,
    held: null,
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(b)
}
