/**
 * Placement (ARCHITECTURE §7): members, sessions, and the way of an offer into two sealed replicas. Handlers decide and
 * write in one transaction; the slow work is the worker's.
 */
import type { KeyObject } from 'node:crypto'
import { hex } from '@azukari/protocol/bytes'
import { providerProofMessage } from '@azukari/protocol/card/layout'
import { decode } from '@azukari/protocol/codec'
import { checker, type ReplyOf, type RequestOf } from '@azukari/protocol/contract'
import { findings, findingsTold, recallSession } from '@azukari/protocol/contracts/care'
import type { PlacementFacts } from '@azukari/protocol/contracts/hazard'
import { offerDomain, offerSave, SaveOffer, saveStatus } from '@azukari/protocol/contracts/save'
import {
  closeSession,
  conditionsDigest,
  conditionsWritten,
  openSession,
  pendingConditions,
  proveSession,
  SessionProof,
  sessionDomain,
} from '@azukari/protocol/contracts/session'
import type { keepCard } from '@azukari/protocol/contracts/settlement-placement'
import { signerOf, verify1, verify1By } from '@azukari/protocol/cose'
import { parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Budgets } from '../../budgets/budgets.ts'
import { createServiceHost } from '../../service/host.ts'
import type { HostCounts } from '../../service/host-rules.ts'
import { act, call, type ReceiveBuffer, type Service, type ServiceStore } from '../../service/service.ts'
import type { Database, Sql } from '../../storage/database.ts'
import { refuseLost, takeWord } from './card-words.ts'
import { Care } from './care/care.ts'
import { contain, release } from './care/contain.ts'
import type { CareLimits } from './care/schedule.ts'
import { findingsFor, noteTold } from './care/tell.ts'
import type { DataServers } from './data-servers.ts'
import type { HazardRules } from './hazards/rules.ts'
import { FeedWatch, type HazardSources } from './hazards/watch.ts'
import { KeyPairs } from './key-pairs.ts'
import { type PlacementKeys, placementSigner } from './keys.ts'
import { LiveRiskBoard } from './live-risk-board.ts'
import { placementMigrations } from './migrations.ts'
import { Recalls } from './recalls.ts'
import { Registry } from './registry.ts'
import { ageMembers, type ChangePorts, changeMember, changeServer, type MemberChange } from './replace/changes.ts'
import { type DecideRules, defaultDecideRules } from './replace/decide.ts'
import type { ReplacePorts } from './replace/making.ts'
import { Mover, type MoverLimits } from './replace/mover.ts'
import type { RiskBoard } from './risk-board.ts'
import { type RiskReport, riskReport } from './risk-report.ts'
import { SaveWorker } from './save-worker.ts'
import { Sessions } from './sessions.ts'
import {
  catalogues,
  conditions,
  type MemberRow,
  members,
  type SaveRow,
  type ServerState,
  saves,
  servers,
} from './store.ts'
import { placementTelemetry } from './telemetry.ts'
import { Eraser } from './wishes/eraser.ts'
import { erasures } from './wishes/erasures.ts'
import { wishHandlers } from './wishes/handlers.ts'
import type { ErasureReport } from './wishes/report.ts'

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
  care?: Partial<CareLimits>
  hazardRules?: HazardRules
  /** Feeds, files and folders; without them hazards are only pushed. */
  hazardSources?: HazardSources
  /** Risks from elsewhere than rates and hazards, for tests. */
  risks?: RiskBoard
  /** How long the old replica stays after a move, at least, ms. */
  graceMs?: number
  /** Runs work when what the network has brought so far has been taken in. */
  soon?: (work: () => void) => void
  /** Where its budgets are shown. */
  budgets?: Budgets
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
  readonly care: Care
  /** What members had erased, and what is left of it (D8). */
  erasureStatus(): Promise<ErasureReport>
  /** What the gateway tells other programs of placement (D6). */
  telemetry(): Promise<PlacementFacts>
  /** A member's plan, level or home region (S9, S16). @throws {Problem} `member.unknown`, `config.invalid` */
  changeMember(number: string, change: MemberChange): Promise<MemberRow>
  /** Settlement's word on a card (P4): what it was told stands, once. */
  takeWord(word: RequestOf<typeof keepCard>): Promise<ReplyOf<typeof keepCard>>
  /** A server is to be emptied, is gone for good, or is in use again. @throws {Problem} `server.unreachable` */
  changeServer(id: string, state: ServerState): Promise<void>
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

