/**
 * The campaign behind the verdicts (S11): faults of every kind, done to the real storage of data servers, found by the
 * real audits, judged, repaired. What was judged is held against what was really done.
 */

import { auditNow } from '@azukari/gateway/services/placement/audit/audit'
import type { VerdictTable } from '@azukari/gateway/services/placement/audit/tables'
import type { ReplicaRow } from '@azukari/gateway/services/placement/store'
import { hex } from '@azukari/protocol/bytes'
import { mapInOrder } from '@azukari/protocol/in-order'
import { generateKey } from '@azukari/protocol/keys'
import { InternalError } from '@azukari/protocol/problem'
import { faultOf, standing } from '../testkit/placement/check.ts'
import { canDo, copyOf, type Fault, type FaultKind, faultKinds, inflict, truth } from '../testkit/placement/faults.ts'
import { PlacementFixture } from '../testkit/placement/fixture.ts'
import type { FixturePlace } from '../testkit/placement/risks.ts'

const places: FixturePlace[] = [
  { id: 'sapporo', region: 'JP-01', latitude: 43.06, longitude: 141.35, quake: 0.02 },
  { id: 'fukuoka', region: 'JP-40', latitude: 33.61, longitude: 130.42, quake: 0.02 },
  { id: 'singapore', region: 'SG', latitude: 1.35, longitude: 103.82, quake: 0.02 },
  { id: 'uusimaa', region: 'FI-18', latitude: 60.17, longitude: 24.94, quake: 0.02 },
]
const hourMs = 3_600_000

export interface CampaignReport {
  seed: number
  faults: number
  /** By what was done: how often, and what was said of it. */
  kinds: Record<string, { done: number; said: Record<string, number> }>
  /** Verdicts that are not true of what was done, or missing. */
  wrong: string[]
  falseAccusations: number
  /** Verdicts about replicas to which nothing was done. */
  aboutNothing: number
  impostors: { done: number; found: number }
  /** Replicas that were not good again afterwards. */
  unrepaired: number
  simulatedHours: number
}

export interface CampaignOptions {
  seed: number
  faults: number
  /** Objects kept; a fault is done to half of them at a time. */
  objects?: number
  tell?: (line: string) => void
}

export async function campaign({ seed, faults, objects = 48, tell }: CampaignOptions): Promise<CampaignReport> {
  const fixture = await PlacementFixture.make({
    seed,
    places,
    placement: {
      audits: { bytesPerSecond: 1e9, atOnce: 8 },
      mover: { bytesPerSecond: 1e9, atOnce: 8 },
      graceMs: 1_000,
    },
  })
  const report: CampaignReport = {
    seed,
    faults: 0,
    kinds: {},
    wrong: [],
    falseAccusations: 0,
    aboutNothing: 0,
    impostors: { done: 0, found: 0 },
    unrepaired: 0,
    simulatedHours: 0,
  }
  const member = await fixture.addMember(2, 'JP-13')
  const kept: Uint8Array[] = []
  for (let i = 0; i < objects; i++) kept.push(await fixture.keep(member, fixture.random.bytes(sizeAt(i, fixture))))
  const startedMs = fixture.clock.now()
  let last = 0
  while (report.faults < faults) {
    await fixture.tellCards()
    // What a scan reports within an hour of a verdict is taken for the same thing.
    await fixture.run(1.1 * hourMs)
    const done = await faultsOf(fixture, kept, Math.min(Math.ceil(objects / 2), faults - report.faults), report)
    if (fixture.random.chance(0.3)) for (const id of fixture.servers.keys()) await fixture.bootServer(id)
    await auditAll(fixture)
    last = await compare(fixture, done, last, report)
    for (const { files } of fixture.servers.values()) files.intercept = undefined
    fixture.onSegment = (_server, _object, segment) => segment
    for (const object of kept)
      for (const replica of await standing(fixture, object)) {
        const fault = await faultOf(fixture, replica)
        if (fault === undefined) continue
        report.unrepaired++
        report.wrong.push(`${hex(object)} slot ${replica.slot} on ${replica.server}: ${fault}`)
      }
    if (report.unrepaired > 0) break
    if (fixture.random.chance(0.2)) last = await impostor(fixture, kept, last, report)
    tell?.(`${report.faults} faults, ${report.wrong.length} judged wrongly`)
  }
  report.simulatedHours = Math.round((fixture.clock.now() - startedMs) / hourMs)
  await fixture.stop()
  return report
}

