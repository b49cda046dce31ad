/** The looks of the first two tiers (S11): a server's listing held against the record, random leaves, the server's own scan. */
import { sameBytes } from '@azukari/protocol/bytes'
import { decode, encode } from '@azukari/protocol/codec'
import { Count, checker, Id, type Static, Type } from '@azukari/protocol/contract'
import { parseCoseKey } from '@azukari/protocol/keys'
import { type ReplicaRef, SlotSchema } from '@azukari/protocol/manifest'
import { leafHash, verifyProof } from '@azukari/protocol/merkle'
import { Problem } from '@azukari/protocol/problem'
import { openScrubReport, type ScrubReport } from '@azukari/protocol/scrub'
import { segmentSealedBytes } from '@azukari/protocol/sealed'
import type { HeldSummary } from '../../../data-server/port.ts'
import type { Sql } from '../../../storage/database.ts'
import type { ReplacePorts } from '../moves/making.ts'
import { identify } from '../replicas/identify.ts'
import { type ReplicaRow, replicas, type ServerRow } from '../store.ts'
import { pickLeaves } from './sample.ts'
import type { Met } from './verdict.ts'

/** A replica that a look came upon. */
export interface Found {
  ref: ReplicaRef
  met: Met
  /** When, by the server's word; without it: now. */
  atMs?: number
}

const listPage = 32
/** Records held against one page; a server that has lost more is met again on the next. */
const recordsPage = 256
const leavesAtOnce = 8
/** Rows read at once while a round is planned. */
const planPage = 2_000

/** What of a record the listing is held against. */
type Record = Pick<ReplicaRow, 'object' | 'version' | 'slot' | 'manifest'>

/** One page of a server's listing. @returns what is not as recorded, and where it goes on; null at the end */
export async function listPageOf(
  ports: ReplacePorts,
  server: ServerRow,
  after: string | null,
  signal: AbortSignal,
): Promise<{ found: Found[]; after: string | null; extra: number }> {
  const port = ports.dataServers.of(server)
  await identify(port, server, ports.signer.kid, ports.random, signal)
  const page = await port.list(after === null ? undefined : refOf(after), listPage, true, signal)
  const last = page.length < listPage ? undefined : nameOf(page.at(-1)!.ref)
  const records = await recordsBetween(ports.store.sql, server.id, after, last)
  const end = records.length < recordsPage ? last : earlier(last, nameOf(records.at(-1)!))
  return { ...compare(page, records, end), after: end ?? null }
}

function compare(page: readonly HeldSummary[], records: readonly Record[], end: string | undefined) {
  const inRange = (name: string) => end === undefined || name <= end
  const held = new Map(page.map((summary) => [nameOf(summary.ref), summary]))
  const found: Found[] = []
  let known = 0
  for (const record of records) {
    const name = nameOf(record)
    if (!inRange(name)) continue
    const { object, version, slot } = record
    const summary = held.get(name)
    if (summary) known++
    if (!summary) found.push({ ref: { object, version, slot }, met: 'missing' })
    else if (!summary.manifest) found.push({ ref: { object, version, slot }, met: 'damaged' })
    else if (!sameBytes(summary.manifest, record.manifest!))
      found.push({ ref: { object, version, slot }, met: 'listed' })
  }
  return { found, extra: [...held.keys()].filter(inRange).length - known }
}

/** Records of a server after one name up to another, in the order in which servers list. */
async function recordsBetween(
  sql: Sql,
  server: string,
  after: string | null,
  last: string | undefined,
): Promise<Record[]> {
  const from = after === null ? new Uint8Array(0) : refOf(after).object
  const rows = await sql.all<Record>(
    `SELECT r.object, r.version, r.slot, r.manifest FROM replicas AS r JOIN saves AS s
     ON s.object = r.object AND s.version = r.version AND s.state = 'kept'
     WHERE r.server = ? AND r.object >= ? AND r.object <= ? ORDER BY r.object LIMIT ?`,
    server,
    from,
    last === undefined ? new Uint8Array(16).fill(0xff) : refOf(last).object,
    recordsPage,
  )
  return rows
    .filter((row) => (after === null || nameOf(row) > after) && (last === undefined || nameOf(row) <= last))
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
}

function earlier(a: string | undefined, b: string): string {
  return a === undefined || b < a ? b : a
}

/** As data servers order what they hold. */
function nameOf({ object, version, slot }: ReplicaRef): string {
  return `${Buffer.from(object).toString('hex')}-${version}-${slot}`
}

function refOf(name: string): ReplicaRef {
  const [object, version, slot] = name.split('-') as [string, string, string]
  return { object: new Uint8Array(Buffer.from(object, 'hex')), version: Number(version), slot: slot === '1' ? 1 : 2 }
}

const Plan = Type.Array(Type.Object({ object: Id, version: Count, slot: SlotSchema, indexes: Type.Array(Count) }), {
  maxItems: 100_000,
})
type Plan = Static<typeof Plan>
const checkPlan = checker(Plan, 'plan of leaves')

