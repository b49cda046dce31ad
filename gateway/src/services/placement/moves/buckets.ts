/** Classes and buckets in the database: where new objects go, and what each bucket holds. */
import { sql } from 'kysely'
import type { Sql } from '../../../storage/database.ts'
import { queries } from '../../../storage/query.ts'
import type { Candidate } from '../saves/choose.ts'
import type { MemberRow, ReplicaRow, SaveRow } from '../store.ts'
import { type Bucket, type BucketChange, bucketsPerClass, type ClassFacts, placesPerClass } from './decide.ts'
import type { BucketsTable, MoveCause, ReplaceTables } from './tables.ts'

const query = queries<ReplaceTables>()
const allClasses = query<Record<never, never>>()((db) => db.selectFrom('classes').selectAll().orderBy('id'))
const classOf = query<{ level: number; home: string; asking: string; abroad: number }>()((db, p) =>
  db
    .selectFrom('classes')
    .selectAll()
    .where('level', '=', p.level)
    .where('home', '=', p.home)
    .where('asking', '=', p.asking)
    .where('abroad', '=', p.abroad as 0 | 1),
)
const classById = query<{ id: number }>()((db, p) => db.selectFrom('classes').selectAll().where('id', '=', p.id))
const allBuckets = query<Record<never, never>>()((db) =>
  db
    .selectFrom('buckets')
    .select([
      'class',
      'place',
      'span',
      'one',
      'two',
      'bytes',
      'since',
      'strays',
      'leaves',
      'before',
      'cause',
      'urgency',
    ])
    .orderBy('class')
    .orderBy('place'),
)
const bucketAt = query<{ class: number; place: number }>()((db, p) =>
  db
    .selectFrom('buckets')
    .selectAll()
    .where('class', '=', p.class)
    .where('place', '<=', p.place)
    .orderBy('place', 'desc')
    .limit(1),
)
const pending = query<{ fed: number; limit: number }>()((db, p) =>
  db
    .selectFrom('buckets')
    .selectAll()
    .where('leaves', '<>', sql.lit('[]'))
    .where('fed', '=', p.fed as 0 | 1)
    .orderBy('urgency', 'desc')
    .limit(p.limit),
)
const addBytes = query<{ class: number; place: number; bytes: number; objects: number }>()((db, p) =>
  db
    .updateTable('buckets')
    .set((row) => ({ bytes: row('bytes', '+', p.bytes), objects: row('objects', '+', p.objects) }))
    .where('class', '=', p.class)
    .where('place', '=', p.place),
)

/** A member's wish about storage abroad, where the register has one. */
export type ClassMember = Pick<MemberRow, 'level' | 'home'> & { abroad?: number | boolean | null }

/** The place of an object within its class. */
export function placeOf(object: Uint8Array): number {
  return (object[0]! << 8) | object[1]!
}

/** A bucket with little to hold it against is not split below this many places. */
const spanLeast = 1