/** Mostly small, some of several segments, a few of more than one stripe. */
function sizeAt(i: number, fixture: PlacementFixture): number {
  if (i % 12 === 0) return 1_100_000 + fixture.random.between(0, 200_000)
  return i % 2 === 0 ? fixture.random.between(300_000, 700_000) : fixture.random.between(1, 150_000)
}

async function faultsOf(
  fixture: PlacementFixture,
  kept: readonly Uint8Array[],
  count: number,
  report: CampaignReport,
): Promise<Fault[]> {
  const chosen = [...kept].sort(() => fixture.random.float() - 0.5).slice(0, count)
  const plan = await mapInOrder(chosen, async (object, at) => {
    const replica = (await standing(fixture, object))[fixture.random.between(0, 1)]!
    return { replica, kind: faultKinds[(report.faults + at) % faultKinds.length]! }
  })
  // For what goes back to an older state there must have been one: the slot is made anew in its place first.
  const older = new Map<string, Map<string, Uint8Array>>()
  for (const { replica, kind } of plan)
    if (kind === 'put back to an older state') {
      older.set(nameOf(replica), await copyOf(fixture, replica))
      await fixture.placement.mover.remake(replica, 'damaged', {})
    }
  await fixture.rest()
  const done: Fault[] = []
  for (const { replica: planned, kind: wanted } of plan) {
    const replica = (await standing(fixture, planned.object))[planned.slot - 1]!
    const remade = replica.server === planned.server && replica.epoch > planned.epoch
    const before = remade ? older.get(nameOf(replica)) : undefined
    const another = await fixture.medium.sql.get<ReplicaRow>(
      'SELECT * FROM replicas WHERE server = ? AND object <> ? AND slot = ?',
      replica.server,
      replica.object,
      replica.slot,
    )
    const untouched = another && !done.some((fault) => nameOf(fault.replica) === nameOf(another)) ? another : undefined
    const context = { older: before, another: untouched }
    const kind: FaultKind = canDo(wanted, replica, context) ? wanted : 'rot within parity'
    await inflict(fixture, kind, replica, context)
    done.push({ kind, replica })
    report.faults++
  }
  return done
}

/** Everything is audited, and time passes until all that was found is dealt with. */
async function auditAll(fixture: PlacementFixture): Promise<void> {
  const { sql } = fixture.medium
  const fromMs = fixture.clock.now()
  await fixture.placement.replace.store.transaction((context) => auditNow(context.sql, fromMs, true))
  fixture.placement.audits.wake()
  const quiet = async () =>
    !(await sql.get('SELECT 1 FROM suspects LIMIT 1')) &&
    !(await sql.get('SELECT 1 FROM verdicts WHERE object IS NOT NULL AND done IS NULL LIMIT 1')) &&
    !(await sql.get(`SELECT 1 FROM saves WHERE state = 'kept' AND max(opened, kept) < ? LIMIT 1`, fromMs)) &&
    !(await sql.get(
      'SELECT 1 FROM audits WHERE listed < ? OR leaves < ? OR scanned < ? LIMIT 1',
      fromMs,
      fromMs,
      fromMs,
    ))
  await fixture.run(72 * hourMs, quiet)
  if (!(await quiet())) throw new InternalError('the audits do not come to an end')
  await fixture.rest()
}

