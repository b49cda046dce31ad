/**
 * The seeded whole-system simulation (ARCHITECTURE §11): hours of a whole site with people and faults, then calm, and at
 * every receipt and at the end what must hold. One seed, one run: it replays exactly.
 */

import type { ServiceModule } from '@azukari/gateway/host/service-module'
import { services as ownServices } from '@azukari/gateway/services/index'
import { auditNow } from '@azukari/gateway/services/placement/audit/audit'
import { rebuildPlacement } from '@azukari/gateway/services/placement/journal/rebuild'
import { parseRecoverySecret } from '@azukari/gateway/services/placement/keys/keystore'
import { catalogueMedia } from '@azukari/gateway/services/placement/store'
import { hex } from '@azukari/protocol/bytes'
import { cardFiles, conditionsOnCard, conditionsTag } from '@azukari/protocol/card/layout'
import { type Slot as CardSlot, decodeFile, type SlotRecord } from '@azukari/protocol/card/slots'
import { signerOf } from '@azukari/protocol/cose'
import { mapInOrder } from '@azukari/protocol/in-order'
import { coseKey, publicOf } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { openReading } from '@azukari/protocol/read-client'
import { type SealAlgorithm, type Slot, segmentCount, Unsealer, unsealStream } from '@azukari/protocol/sealed'
import { ModelNetwork } from '../testkit/network/model.ts'
import { SeededRandom } from '../testkit/world/chance.ts'
import { SimClock } from '../testkit/world/clock.ts'
import { DatabaseMedium } from '../testkit/world/database.ts'
import { fakeTimers, quietThread } from '../testkit/world/fake-timers.ts'
import { Died, Life } from '../testkit/world/life.ts'
import { checkReplicas } from './audit.ts'
import { Chaos } from './chaos.ts'
import { letBackIn } from './operator.ts'
import { ServerMachine, serverDisks } from './server-machine.ts'
import { bytesOf, Site, shaOf } from './site.ts'
import { siteName } from './site-machine.ts'
import { Story, Violation } from './story.ts'
import { WireNetwork } from './wire.ts'
import { type PlantedBug, World } from './world.ts'

export interface WholeOptions {
  seed: number
  /** Hours with people and faults; calm comes after them. */
  hours?: number | undefined
  devices?: number
  /** Mean minutes between faults; Infinity for none. */
  faultMinutes?: number
  /** Mean minutes between one person's visits. */
  visitMinutes?: number
  bug?: PlantedBug
  /** In place of the gateway's own list: the path of a module that exports `services`. */
  services?: string
  /** Looks at the site when all is quiet and everything held. */
  atEnd?: (site: Site) => Promise<void>
  /** On the second level: the real MQTT client and broker. */
  wire?: boolean
  onLine?: (line: string) => void
}

export interface WholeResult {
  seed: number
  /** Simulated, calm included, and without the days on which the site has no power. */
  hours: number
  faults: Record<string, number>
  /** What audits said, by kind. */
  verdicts: Record<string, number>
  /** Pictures that are kept in the end, pages that came out. */
  kept: number
  printed: number
  /** What happened to money, by kind. */
  money: Record<string, number>
  /** Replicas that nobody knows, of writings that ended without an answer. */
  leftovers: number
  /** SHA-256 over all that happened. */
  digest: string
}

const hourMs = 3_600_000
/** Calm must settle everything within this time. */
const calmLimitMs = 6 * hourMs

