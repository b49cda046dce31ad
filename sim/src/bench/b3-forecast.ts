/**
 * B3: a forecast changes and placement decides anew: the risks, the tables, every bucket's choice, and the moves that
 * follow. The same members, servers and forecast with 10⁴ and with 10⁶ objects, in the database as they lie there; beside it a
 * decision that looks at every object, as a system without classes makes it.
 */
import { openDatabase } from '@azukari/gateway/adapters/database'
import { regions } from '@azukari/gateway/geography'
import { placementMigrations } from '@azukari/gateway/services/placement/migrations'
import { buckets } from '@azukari/gateway/services/placement/moves/buckets'
import { type Decided, decide, defaultDecideRules } from '@azukari/gateway/services/placement/moves/decide'
import { feed, moves } from '@azukari/gateway/services/placement/moves/queue'
import { type Risk, type RiskTerm, riskOf } from '@azukari/gateway/services/placement/risk/risk'
import { type Candidate, choose } from '@azukari/gateway/services/placement/saves/choose'
import { servers } from '@azukari/gateway/services/placement/store'
import type { Database } from '@azukari/gateway/storage/database'
import { migrate } from '@azukari/gateway/storage/migrate'
import { InternalError } from '@azukari/protocol/problem'
import { SeededRandom } from '../testkit/world/chance.ts'
import { type BenchContext, median, type Row, rounded, spread } from './row.ts'

const serverCount = 200
const homes = [...regions.keys()].filter((code) => code.startsWith('JP-')).slice(0, 12)
const nowMs = Date.UTC(2026, 8, 1)
/** Moves queued per transaction, as the mover does. */
const page = 2_000

export async function run({ quick, folder, tell }: BenchContext): Promise<Row[]> {
  const rounds = quick ? 3 : 9
  const [few, many] = quick ? [1_000, 20_000] : [10_000, 1_000_000]
  const small = await site(`${folder}/small.db`, few)
  tell(`${few} objects stand`)
  const large = await site(`${folder}/large.db`, many)
  tell(`${many} objects stand`)
  // One after the other, so that both meet the same machine.
  const times = { small: [] as number[], large: [] as number[] }
  let decided: Decided | undefined
  for (let round = 0; round < rounds + 2; round++) {
    const hit = stormOver(round)
    const one = await timed(() => forecast(small, hit))
    const two = await timed(() => forecast(large, hit))
    decided = two.value
    if (decided.changes.length === 0) throw new InternalError('the forecast changed nothing')
    // The first rounds warm the machine up.
    if (round < 2) continue
    times.small.push(one.ms)
    times.large.push(two.ms)
  }
  const ratio = rounded(median(times.large) / median(times.small))
  const queued = await queueAll(large, decided!)
  tell(`${queued.moves} moves queued in ${queued.ms.toFixed(0)} ms`)
  const scan = await timed(() => scanAll(large, stormOver(rounds + 1)))
  tell(`the full scan took ${scan.ms.toFixed(0)} ms`)
  const classes = (await buckets.classes(large)).length
  await small.close()
  await large.close()
  const perSecond = Math.round((queued.moves * 1000) / queued.ms)
  return [
    {
      row: 'B3',
      what: `decision on a forecast: ${many.toExponential(0)} ÷ ${few.toExponential(0)} objects`,
      value: rounded(median(times.large)),
      unit: 'ms',
      peer: rounded(median(times.small)),
      ratio,
      target: '≤ 1.2 ×',
      met: ratio <= 1.2,
      note: `${serverCount} servers, ${classes} classes of 256 buckets; ${spread(times.large)} against ${spread(times.small)} ms over ${rounds} rounds, ${decided!.changes.length} buckets change`,
    },
    {
      row: 'B3',
      what: `the same against a full scan of ${many.toExponential(0)} objects`,
      value: rounded(median(times.large)),
      unit: 'ms',
      peer: rounded(scan.ms),
      ratio: rounded(median(times.large) / scan.ms, 4),
      target: '—',
      met: null,
      note: `the scan reads every object and chooses for those in the storm's way (${scan.value} of them)`,
    },
    {
      row: 'B3',
      what: 'moves queued, durably',
      value: perSecond,
      unit: 'moves/s',
      peer: 50_000,
      ratio: rounded(perSecond / 50_000),
      target: '≥ 50,000/s',
      met: perSecond >= 50_000,
      note: `${queued.moves} moves of ${queued.buckets} buckets, ${page} objects to a commit, synchronous=FULL`,
    },
  ]
}

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const started = performance.now()
  const value = await work()
  return { ms: performance.now() - started, value }
}