/** Draws a round: leaves of everything that a server holds, each as likely as any other. */
export async function planLeaves(
  ports: ReplacePorts,
  server: string,
  count: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { sql } = ports.store
  const leavesOf = (sealed: number) => Math.max(1, Math.ceil(sealed / segmentSealedBytes))
  const total = (await sql.get<{ n: number }>(
    'SELECT coalesce(sum(max(1, CAST((sealed + ?) / ? AS INTEGER))), 0) AS n FROM replicas WHERE server = ?',
    segmentSealedBytes - 1,
    segmentSealedBytes,
    server,
  ))!.n
  const picks = pickLeaves(total, count, ports.random)
  const plan: Plan = []
  let first = 0
  let next = 0
  let last: Uint8Array = new Uint8Array(0)
  while (next < picks.length) {
    signal.throwIfAborted()
    // Whole objects at a time: a slot more or less changes nothing in the chances.
    const rows = await sql.all<Pick<ReplicaRow, 'object' | 'version' | 'slot' | 'sealed'>>(
      'SELECT object, version, slot, sealed FROM replicas WHERE server = ? AND object > ? ORDER BY object, version, slot LIMIT ?',
      server,
      last,
      planPage,
    )
    if (rows.length === 0) break
    for (const { object, version, slot, sealed } of rows) {
      const leaves = leavesOf(sealed)
      const indexes: number[] = []
      while (next < picks.length && picks[next]! < first + leaves) indexes.push(picks[next++]! - first)
      if (indexes.length > 0) plan.push({ object, version, slot, indexes })
      first += leaves
      last = object
    }
    // A site with a million objects goes on with other things in between.
    if (next < picks.length) await ports.clock.sleep(1, signal)
  }
  return encode(checkPlan(plan))
}

/** How many leaves of a round are left. */
export function leavesLeft(plan: Uint8Array | null): number {
  return plan === null ? 0 : readPlan(plan).reduce((sum, { indexes }) => sum + indexes.length, 0)
}

/** The next few leaves of a round, all of one replica, and what is left. Undefined at the end. */
export function takeLeaves(plan: Uint8Array): { next: Plan[number]; rest: Uint8Array } | undefined {
  const [first, ...others] = readPlan(plan)
  if (!first) return undefined
  const next = { ...first, indexes: first.indexes.slice(0, leavesAtOnce) }
  const left = first.indexes.slice(leavesAtOnce)
  return { next, rest: encode(left.length > 0 ? [{ ...first, indexes: left }, ...others] : others) }
}

function readPlan(plan: Uint8Array): Plan {
  return checkPlan(decode(plan, { maxBytes: 16 << 20 })).map((one) => ({ ...one, object: Uint8Array.from(one.object) }))
}

/**
 * Looks at leaves of one replica: the bytes themselves, held against the signed root.
 * @returns what it came upon, undefined when all is well; and the bytes that came
 */
export async function lookAtLeaves(
  ports: ReplacePorts,
  server: ServerRow,
  { object, version, slot, indexes }: Plan[number],
  signal: AbortSignal,
): Promise<{ met: Met | undefined; bytes: number }> {
  const row = (await replicas.of(ports.store.sql, object, version)).find((replica) => replica.slot === slot)
  // Moved since the round was drawn: its new place has rounds of its own.
  if (row?.server !== server.id || !row.root) return { met: undefined, bytes: 0 }
  const count = Math.max(1, Math.ceil(row.sealed / segmentSealedBytes))
  const wanted = indexes.filter((index) => index < count)
  const leaves = await ports.dataServers.of(server).challenge({ object, version, slot }, wanted, true, signal)
  let bytes = 0
  let repaired = 0
  for (const [at, index] of wanted.entries()) {
    const leaf = leaves[at]
    const segment = leaf?.segment
    if (!leaf || !segment || leaf.index !== index)
      throw new Problem('server.refused', 'it did not show what was asked for')
    bytes += segment.length
    repaired += leaf.repaired ?? 0
    const own = leafHash(segment)
    if (
      !sameBytes(own, leaf.leafHash) ||
      !verifyProof({ root: row.root, leafHash: own, index, count, proof: leaf.proof })
    )
      return { met: 'differs', bytes }
  }
  return { met: repaired > 0 ? 'repaired' : undefined, bytes }
}

/** Has the server scan its media on. @returns its signed report, opened, and what it names */
export async function scan(
  ports: ReplacePorts,
  server: ServerRow,
  maxBytes: number,
  signal: AbortSignal,
): Promise<{ report: ScrubReport; found: Found[] }> {
  const port = ports.dataServers.of(server)
  await identify(port, server, ports.signer.kid, ports.random, signal)
  const report = openScrubReport(await port.scrub(maxBytes, signal), parseCoseKey(server.key))
  if (report.server !== server.id) throw new Problem('server.refused', 'the report is another server’s')
  const named = (met: Met) => (one: ReplicaRef) => ({
    ref: { object: Uint8Array.from(one.object), version: one.version, slot: one.slot },
    met,
  })
  const found = [
    ...report.unrepairable.map(named('damaged')),
    ...report.changed.map(named('differs')),
    ...(report.repaired ?? []).map((one) => ({
      ...named('repaired')(one),
      ...(one.atMs !== undefined && { atMs: one.atMs }),
    })),
  ]
  return { report, found }
}