/** Runs one seed. @throws {Violation} when something happened that must not */
export async function runWhole(options: WholeOptions): Promise<WholeResult> {
  const { seed, hours = 1.2, devices = 5, faultMinutes = 2, visitMinutes = 5, bug, wire, onLine } = options
  const { services } = options.services
    ? ((await import(options.services)) as { services: readonly ServiceModule[] })
    : { services: ownServices }
  const clock = new SimClock()
  const story = new Story(clock, onLine)
  const chance = new SeededRandom(seed, 1)
  const network = wire ? new WireNetwork(clock, chance, siteName) : new ModelNetwork(clock, chance, siteName)
  using _timers = wire ? fakeTimers(clock) : undefined
  if (wire) clock.settle = quietThread
  const world = new World(seed, clock, network, story, bug)
  const startMs = clock.now()
  const onRejection = (error: unknown) => {
    if (!(error instanceof Died))
      world.violate('bug', `nobody caught ${error instanceof Error ? error.stack : String(error)}`)
  }
  process.on('unhandledRejection', onRejection)
  try {
    const site = await Site.create(world, devices, services)
    const chaos = new Chaos(site)
    const stop = () => world.violation !== undefined
    site.start()
    for (const person of site.people) void person.live(site, visitMinutes * 60_000)
    site.money.start()
    void site.thief.run()
    if (Number.isFinite(faultMinutes)) void chaos.run(faultMinutes * 60_000)
    /** The moment after so many hours that the site has lived through. */
    const lived = (hour: number) => clock.now() - clock.monotonicMs() + startMs + Math.round(hour * hourMs)
    for (const { hour, days } of outages(site, hours)) {
      await clock.runUntil(lived(hour), stop)
      site.outage(days)
    }
    await clock.runUntil(lived(hours), stop)
    story.say('world', 'calm')
    world.calm = true
    chaos.end()
    await calmDown(site, clock, stop)
    if (!world.violation) await finalChecks(site)
    if (!world.violation) await options.atEnd?.(site)
    world.over = true
    if (world.violation) throw world.violation
    const faults: Record<string, number> = Object.fromEntries([...world.faults].sort(([a], [b]) => (a < b ? -1 : 1)))
    for (const [kind, count] of Object.entries(network.counts)) if (lineFaults.has(kind)) faults[`line.${kind}`] = count
    return {
      seed,
      hours: (clock.monotonicMs() - startMs) / hourMs,
      faults,
      verdicts: await verdictsIn(site),
      kept: [...site.saves.values()].filter(({ believed }) => believed).length,
      printed: site.printed,
      money: site.money.counts,
      leftovers: await leftoversOf(site),
      digest: story.digest(),
    }
  } finally {
    world.over = true
    process.off('unhandledRejection', onRejection)
  }
}

/**
 * When the site is without power for days: after the first time every member's closing day has passed, after the second the
 * deadline for objections and the day of the debit.
 */
function outages({ world }: Site, hours: number): { hour: number; days: number }[] {
  const chance = world.chance('outages')
  return [
    { hour: hours * (0.45 + 0.1 * chance.float()), days: chance.between(28, 33) },
    { hour: hours * (0.7 + 0.1 * chance.float()), days: chance.between(10, 20) },
  ]
}

/** What a line does of its own accord, of all that it counts. */
const lineFaults: ReadonlySet<string> = new Set(['drop', 'duplicate', 'reorder', 'break'])

/** Lets time pass until nothing is left to do; people whose cards lack something bring them. */
async function calmDown(site: Site, clock: SimClock, stop: () => boolean): Promise<void> {
  const { world } = site
  const endMs = clock.now() + calmLimitMs
  let auditedMs: number | undefined
  for (;;) {
    await clock.runUntil(clock.now() + 60_000, stop)
    if (world.violation) return
    await letBackIn(site)
    auditedMs ??= await auditAll(site)
    const restless = [...(await whatIsLeft(site)), ...(await unaudited(site, auditedMs)), ...(await site.money.left())]
    if (restless.length === 0) return
    if (clock.now() >= endMs) {
      world.violate('I3', `not quiet after ${calmLimitMs / hourMs} calm hours: ${restless.slice(0, 8).join('; ')}`)
      return
    }
    for (const person of site.people) {
      const wants = (await pendingOf(site, person.memberId)) + (person.stranger ? 0 : await site.told.untold(person))
      if (person.at !== undefined || wants === 0) continue
      const device = site.devices.find((candidate) => candidate.up && candidate.card === undefined)
      if (device) void person.wait(device, 50_000)
    }
  }
}