/** A site's database with servers, classes and kept objects where their buckets belong. */
async function site(path: string, objects: number): Promise<Database> {
  const database = openDatabase(path)
  await migrate(database, [{ set: 'placement', migrations: placementMigrations }], nowMs)
  const random = new SeededRandom(3, 3)
  const codes = [...regions.keys()]
  await database.transaction(async (sql) => {
    for (let i = 0; i < serverCount; i++) {
      const region = codes[i % codes.length]!
      const { latitude, longitude } = regions.get(region)!
      const id = `s${String(i).padStart(3, '0')}`
      await servers.put(sql, {
        id,
        name: id,
        region,
        domain: id,
        url: `sim:${id}`,
        key: new Uint8Array(32),
        kid: random.bytes(32),
        latitude: latitude + random.float() - 0.5,
        longitude: longitude + random.float() - 0.5,
        capacity: 1e13,
        rates: JSON.stringify([standing(0.01 + 0.03 * random.float())]),
      })
    }
    for (const [i, home] of homes.entries())
      await sql.run(
        `INSERT INTO members (id, number, name, level, home, since, status, auth_key, auth_kid, acts_key, acts_kid, agreement_key, wrapped_key)
         VALUES (?, ?, '', ?, ?, 0, 'active', x'', ?, x'', ?, x'', x'')`,
        random.bytes(16),
        String(i),
        i % 4,
        home,
        random.bytes(32),
        random.bytes(32),
      )
    for (const [i, home] of homes.entries()) await buckets.classFor(sql, { level: i % 4, home }, home)
  })
  await place(database, await forecastFacts(database, new Set()))
  await fill(database, objects, random)
  return database
}

/** Every bucket gets its first servers, as its first object would give them. */
async function place(database: Database, candidates: readonly Candidate[]): Promise<void> {
  const classes = new Map((await buckets.classes(database)).map((row) => [row.id, row]))
  for (const bucket of await buckets.all(database)) {
    const of = classes.get(bucket.class)!
    const object = new Uint8Array(16)
    new DataView(object.buffer).setUint32(0, bucket.class * 65_536 + bucket.place)
    const [one, two] = choose(candidates, { object, ...of, sealedBytes: 1_000 })
    await database.run(
      'UPDATE buckets SET one = ?, two = ? WHERE class = ? AND place = ?',
      one.candidate.server,
      two.candidate.server,
      bucket.class,
      bucket.place,
    )
  }
}

/** Objects of 200 kB, spread over the classes. */
async function fill(database: Database, objects: number, random: SeededRandom): Promise<void> {
  const owners = await database.all<{ id: Uint8Array; home: string; level: number }>(
    'SELECT id, home, level FROM members',
  )
  const classes = await buckets.classes(database)
  const all = await buckets.all(database)
  const bytes = 200_000
  const counts = new Map<string, number>()
  for (let done = 0; done < objects; )
    await database.transaction(async (sql) => {
      for (const end = Math.min(objects, done + 20_000); done < end; done++) {
        const owner = owners[done % owners.length]!
        const of = classes.find(({ level, home }) => level === owner.level && home === owner.home)!
        const object = random.bytes(16)
        const at = (object[0]! << 8) | object[1]!
        const bucket = all[(of.id - 1) * 256 + (at >> 8)]!
        await sql.run(
          `INSERT INTO saves (object, version, member, device, asking, transfer, transfer_key, root, size, sha256, name, media, taken, state, at, kept, class, place)
           VALUES (?, 1, ?, 'cam', ?, x'', x'', x'', ?, x'', '', 'image/jpeg', 0, 'kept', 0, 0, ?, ?)`,
          object,
          owner.id,
          owner.home,
          bytes,
          of.id,
          at,
        )
        for (const [slot, server] of [bucket.one, bucket.two].entries())
          await sql.run(
            `INSERT INTO replicas (object, version, slot, server, epoch, algorithm, key_id, wrapped_key, prefix, sealed, reason)
             VALUES (?, 1, ?, ?, 1, '', x'', x'', x'', ?, '')`,
            object,
            slot + 1,
            server,
            bytes,
          )
        const name = `${bucket.class} ${bucket.place}`
        counts.set(name, (counts.get(name) ?? 0) + 1)
      }
    })
  await database.transaction(async (sql) => {
    for (const [name, n] of counts) {
      const [of, at] = name.split(' ').map(Number)
      await sql.run('UPDATE buckets SET bytes = ?, objects = ? WHERE class = ? AND place = ?', n * bytes, n, of!, at!)
    }
  })
}