const checkProof = checker(SessionProof, 'session proof')
const checkOffer = checker(SaveOffer, 'save offer')

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
  const cardSigner = signerOf(keys.card)
  const hosted = await createServiceHost({
    name: 'placement',
    database,
    clock,
    random,
    log,
    migrations: placementMigrations,
    ...(options.soon ? { soon: options.soon } : {}),
    ...(options.budgets ? { budgets: options.budgets } : {}),
    handlers: [
      call(openSession, async ({ card, operation }, { caller }) => {
        await mayAct(database, await members.byCard(database, card))
        const session = sessions.open(caller.device, operation, card)
        return {
          session: session.id,
          challenge: session.challenge,
          verifier: thumbprint(keys.signing),
          expiresMs: session.expiresMs,
        }
      }),

      call(proveSession, async ({ session: id, proof, cardChallenge }, { caller }) => {
        const session = sessions.of(id, caller.device)
        const member = await mayAct(database, await members.byCard(database, session.card))
        let said: SessionProof
        try {
          said = checkProof(
            decode(verify1(proof, keyOf(member.auth_kid, member.auth_key, 'card.rejected'), sessionDomain).payload),
          )
          if (
            !same(said.session, id) ||
            !same(said.challenge, session.challenge) ||
            !keys.takes(said.verifier, clock.now()) ||
            said.device !== caller.device ||
            said.operation !== session.operation
          )
            throw new Problem('card.rejected', 'the card signed something else')
          // A level that was changed reaches the card in the session that begins here; until then it may show the old one.
          // With several changes between two sessions, it shows any of them that a session may have written.
          if (
            said.level !== member.level &&
            said.level !== member.card_level &&
            !(await members.shows(database, member.id, said.level))
          )
            throw new Problem('level.mismatch', `card ${said.level}, register ${member.level}`)
          if (said.counter < member.counter)
            log.warn('a card shows an older counter', {
              member: hex(member.id),
              counter: said.counter,
              known: member.counter,
            })
        } catch (error) {
          // S2: told and closed; the challenge is spent.
          sessions.close(id)
          recalls.answered(member.id, caller.device, false)
          throw error instanceof Problem && error.code.startsWith('cose.')
            ? new Problem('card.rejected', error.code)
            : error
        }
        if (
          said.level === member.level &&
          (member.card_level !== null || (await members.showsOther(database, member.id)))
        )
          await hosted.store.transaction(({ sql }) => members.sawLevel(sql, member.id))
        sessions.prove(session, member.id)
        recalls.answered(member.id, caller.device, true)
        return {
          member: member.id,
          name: member.name,
          level: member.level,
          home: member.home,
          expiresMs: session.expiresMs,
          location: member.location === 1,
          ...(cardChallenge ? { cardProof: cardSigner.sign(providerProofMessage(session.card, cardChallenge)) } : {}),
          ...(await pendingFor(member.id)),
        }
      }),

      call(pendingConditions, ({ session }, { caller }) => pendingFor(sessions.memberOf(session, caller.device))),

      // After the session's end this is refused, and the next session tells the card again: harmless.
      act(conditionsWritten, async ({ session, written, counter }, { sql, caller, nowMs }) => {
        const member = sessions.findMember(session, caller.device)
        if (!member) throw new Problem('session.expired', 'the next session tells the card again')
        for (const { object, version, digest } of written) {
          // What was written may have been replaced since: then the card is told again.
          const row = digest && (await conditions.get(sql, member, object, version))
          if (!row || same(conditionsDigest(row.record), digest))
            await conditions.written(sql, member, object, version, nowMs)
        }
        await members.sawCounter(sql, member, counter)
        return {}
      }),

      call(findings, ({ session }, { caller }) => findingsFor(database, sessions.memberOf(session, caller.device))),

      act(findingsTold, async ({ session, findings: ids }, { sql, caller, nowMs }) => {
        const member = sessions.findMember(session, caller.device)
        if (!member) throw new Problem('session.expired', 'the next session tells the member again')
        await noteTold(sql, member, ids, nowMs)
        return {}
      }),

      call(closeSession, ({ session: id }, { caller }) => {
        sessions.close(sessions.of(id, caller.device).id)
        return {}
      }),

      act(offerSave, async ({ offer: message, transferKey }, { sql, caller, nowMs, afterCommit }) => {
        let signedBy: MemberRow | undefined
        const { payload } = await verify1By(
          message,
          async (kid) => {
            signedBy = await members.byActsKey(sql, kid)
            return signedBy && parseCoseKey(signedBy.acts_key)
          },
          offerDomain,
        )
        const member = await mayAct(sql, signedBy)
        const offer = checkOffer(decode(payload))
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
        if (!known) await saves.add(sql, rowOf(offer, member, caller, transferKey, nowMs))
        else if (known.state === 'lost') await saves.set(sql, known, { state: 'buffered', tries: 0 })
        afterCommit(() => worker.kick())
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

      ...wishHandlers({
        ...{ sql: database, keys, random },
        memberOf: (session, device) => sessions.memberOf(session, device),
        active: mayAct,
        changed: () => mover.changed('member'),
        erase: () => eraser.kick(),
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
    onElsewhere: () => mover.changed('room'),
    onContained,
    recall,
    signer,
  })
  const replace: ReplacePorts = {
    ...{ store: hosted.store, keys, signer, dataServers: options.dataServers, journal: worker.journal },
    ...{ clock, random, log, onContained },
    graceMs: options.graceMs ?? defaultGraceMs,
  }
  const changes: ChangePorts = { store: hosted.store, keys, clock, random }
  const mover = new Mover({
    ...{ ...replace, registry, rules, limits: options.mover ?? {} },
    age: async (after, limit) => ageMembers(changes, after, limit),
  })
  const care = new Care({ ...replace, mover, limits: options.care ?? {} })
  const eraser = new Eraser({
    ...{ ...replace, worker, mover },
    release: (transfer) => options.buffer.release(transfer),
  })
  const keyPairs = new KeyPairs({
    ...{ keys, registry, clock, random, log, journal: worker.journal },
    ...(options.keepKeys ? { keep: options.keepKeys } : {}),
  })
  risks.onChange(({ reason }) => mover.changed(reason))

  /** S12: the member's session is called up where the card still is. What no device asked for: wherever the card is. */
  async function recall(member: Uint8Array, asking: string, signal: AbortSignal): Promise<boolean> {
    const session = sessions.recall(member, asking || undefined)
    if (!session) return Promise.resolve(true)
    const answer = recalls.wait(member, session.device, signal)
    await hosted.store.transaction(({ emit }) =>
      emit(recallSession, session.device, { session: session.id, reason: 'server.impostor' }, { keep: false }),
    )
    return answer
  }

  function onContained(server: string): void {
    mover.changed(`server ${server}`)
    care.kick()
  }

  async function pendingFor(member: Uint8Array) {
    const rows = await conditions.pending(database, member, 9)
    const catalogue = (await catalogues.get(database, member))?.record
    return {
      ...(catalogue ? { catalogue } : {}),
      pending: rows.slice(0, 8).map(({ object, version, record }) => ({ object, version, record })),
      morePending: rows.length > 8,
    }
  }

  return {
    name: 'placement',
    handle: (request) => hosted.handle(request),
    takeEvents: (after, limit, device) => hosted.takeEvents(after, limit, device),
    eventsDone: (device, ids) => hosted.eventsDone(device, ids),
    onEvents: (listener) => hosted.onEvents(listener),
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
    care,
    erasureStatus: async () => eraser.status(),
    changeMember: async (number, change) => {
      const now = await changeMember(changes, number, change)
      mover.changed('member')
      return now
    },
    takeWord: async (word) => {
      const { taken, ...reply } = await takeWord(changes, word)
      const ended = taken && word.lost ? sessions.closeCard(word.card) : []
      // Where the card is now, its session is called up, and refused.
      if (ended.length > 0)
        await hosted.store.transaction(async ({ emit }) => {
          for (const { id, device } of ended)
            await emit(recallSession, device, { session: id, reason: 'card.lost' }, { keep: false })
        })
      if (taken && word.change) mover.changed('member')
      return reply
    },
    changeServer: async (id, state) => {
      await changeServer(changes, id, state)
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
      care.start()
      eraser.start()
    },
    stop: async () => {
      keyPairs.stop()
      await hazards.stop()
      live.stop()
      await care.stop()
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
  }
}

function keyOf(kid: Uint8Array, key: Uint8Array, otherwise: 'card.rejected'): (asked: Uint8Array) => KeyObject {
  return (asked) => {
    if (!same(asked, kid)) throw new Problem(otherwise, 'another card answered')
    return parseCoseKey(key)
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(b)
}