/** The operator has everything opened and one server looked at from end to end (S11); all of them would take longer than the rest. @returns since when; undefined while placement is down */
async function auditAll({ placement, servers, world }: Site): Promise<number | undefined> {
  if (!placement) return undefined
  const nowMs = world.clock.now()
  const server = world.chance('audit').pick([...servers.keys()])
  world.story.say('operator', `has everything opened, and ${server} scanned`)
  await placement.replace.store.transaction(({ sql }) => auditNow(sql, nowMs, true, server))
  placement.audits.wake()
  return nowMs
}

/** What has not been looked at since. */
async function unaudited({ placementSql: sql }: Site, sinceMs: number | undefined): Promise<string[]> {
  if (sinceMs === undefined) return ['nobody has begun the audits']
  const objects = (await sql.get<{ n: number }>(
    `SELECT count(*) AS n FROM saves WHERE state = 'kept' AND max(opened, coalesce(kept, 0)) < ?`,
    sinceMs,
  ))!.n
  const open = (await sql.get<{ n: number }>(
    'SELECT count(*) AS n FROM verdicts WHERE object IS NOT NULL AND done IS NULL',
  ))!.n
  return [
    ...(objects > 0 ? [`${objects} objects have not been opened`] : []),
    ...(open > 0 ? [`${open} verdicts are not dealt with`] : []),
  ]
}

async function verdictsIn({ placementSql }: Site): Promise<Record<string, number>> {
  const rows = await placementSql.all<{ kind: string; n: number }>(
    'SELECT kind, count(*) AS n FROM verdicts GROUP BY kind ORDER BY kind',
  )
  return Object.fromEntries(rows.map(({ kind, n }) => [kind, n]))
}

async function pendingOf(site: Site, member: Uint8Array): Promise<number> {
  return (
    (
      await site.placementSql.get<{ n: number }>(
        'SELECT count(*) AS n FROM conditions WHERE member = ? AND written IS NULL',
        member,
      )
    )?.n ?? 0
  )
}

/** Everything that is not yet as it must be in the end. */
async function whatIsLeft(site: Site): Promise<string[]> {
  const left: string[] = []
  for (const machine of [site.gateway, ...site.services.machines, ...site.servers.values(), ...site.devices])
    if (!machine.up && !(machine instanceof ServerMachine && machine.gone)) left.push(`${machine.name} is down`)
  for (const device of site.devices) {
    if (!device.database.has('saves') || !device.database.has('acts')) {
      left.push(`${device.name} never began`)
      continue
    }
    if (device.runtime?.link?.up !== true) left.push(`${device.name} is offline`)
    for (const { contract } of device.database.all<{ contract: string }>('SELECT contract FROM acts LIMIT 3'))
      left.push(`${device.name}: ${contract} waits in the outbox`)
    for (const { object, state, problem } of device.database.all<{
      object: Uint8Array
      state: string
      problem: string
    }>(`SELECT object, state, problem FROM saves WHERE state NOT IN ('kept', 'refused')`))
      left.push(`${device.name}: ${hex(object).slice(0, 8)} is ${state} (${problem})`)
  }
  const sql = site.placementSql
  for (const { object, state, problem } of await sql.all<{ object: Uint8Array; state: string; problem: string }>(
    `SELECT object, state, problem FROM saves WHERE state IN ('buffered', 'sealed')`,
  ))
    left.push(`placement: ${hex(object).slice(0, 8)} is ${state} (${problem})`)
  const pending = (await sql.get<{ n: number }>('SELECT count(*) AS n FROM conditions WHERE written IS NULL'))?.n ?? 0
  if (pending > 0) left.push(`${pending} conditions are on no card`)
  const homeless = (await site.lyingAt([...site.servers.values()].filter(({ gone }) => gone))).left
  if (homeless > 0) left.push(`${homeless} replicas were destroyed and are not made anew`)
  for (const { object, source, cause } of await sql.all<{ object: Uint8Array; source: string; cause: string }>(
    'SELECT object, source, cause FROM moves WHERE problem IS NULL LIMIT 3',
  ))
    left.push(`${hex(object).slice(0, 8)} is to leave ${source} (${cause})`)
  const doubts = (await sql.get<{ n: number }>('SELECT count(*) AS n FROM suspects'))?.n ?? 0
  if (doubts > 0) left.push(`${doubts} replicas are to be examined`)
  for (const module of site.services.list) {
    const own = site.services.database(module).sql
    for (const { contract, device } of await own.all<{ contract: string; device: string }>(
      'SELECT contract, device FROM events LIMIT 3',
    ))
      left.push(`${contract} of ${module.name} is not acknowledged by ${nameOfDevice(site, device)}`)
    const acts = (await own.get<{ n: number }>('SELECT count(*) AS n FROM outbox'))?.n ?? 0
    if (acts > 0) left.push(`${acts} acts of ${module.name} wait for another service`)
  }
  for (const person of site.people) {
    if (person.at) left.push(`${person.name} is still at ${person.at.name}`)
    const untold = person.stranger ? 0 : await site.told.untold(person)
    if (untold > 0) left.push(`${untold} findings are not told to ${person.name}`)
  }
  return left
}

