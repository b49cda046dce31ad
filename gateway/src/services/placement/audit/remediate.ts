/**
 * One suspect, from the first doubt to what is done about it (S11): evidence, verdict, repair. Never below the good copies
 * there are: what is bad is replaced in place by proven bytes, or made anew before it is given up.
 */
import { encodeDeterministic } from '@azukari/protocol/codec'
import { encrypt0 } from '@azukari/protocol/cose'
import { isProblem } from '@azukari/protocol/problem'
import { signVerdict } from '@azukari/protocol/verdict'
import { unwrapMemberKey } from '../keys/keystore.ts'
import { type ReplacePorts, type Standing, standingOf } from '../moves/making.ts'
import type { Mover } from '../moves/mover.ts'
import { making } from '../moves/store.ts'
import { type ServerRow, servers } from '../store.ts'
import { contain } from './contain.ts'
import { type Gathered, gather } from './evidence.ts'
import { type Difference, differenceOf } from './read.ts'
import { restoreSegments } from './repair.ts'
import { audits, differences, suspects, verdicts } from './store.ts'
import type { Outcome, SuspectTable } from './tables.ts'
import { type Judgement, judge } from './verdict.ts'

export interface TreatPorts extends ReplacePorts {
  mover: Pick<Mover, 'remake'>
}

/** external_aad of what stood in place of a member's bytes. */
export const piecesDomain = new TextEncoder().encode('azukari/pieces/1')

/** What came of looking at a suspect. */
export type Treated = { done: true; kind?: Judgement['kind'] } | { done: false; refused: boolean }

/** To be called while no move touches the object (`Mover.exclusive`). */
export async function treat(ports: TreatPorts, suspect: SuspectTable, signal: AbortSignal): Promise<Treated> {
  const { store } = ports
  const standing = await standingIn(ports, suspect)
  const server = await servers.byId(store.sql, suspect.server)
  // Moved, removed, or at a server whose data is being made anew anyhow.
  if (standing?.old.server !== suspect.server || !server || server.state === 'lost' || server.state === 'contained')
    return drop(ports, suspect)
  // Half made in its place: the mover finishes that first.
  if (await making.of(store.sql, suspect)) return { done: false, refused: false }
  const refusals = (await audits.of(store.sql, server.id))?.refusals ?? 0
  const gathered = await gather(ports, standing, server, suspect.met, refusals, signal)
  const judged = judge(gathered.evidence)
  if (judged.next === 'contain') {
    await contain(ports, server.id, judged.kind === 'impostor' ? 'impostor' : 'contained', judged.because)
    return { ...(await drop(ports, suspect)), kind: judged.kind }
  }
  await store.transaction(({ sql }) => audits.set(sql, server.id, { refusals: gathered.evidence.refusals }))
  if (judged.next === 'again') return { done: false, refused: gathered.evidence.refusals > refusals }
  // Before anything is repaired: afterwards nobody can tell.
  const difference =
    judged.next === 'remake' && gathered.evidence.examination?.held
      ? await differenceOf(ports, standing, signal)
      : undefined
  const outcome = await act(ports, standing, server, judged, gathered, signal)
  await record(ports, suspect, standing, judged, gathered, outcome, difference)
  if (outcome === 'remaking') await remake(ports, suspect, judged)
  return { done: true, kind: judged.kind }
}

async function drop(ports: TreatPorts, suspect: SuspectTable): Promise<{ done: true }> {
  await ports.store.transaction(({ sql }) => suspects.drop(sql, suspect))
  return { done: true }
}

async function standingIn({ store }: TreatPorts, suspect: SuspectTable): Promise<Standing | undefined> {
  try {
    return standingOf(store.sql, suspect)
  } catch (error) {
    if (isProblem(error, 'object.unknown')) return undefined
    throw error
  }
}

/** Does what the verdict asks for, as far as it can be done here and now. */
async function act(
  ports: TreatPorts,
  standing: Standing,
  server: ServerRow,
  judged: Judgement,
  { evidence }: Gathered,
  signal: AbortSignal,
): Promise<Outcome> {
  const { old } = standing
  const examination = evidence.examination!
  const port = ports.dataServers.of(server)
  const { object, version, slot } = old
  try {
    if (judged.next === 'segments') {
      await restoreSegments(ports, standing, server, examination, signal)
      if (examination.notesLost) await port.writeNotes({ object, version, slot }, old.wrapped_key, signal)
      // Compared again: what is not whole now is made anew.
      const again = await gather(ports, standing, server, 'listed', 0, signal)
      return judge(again.evidence).next === 'nothing' ? 'segments' : 'remaking'
    }
    if (judged.next === 'notes') {
      await port.writeNotes({ object, version, slot }, old.wrapped_key, signal)
      return 'notes'
    }
    if (judged.next === 'manifest') {
      await port.replaceManifest(old.manifest!, signal)
      return 'manifest'
    }
  } catch (error) {
    signal.throwIfAborted()
    if (!isProblem(error)) throw error
    ports.log.info('a repair in place failed', { server: server.id, code: error.code })
    return 'remaking'
  }
  if (judged.next === 'remake') return 'remaking'
  return judged.kind === 'media' ? 'parity' : 'none'
}

/** The verdict with its evidence, signed, and the end of the suspicion: one commit. */
async function record(
  ports: TreatPorts,
  suspect: SuspectTable,
  { old, row, member }: Standing,
  { kind, because }: Judgement,
  { evidence, signed }: Gathered,
  outcome: Outcome,
  difference: Difference | undefined,
): Promise<void> {
  const { store, clock, signer, keys, random, log } = ports
  await store.transaction(async ({ sql }) => {
    await suspects.drop(sql, suspect)
    if (!kind) return
    const atMs = clock.now()
    const { object, version, slot } = old
    const verdict = signVerdict(
      {
        kind,
        atMs,
        server: old.server,
        replica: { object, version, slot },
        epoch: old.epoch,
        because,
        evidence: {
          ...(old.receipt && { receipt: old.receipt }),
          ...(old.manifest && { manifest: old.manifest }),
          ...(signed && { examination: signed }),
          ...(evidence.readRoot && { readRoot: evidence.readRoot }),
        },
      },
      signer,
    )
    const id = await verdicts.add(sql, {
      at: atMs,
      kind,
      server: old.server,
      object,
      version,
      slot,
      epoch: old.epoch,
      member: row.member,
      because,
      signed: verdict,
      outcome,
      done: outcome === 'remaking' ? null : atMs,
    })
    await audits.suspect(sql, old.server)
    if (difference && difference.ranges.bytes > 0)
      await differences.put(sql, {
        verdict: id,
        ranges: JSON.stringify(difference.ranges.found),
        bytes: difference.ranges.bytes,
        pieces: encrypt0(
          encodeDeterministic(difference.pieces.map(({ index, bytes }) => [index, bytes])),
          unwrapMemberKey(keys, member.wrapped_key),
          random.bytes(12),
          piecesDomain,
        ),
      })
  })
  if (kind) log.warn('a replica was judged', { server: old.server, kind, outcome, because })
}

async function remake(
  { mover }: TreatPorts,
  { object, version, slot }: SuspectTable,
  { kind }: Judgement,
): Promise<void> {
  const cause = kind === 'tampering' || kind === 'unexplained' || kind === 'rollback' ? kind : 'damaged'
  await mover.remake({ object, version, slot }, cause, {})
}