/** @returns the last verdict seen */
async function compare(
  fixture: PlacementFixture,
  done: readonly Fault[],
  last: number,
  report: CampaignReport,
): Promise<number> {
  const said = await fixture.medium.sql.all<VerdictTable>('SELECT * FROM verdicts WHERE id > ? ORDER BY id', last)
  for (const { kind, replica } of done) {
    report.kinds[kind] ??= { done: 0, said: {} }
    const of = report.kinds[kind]
    of.done++
    const mine = said.filter((verdict) => saidOf(verdict) === nameOf(replica))
    for (const verdict of mine) {
      of.said[verdict.kind] = (of.said[verdict.kind] ?? 0) + 1
      if (truth[kind].includes(verdict.kind)) continue
      report.wrong.push(`${kind}: ${verdict.kind} (${verdict.because})`)
      if (verdict.kind === 'tampering') report.falseAccusations++
    }
    if (mine.length === 0) report.wrong.push(`${kind}: not found (${nameOf(replica)} on ${replica.server})`)
  }
  const touched = new Set(done.map(({ replica }) => nameOf(replica)))
  for (const verdict of said)
    if (verdict.object && !touched.has(saidOf(verdict)!)) {
      report.aboutNothing++
      report.wrong.push(
        `${saidOf(verdict)} on ${verdict.server}: nothing was done, and ${verdict.kind} was said (${verdict.because})`,
      )
      if (verdict.kind === 'tampering') report.falseAccusations++
    }
  return said.at(-1)?.id ?? last
}

/** Somebody else answers under a server's address; then the real one is there again and is let back in. */
async function impostor(
  fixture: PlacementFixture,
  kept: readonly Uint8Array[],
  last: number,
  report: CampaignReport,
): Promise<number> {
  const { sql } = fixture.medium
  const id = (await standing(fixture, kept[fixture.random.between(0, kept.length - 1)]!))[0]!.server
  await fixture.bootServer(id, generateKey('ed25519', fixture.random))
  await fixture.placement.replace.store.transaction((context) => auditNow(context.sql, fixture.clock.now(), true))
  fixture.placement.audits.wake()
  const found = async () =>
    (await sql.get(`SELECT 1 FROM servers WHERE id = ? AND state = 'contained'`, id)) !== undefined
  await fixture.run(2 * hourMs, found)
  report.faults++
  report.impostors.done++
  const said = await sql.all<VerdictTable>('SELECT * FROM verdicts WHERE id > ? ORDER BY id', last)
  if ((await found()) && said.some(({ kind, server, object }) => kind === 'impostor' && server === id && !object))
    report.impostors.found++
  else report.wrong.push(`impostor ${id}: not found`)
  for (const { kind, object } of said) if (object) report.wrong.push(`an impostor, and ${kind} was said of a replica`)
  await fixture.run(4 * hourMs, async () => !(await sql.get('SELECT 1 FROM replicas WHERE server = ? LIMIT 1', id)))
  const left = await sql.all<ReplicaRow>('SELECT * FROM replicas WHERE server = ?', id)
  if (left.length > 0) {
    const why = await sql.all('SELECT source, cause, tries, problem FROM moves LIMIT 4')
    const names = left.slice(0, 4).map(nameOf).join(', ')
    report.wrong.push(`impostor ${id}: ${left.length} were not made anew elsewhere: ${names} ${JSON.stringify(why)}`)
  }
  await fixture.bootServer(id)
  await fixture.placement.releaseServer(id, 'the real one is there again')
  await fixture.rest()
  return said.at(-1)?.id ?? last
}

/** Which replica a verdict is about; undefined: a server as a whole. */
function saidOf({ object, version, slot }: VerdictTable): string | undefined {
  return object && version && slot ? nameOf({ object, version, slot }) : undefined
}

function nameOf({ object, version, slot }: Pick<ReplicaRow, 'object' | 'version' | 'slot'>): string {
  return `${hex(object)}-${version}-${slot}`
}