function nameOfDevice({ devices }: Site, id: string): string {
  return devices.find((device) => device.id === id)?.name ?? id
}

/** What must hold when all is quiet. */
async function finalChecks(site: Site): Promise<void> {
  const { world } = site
  const sql = site.placementSql
  const rows = await sql.all<{
    object: Uint8Array
    sha256: Uint8Array
    state: string
    problem: string | null
    member: Uint8Array
  }>('SELECT object, sha256, state, problem, member FROM saves WHERE media <> ? ORDER BY at, object', catalogueMedia)
  await site.harms.check()
  await site.told.check()
  const bySha = new Map<string, string>()
  for (const row of rows) {
    const object = hex(row.object)
    const sha = hex(row.sha256)
    if (row.state === 'lost' && site.saves.get(object)?.noCopy) continue
    if (row.state !== 'kept') world.violate('I3', `placement: ${object.slice(0, 8)} is ${row.state} (${row.problem})`)
    if (bySha.has(sha)) world.violate('I2', `${bySha.get(sha)} and ${object} are one picture`)
    bySha.set(sha, object)
    const original = site.shots.get(sha)
    if (!original) {
      world.violate('I2', `${object} is no picture that was taken`)
      continue
    }
    if (row.state !== 'kept') continue
    const replicas = await sql.all('SELECT slot FROM replicas WHERE object = ?', row.object)
    if (replicas.length !== 2) world.violate('I2', `${object} has ${replicas.length} replicas`)
    try {
      await checkReplicas((await site.conditionsOf(row.object)).conditions, original, site.servers)
    } catch (error) {
      world.violate('I1', `in the end, ${object.slice(0, 8)}: ${error instanceof Error ? error.message : error}`)
    }
  }
  await checkSaves(site)
  await checkCards(site)
  await readBack(
    site,
    rows.filter(({ state }) => state === 'kept').map(({ object }) => object),
  )
  await checkRebuild(site)
  await site.money.check()
  const leftovers = await leftoversOf(site)
  if (leftovers > site.carrier.unansweredPuts)
    world.violate(
      'I2',
      `${leftovers} replicas that nobody knows, after ${site.carrier.unansweredPuts} unanswered writings`,
    )
}

const offerMs = 30 * 86_400_000