export const buckets = {
  classes: async (sql: Sql): Promise<ClassFacts[]> =>
    (await allClasses.all(sql, {})).map((row) => ({ ...row, abroad: row.abroad === 1 })),
  classOf: async (sql: Sql, id: number): Promise<ClassFacts | undefined> => {
    const row = await classById.get(sql, { id })
    return row && { ...row, abroad: row.abroad === 1 }
  },
  all: async (sql: Sql): Promise<Bucket[]> =>
    (await allBuckets.all(sql, {})).map((row) => ({
      ...row,
      strays: list(row.strays),
      leaves: list(row.leaves),
      before: row.before === null ? undefined : (JSON.parse(row.before) as { one: string; two: string }),
    })),
  /** The class of a member's objects asked for from a region; made, with empty buckets, when it is the first. */
  classFor: async (sql: Sql, member: ClassMember, asking: string): Promise<number> => {
    const wish = { level: member.level, home: member.home, asking, abroad: isAbroad(member) ? 1 : 0 }
    const known = await classOf.get(sql, wish)
    if (known) return known.id
    await sql.run(
      'INSERT INTO classes (level, home, asking, abroad) VALUES (?, ?, ?, ?)',
      wish.level,
      wish.home,
      wish.asking,
      wish.abroad,
    )
    const { id } = (await classOf.get(sql, wish))!
    const span = placesPerClass / bucketsPerClass
    for (let place = 0; place < placesPerClass; place += span) await addBucket(sql, { class: id, place, span })
    return id
  },
  at: async (sql: Sql, of: number, place: number): Promise<BucketsTable | undefined> =>
    bucketAt.get(sql, { class: of, place }),
  /** Those whose objects are to leave a server, most urgent first. */
  pending: async (sql: Sql, limit: number): Promise<BucketsTable[]> => pending.all(sql, { fed: 0, limit }),
  /** Those whose objects are in the queue or have left. */
  leaving: async (sql: Sql, limit: number): Promise<BucketsTable[]> => pending.all(sql, { fed: 1, limit }),
  fed: async (sql: Sql, { class: of, place }: Pick<Bucket, 'class' | 'place'>): Promise<void> => {
    await sql.run('UPDATE buckets SET fed = 1 WHERE class = ? AND place = ?', of, place)
  },
  /** Whether something of a bucket waits in the queue. */
  isQueued: async (sql: Sql, { class: of, place, span }: Pick<Bucket, 'class' | 'place' | 'span'>): Promise<boolean> =>
    (await sql.get(
      `SELECT 1 FROM moves AS m JOIN saves AS s ON s.object = m.object AND s.version = m.version
       WHERE m.object >= ? AND m.object < ? AND s.class = ? LIMIT 1`,
      placeBytes(place),
      place + span >= placesPerClass ? beyondAll : placeBytes(place + span),
      of,
    )) !== undefined,
  /** An object of so many sealed bytes is counted, or with a negative sign no more. */
  count: async (sql: Sql, bucket: { class: number; place: number }, bytes: number): Promise<void> => {
    await addBytes.run(sql, { class: bucket.class, place: bucket.place, bytes, objects: Math.sign(bytes) })
  },
  change: async (sql: Sql, change: BucketChange): Promise<void> => {
    const { bucket, one, two, leaves, strays, before, since, cause, urgency, reason } = change
    await sql.run(
      `UPDATE buckets SET one = ?, two = ?, leaves = ?, strays = ?, before = ?, since = ?, cause = ?, urgency = ?, reason = ?, stuck = 0, fed = 0
       WHERE class = ? AND place = ?`,
      one,
      two,
      JSON.stringify(leaves),
      JSON.stringify(strays),
      before ? JSON.stringify(before) : null,
      since,
      cause,
      urgency,
      JSON.stringify(reason),
      bucket.class,
      bucket.place,
    )
  },
  stick: async (sql: Sql, stuck: readonly Pick<Bucket, 'class' | 'place'>[]): Promise<void> => {
    await sql.run('UPDATE buckets SET stuck = 0 WHERE stuck = 1')
    for (const bucket of stuck)
      await sql.run('UPDATE buckets SET stuck = 1 WHERE class = ? AND place = ?', bucket.class, bucket.place)
  },
  /** All that was to leave has been looked at; where its objects lie besides is found out anew. */
  settled: async (sql: Sql, bucket: Pick<BucketsTable, 'class' | 'place' | 'span' | 'one' | 'two'>): Promise<void> => {
    const strays = (
      await sql.all<{ server: string }>(
        `SELECT DISTINCT r.server FROM saves AS s JOIN replicas AS r ON r.object = s.object AND r.version = s.version
         WHERE s.class = ? AND s.place >= ? AND s.place < ? AND s.state IN ('sealed', 'kept') AND r.server NOT IN (?, ?)`,
        bucket.class,
        bucket.place,
        bucket.place + bucket.span,
        bucket.one,
        bucket.two,
      )
    ).map(({ server }) => server)
    await sql.run(
      `UPDATE buckets SET leaves = '[]', before = NULL, strays = ? WHERE class = ? AND place = ?`,
      JSON.stringify(strays),
      bucket.class,
      bucket.place,
    )
  },
  /** Cuts a bucket in two; both keep its assignment. */
  split: async (sql: Sql, { class: of, place }: Pick<Bucket, 'class' | 'place'>): Promise<boolean> => {
    const bucket = await bucketAt.get(sql, { class: of, place })
    if (!bucket || bucket.place !== place || bucket.span <= spanLeast) return false
    const span = Math.floor(bucket.span / 2)
    const half = (await sql.get<{ bytes: number; objects: number }>(
      `SELECT coalesce(sum(r.sealed), 0) AS bytes, count(*) AS objects FROM saves AS s
       JOIN replicas AS r ON r.object = s.object AND r.version = s.version AND r.slot = 1
       WHERE s.class = ? AND s.place >= ? AND s.place < ? AND s.state IN ('sealed', 'kept')`,
      of,
      place + span,
      place + bucket.span,
    ))!
    const bytes = Math.min(bucket.bytes, half.bytes)
    const objects = Math.min(bucket.objects, half.objects)
    await sql.run(
      'UPDATE buckets SET span = ?, bytes = bytes - ?, objects = objects - ? WHERE class = ? AND place = ?',
      span,
      bytes,
      objects,
      of,
      place,
    )
    await addBucket(sql, { ...bucket, place: place + span, span: bucket.span - span, bytes, objects })
    return true
  },
}