function standing(probability: number): RiskTerm {
  return { peril: 'earthquake', probability, vulnerability: 0.5, source: 'made up' }
}

/** A storm over the twenty servers around one of them; another one each round. */
function stormOver(round: number): Set<string> {
  const first = (round * 7) % 40
  return new Set(Array.from({ length: 20 }, (_, i) => `s${String((first + i * 5) % serverCount).padStart(3, '0')}`))
}

/** All servers with their risks, those hit by the storm with its term besides. */
async function forecastFacts(database: Database, hit: ReadonlySet<string>): Promise<Candidate[]> {
  return (await servers.all(database)).map((row) => ({
    server: row.id,
    region: row.region,
    latitude: row.latitude,
    longitude: row.longitude,
    domain: row.domain,
    capacityBytes: row.capacity,
    usedBytes: row.used,
    demerits: 0,
    risk: riskIn(JSON.parse(row.rates) as RiskTerm[], hit.has(row.id)),
  }))
}

function riskIn(rates: readonly RiskTerm[], hit: boolean): Risk {
  const storm: RiskTerm = {
    peril: 'storm',
    probability: 0.5,
    vulnerability: 0.5,
    source: 'made up',
    hazard: 'storm',
    arrivesMs: nowMs + 48 * 3_600_000,
    untilMs: nowMs + 72 * 3_600_000,
  }
  return riskOf(hit ? [...rates, storm] : rates)
}

/** What a changed forecast sets off, up to the queue: risks, all classes' buckets decided, changes written. */
async function forecast(database: Database, hit: ReadonlySet<string>): Promise<Decided> {
  const candidates = await forecastFacts(database, hit)
  const decided = decide(
    candidates,
    await buckets.classes(database),
    await buckets.all(database),
    defaultDecideRules,
    nowMs,
  )
  // Written and taken back, so that each round begins alike.
  try {
    await database.transaction(async (sql) => {
      for (const change of decided.changes) await buckets.change(sql, change)
      throw new Undo()
    })
  } catch (error) {
    if (!(error instanceof Undo)) throw error
  }
  return decided
}

class Undo extends Error {}

/** All moves of a decision, page by page, each page durable. */
async function queueAll(database: Database, decided: Decided): Promise<{ moves: number; buckets: number; ms: number }> {
  await database.transaction(async (sql) => {
    for (const change of decided.changes) await buckets.change(sql, change)
  })
  const started = performance.now()
  let fed = 0
  for (;;) {
    const pending = await buckets.pending(database, 1)
    const [bucket] = pending
    if (!bucket) break
    let room = page
    // As many buckets as make a page.
    await database.transaction(async (sql) => {
      for (let next: typeof bucket | undefined = bucket; next && room > 0; [next] = await buckets.pending(sql, 1)) {
        let cursor: Uint8Array | undefined
        do {
          const part = await feed(sql, next, cursor, page, nowMs)
          room -= part.queued
          cursor = part.cursor
        } while (cursor)
        await buckets.fed(sql, next)
        fed++
      }
    })
  }
  return { moves: (await moves.size(database)).n, buckets: fed, ms: performance.now() - started }
}

/** Without classes: every object is read, and whatever lies in the storm's way is chosen for on its own. */
async function scanAll(database: Database, hit: ReadonlySet<string>): Promise<number> {
  const candidates = await forecastFacts(database, hit)
  let chosen = 0
  let after: Uint8Array = new Uint8Array(16)
  for (;;) {
    const rows = await database.all<{
      object: Uint8Array
      level: number
      home: string
      asking: string
      sealed: number
      servers: string
    }>(
      `SELECT s.object, m.level, m.home, s.asking, r.sealed, group_concat(r.server) AS servers FROM saves AS s
       JOIN members AS m ON m.id = s.member JOIN replicas AS r ON r.object = s.object AND r.version = s.version
       WHERE s.object > ? GROUP BY s.object ORDER BY s.object LIMIT 10000`,
      after,
    )
    if (rows.length === 0) return chosen
    after = rows.at(-1)!.object
    for (const { servers: on, sealed, ...wish } of rows) {
      if (!on.split(',').some((server) => hit.has(server))) continue
      choose(candidates, { ...wish, sealedBytes: sealed })
      chosen++
    }
  }
}