/** I3, I5: whatever a device said it had is kept, and the device knows. */
async function checkSaves(site: Site): Promise<void> {
  const { world } = site
  for (const [object, kept] of site.saves) {
    if (kept.lost) continue
    const state = await site.placementState(bytesOf(object))
    if (state === 'lost' && kept.noCopy) continue
    const [row] = kept.device.database.all<{ state: string; problem: string | null; offer: Uint8Array }>(
      'SELECT state, problem FROM saves WHERE object = ?',
      bytesOf(object),
    )
    if (row?.state === 'refused' && state === undefined && row.problem && strangerProblems.has(row.problem)) continue
    // So long an offer is worth something; a site that is away for longer has to be offered it anew.
    if (row?.problem === 'message.expired' && world.story.atMs - kept.sinceMs > offerMs) continue
    if (state !== 'kept')
      world.violate(
        'I3',
        `${kept.device.name} took ${object.slice(0, 8)}; placement: ${state}, device: ${row?.state} (${row?.problem})`,
      )
    else if (row && row.state !== 'kept')
      world.violate('I3', `${object.slice(0, 8)} is kept and ${kept.device.name} says ${row.state} (${row.problem})`)
  }
}

/** How placement refuses the offer of a card that it never registered. */
const strangerProblems: ReadonlySet<string> = new Set(['card.unknown', 'cose.unknown-key', 'cose.bad-signature'])

/** I6: what is on a card is what placement meant for it, and of the latest nothing is missing. */
async function checkCards(site: Site): Promise<void> {
  const { world } = site
  const sql = site.placementSql
  for (const person of site.people) {
    const slots = decodeFile(cardFiles.conditions, person.memory.file('conditions'))
    const rows = await sql.all<{ object: Uint8Array; version: number; record: Uint8Array }>(
      'SELECT object, version, record FROM conditions WHERE member = ?',
      person.memberId,
    )
    const meant = new Map(rows.map((row) => [hex(conditionsTag(row.object)), row]))
    const found = new Set<string>()
    for (const slot of latestOf(slots)) {
      const row = meant.get(hex(slot.tag))
      if (!row) world.violate('I6', `${person.name}’s card has conditions of something unknown`)
      else if (slot.version === row.version && hex(slot.payload) !== hex(row.record))
        world.violate('I6', `${person.name}’s card has other conditions of ${hex(row.object).slice(0, 8)}`)
      else found.add(hex(slot.tag))
    }
    const least = Math.min(conditionsOnCard, rows.length)
    if (found.size < least) world.violate('I6', `${person.name}’s card has ${found.size} conditions of ${rows.length}`)
  }
}

/** Of each object what was written last: what was told of it before stands until its slot is wanted. */
function latestOf(slots: readonly CardSlot[]) {
  const latest = new Map<string, SlotRecord>()
  for (const slot of slots) {
    if (slot.state === 'whole' && slot.counter > (latest.get(hex(slot.tag))?.counter ?? -1))
      latest.set(hex(slot.tag), slot)
  }
  return latest.values()
}

/** Most objects that are read back over the real read exchange per run. */
const maxReadBack = 12

/** S10: the read exchange gives the picture, from either server, with the card's keys alone. */
async function readBack(site: Site, objects: readonly Uint8Array[]): Promise<void> {
  const { world } = site
  const chance = world.chance('read-back')
  for (const object of objects.slice(0, maxReadBack)) {
    const { person, conditions } = await site.conditionsOf(object)
    const replica = chance.pick(conditions.replicas)
    const server = site.servers.get(replica.server)?.server
    try {
      if (!server) throw new Error('the server is down')
      const slot = replica.slot as Slot
      const reading = await openReading(
        { object, version: conditions.version, slot, device: 'sim', serverKey: replica.serverKey },
        { carry: (frame) => server.frame(frame), card: signerOf(person.keys.authentication), random: chance },
      )
      const count = segmentCount(conditions.sizeBytes)
      const { algorithm, keyId, dataKey, prefix } = replica
      const unsealer = new Unsealer(
        { object, version: conditions.version, slot },
        { algorithm: algorithm as SealAlgorithm, keyId, dataKey, prefix },
        count,
      )
      const parts: Uint8Array[] = []
      for await (const part of unsealStream(unsealer, count, reading.segments(0, count))) parts.push(part)
      await reading.close()
      if (shaOf(Buffer.concat(parts)) !== hex(conditions.sha256)) throw new Error('other bytes')
    } catch (error) {
      world.violate(
        'I1',
        `${hex(object).slice(0, 8)} cannot be read from ${replica.server}: ${error instanceof Error ? error.message : error}`,
      )
    }
  }
}