/** An object is counted in its bucket, once. @returns its bucket */
export async function enterBucket(sql: Sql, row: SaveRow, member: ClassMember, sealed: number): Promise<BucketsTable> {
  const of = row.class || (await buckets.classFor(sql, member, row.asking))
  const place = placeOf(row.object)
  const bucket = (await buckets.at(sql, of, place))!
  if (row.class === 0) {
    await sql.run(
      'UPDATE saves SET class = ?, place = ? WHERE object = ? AND version = ?',
      of,
      place,
      row.object,
      row.version,
    )
    Object.assign(row, { class: of, place })
    await buckets.count(sql, bucket, sealed)
  }
  return bucket
}

/** An object is no more, or belongs to another class from now on: `enterBucket` counts it there. */
export async function leaveBucket(
  sql: Sql,
  row: Pick<SaveRow, 'object' | 'version' | 'class' | 'place'>,
  sealed: number,
): Promise<void> {
  const bucket = row.class === 0 ? undefined : await buckets.at(sql, row.class, row.place)
  if (bucket) await buckets.count(sql, bucket, -sealed)
  await sql.run('UPDATE saves SET class = 0 WHERE object = ? AND version = ?', row.object, row.version)
}

/**
 * Something of a bucket lies where it is not assigned: its servers are watched with the bucket's own. A bucket without
 * an assignment takes over where its first object lies.
 */
export async function noteStrays(
  sql: Sql,
  bucket: BucketsTable,
  standing: readonly Pick<ReplicaRow, 'slot' | 'server'>[],
): Promise<void> {
  const one = standing.find(({ slot }) => slot === 1)?.server
  const two = standing.find(({ slot }) => slot === 2)?.server
  if (!one || !two) return
  if (bucket.one === '') {
    await sql.run(
      'UPDATE buckets SET one = ?, two = ? WHERE class = ? AND place = ?',
      one,
      two,
      bucket.class,
      bucket.place,
    )
    return
  }
  const known = list(bucket.strays)
  const strays = new Set([...known, one, two])
  for (const server of [bucket.one, bucket.two]) strays.delete(server)
  if (strays.size === known.length) return
  await sql.run(
    'UPDATE buckets SET strays = ? WHERE class = ? AND place = ?',
    JSON.stringify([...strays]),
    bucket.class,
    bucket.place,
  )
}

/** Both assigned servers, when both can take so many bytes now. */
export function assignedPlaces(
  bucket: BucketsTable,
  candidates: readonly Candidate[],
  sealedBytes: number,
): [Candidate, Candidate] | undefined {
  const find = (server: string) =>
    candidates.find(
      (candidate) =>
        candidate.server === server &&
        !candidate.closed &&
        candidate.usedBytes + sealedBytes <= candidate.capacityBytes,
    )
  const one = find(bucket.one)
  const two = find(bucket.two)
  return one && two && [one, two]
}

export function isAbroad({ abroad }: ClassMember): boolean {
  return abroad === undefined || abroad === null || abroad === 1 || abroad === true
}

const fresh = {
  one: '',
  two: '',
  bytes: 0,
  objects: 0,
  since: 0,
  reason: '',
  strays: '[]',
  leaves: '[]',
  before: null,
  cause: 'risk' as MoveCause,
  urgency: 0,
  stuck: 0 as const,
  fed: 0 as const,
}

async function addBucket(
  sql: Sql,
  row: Pick<BucketsTable, 'class' | 'place' | 'span'> & Partial<BucketsTable>,
): Promise<void> {
  const all: BucketsTable = { ...fresh, ...row }
  const entries = Object.entries(all)
  await sql.run(
    `INSERT INTO buckets (${entries.map(([name]) => name).join(', ')}) VALUES (${entries.map(() => '?').join(', ')})`,
    ...entries.map(([, value]) => value),
  )
}

/** The least id at a place. */
export function placeBytes(place: number): Uint8Array {
  const bytes = new Uint8Array(16)
  bytes[0] = place >> 8
  bytes[1] = place & 255
  return bytes
}

/** Greater than any id. */
const beyondAll = new Uint8Array(17).fill(255)

function list(text: string): string[] {
  return JSON.parse(text) as string[]
}