/** I7: with the recovery key alone, placement stands again from what data servers keep. */
async function checkRebuild(site: Site): Promise<void> {
  const { world, servers } = site
  const life = new Life('rebuild')
  const medium = new DatabaseMedium()
  try {
    await rebuildPlacement({
      database: medium.open(life, () => {}),
      recoverySecret: parseRecoverySecret(site.recoverySecret),
      servers: [...servers.values()].map(({ name, identity }) => ({
        id: name,
        url: `sim:${name}`,
        key: coseKey(publicOf(identity)),
      })),
      dataServers: {
        of: ({ id }) => {
          const server = servers.get(id)?.server
          if (!server) throw new Problem('server.unreachable', id)
          return server
        },
      },
      clock: life.clock(world.clock),
      random: world.chance('rebuild'),
      log: world.story.log(
        'rebuild',
        () => true,
        (what) => world.violate('bug', what),
      ),
    })
  } catch (error) {
    world.violate('I7', `placement cannot be rebuilt: ${error instanceof Error ? error.stack : error}`)
    return
  }
  for (const query of rebuiltAlike) {
    const [before, after] = await mapInOrder([site.placementSql, medium.sql], async (sql) =>
      (await sql.all(query)).map((row) =>
        Object.values(row)
          .map((value) => (value instanceof Uint8Array ? hex(value) : value))
          .join(' '),
      ),
    )
    if (before!.join('/') !== after!.join('/'))
      world.violate(
        'I7',
        `a rebuild changed ${query.split(' FROM ')[1]}: ${before!.length} rows, then ${after!.length}`,
      )
  }
}

/** What must be the same after a rebuild. */
const rebuiltAlike = [
  'SELECT number, name, level, home, auth_key, acts_key, agreement_key FROM members ORDER BY number',
  'SELECT id, region, key FROM servers ORDER BY id',
  `SELECT object, version, member, sha256, name, taken FROM saves WHERE state = 'kept' AND media <> '${catalogueMedia}' ORDER BY object`,
  `SELECT object, slot, server, epoch, algorithm, key_id, root FROM replicas
   WHERE object IN (SELECT object FROM saves WHERE state = 'kept' AND media <> '${catalogueMedia}') ORDER BY object, slot`,
]

/** Replicas on disks of which no object tells. */
async function leftoversOf(site: Site): Promise<number> {
  const sql = site.placementSql
  const known = new Set(
    (
      await sql.all<{ object: Uint8Array; version: number; slot: number; server: string }>(
        `SELECT object, version, slot, server FROM replicas UNION SELECT object, version, slot, server FROM retired
         UNION SELECT object, version, slot, server FROM making`,
      )
    ).map((row) => `${row.server}/${hex(row.object)}-${row.version}-${row.slot}`),
  )
  let leftovers = 0
  for (const server of site.servers.values()) {
    const folders = new Set<string>()
    for (const disk of serverDisks)
      for (const path of server.files.paths(`${disk}/replicas`)) folders.add(path.split('/').at(-2)!)
    for (const folder of folders) if (!known.has(`${server.name}/${folder}`)) leftovers++
  }
  return leftovers
}

export { Violation }
