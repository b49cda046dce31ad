/**
 * The gateway upgrades itself while its power goes at any step (D6): it is left with a version that works, every act that
 * it acknowledged, and nothing of a version that did not work.
 */
import { DatabaseCopies } from '@azukari/gateway/upgrade/copies'
import { signerOf } from '@azukari/protocol/cose'
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import { generateKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Files } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { BundleSource } from '@azukari/protocol/upgrade/bundle'
import { type Choice, confirmHealth, launch, restartCode, type TrialData } from '@azukari/protocol/upgrade/launcher'
import { signUpgrade, type UpgradeProgram } from '@azukari/protocol/upgrade/manifest'
import { SlotStore } from '@azukari/protocol/upgrade/slot-store'
import t from 'tap'
import { SeededRandom } from '../../testkit/world/chance.ts'
import { type Life, never } from '../../testkit/world/life.ts'
import { bundleFrom, healthMs, Powered, silent } from './powered.ts'

const folder = '/site'
const databases = ['gateway.db', 'placement/placement.db', 'settlement/settlement.db']
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

interface Release {
  version: string
  sequence: number
  schema: number
  manner: 'works' | 'crashes' | 'crashes-migrated' | 'hangs'
  bundle?: 'damaged' | 'foreign-key' | 'device'
}

function bundleOf(random: SeededRandom, key: ReturnType<typeof generateKey>, release: Release): BundleSource {
  const { version, sequence, bundle } = release
  const contents = new Map([
    ['src/cli.js', new TextEncoder().encode(JSON.stringify(release))],
    ['lib', random.bytes(50_000)],
  ])
  const signer = signerOf(bundle === 'foreign-key' ? generateKey('ed25519', random) : key)
  const program: UpgradeProgram = bundle === 'device' ? 'device' : 'gateway'
  const says = { site: 'tokyo', version, sequence, minRuntime: '0.1.0', entry: 'src/cli.js' }
  const source = bundleFrom(contents, (files) => signUpgrade({ ...says, files }, signer, program))
  if (bundle === 'damaged') contents.get('lib')![30_000]! ^= 1
  return source
}

/**
 * What matters of SQLite in WAL mode: commits go into a log beside the file, which outlives the process and is played
 * into whatever file bears the name; now and then they are copied into the file.
 */
class Store {
  readonly #files: Files
  readonly #path: string

  constructor(files: Files, path: string) {
    this.#files = files
    this.#path = path
  }

  async rows(): Promise<string[]> {
    return [...(await this.#lines(this.#path)), ...(await this.#lines(`${this.#path}-wal`))]
  }

  async commit(row: string): Promise<void> {
    const name = `${this.#path}-wal`
    if (!(await this.#files.stat(this.#path))) await writeWhole(this.#files, this.#path, [])
    const file = await this.#files.open(name, 'create')
    // Behind what a power cut left of a commit: its line is whole or not there.
    const before = (await this.#lines(name)).map((line) => `${line}\n`).join('')
    await file.truncate(before.length)
    await file.write(before.length, new TextEncoder().encode(`${row}\n`))
    await file.sync()
    await file.close()
    await this.#files.syncDirectory(this.#path.slice(0, this.#path.lastIndexOf('/')))
  }

  async checkpoint(): Promise<void> {
    // Idempotent here as page copies are: rows are told apart, and those that are in the file count once.
    const rows = [...new Set(await this.rows())]
    await writeWhole(this.#files, `${this.#path}.new`, rows)
    await this.#files.rename(`${this.#path}.new`, this.#path)
    await this.#files.syncDirectory(this.#path.slice(0, this.#path.lastIndexOf('/')))
    await this.#files.remove(`${this.#path}-wal`)
  }

  async copyTo(path: string): Promise<void> {
    if (await this.#files.stat(path)) throw new Problem('storage.failed', `${path} is there already`)
    await writeWhole(this.#files, path, [...new Set(await this.rows())])
    await this.#files.syncDirectory(path.slice(0, path.lastIndexOf('/')))
  }

  async schema(): Promise<number> {
    const marks = (await this.rows()).filter((row) => row.startsWith('schema '))
    return Math.max(0, ...marks.map((row) => Number(row.slice(7))))
  }

  async #lines(path: string): Promise<string[]> {
    if (!(await this.#files.stat(path))) return []
    const file = await this.#files.open(path, 'read')
    const whole = text(await file.read(0, await file.size()))
      .split('\n')
      .slice(0, -1)
    await file.close()
    // A torn commit has no valid check sum, and none after it counts.
    const torn = whole.findIndex((line) => !/^[a-z]+ [\w. -]+$/.test(line))
    return torn < 0 ? whole : whole.slice(0, torn)
  }
}

async function writeWhole(files: Files, path: string, rows: readonly string[]): Promise<void> {
  const file = await files.open(path, 'create')
  await file.truncate(0)
  await file.write(0, new TextEncoder().encode(rows.map((row) => `${row}\n`).join('')))
  await file.sync()
  await file.close()
}

class Gateway extends Powered<Release> {
  /** Acts that were acknowledged: `act n`, in all databases. */
  readonly acknowledged: string[] = []
  /** Whether the launcher keeps copies, as it does. */
  copies = true
  #acts = 0

  constructor(seed: number) {
    const random = new SeededRandom(seed, 11)
    super(random, generateKey('ed25519', random))
  }

  store(files: Files = this.disk): SlotStore {
    return new SlotStore(files, `${folder}/slots`, 'gateway')
  }

  protected boot(life: Life): void {
    const clock = life.clock(this.clock)
    const files = life.files(this.disk)
    const store = this.store(files)
    const copies = this.#copiesOf(files)
    const start = (choice: Choice) => {
      const ended = Promise.withResolvers<number>()
      this.#runtime(files, store, copies, choice, clock).then(ended.resolve, (error) => {
        if (!isProblem(error)) throw error
        this.met.push(error.code)
        ended.resolve(1)
      })
      return { exited: ended.promise, stop: async () => ended.resolve(143) }
    }
    const releaseKey = async () => publicOf(this.key)
    const data: { data?: TrialData } = this.copies ? { data: copies } : {}
    launch({ store, releaseKey, start, ...data, clock, log: silent, healthMs }, new AbortController().signal).catch(
      (error) => {
        if (!isProblem(error)) throw error
        this.met.push(error.code)
      },
    )
  }

  async rest(): Promise<void> {
    await this.clock.runUntil(this.clock.now() + 2 * healthMs, () => !this.alive)
  }

  #copiesOf(files: Files): DatabaseCopies {
    const copyDatabase = (from: string, to: string) => new Store(files, from).copyTo(to)
    const directory = `${folder}/slots/before`
    return new DatabaseCopies({ files, folder, directory, databases, copyDatabase, log: silent })
  }

  /** As `azukari-gateway run` does: opens and brings up to date, confirms, and only then acknowledges anything. */
  async #runtime(
    files: Files,
    store: SlotStore,
    copies: DatabaseCopies,
    choice: Choice,
    clock: Clock,
  ): Promise<number> {
    const release: Release =
      choice.slot === undefined
        ? { version: '0.1.0', sequence: 0, schema: 1, manner: 'works' }
        : JSON.parse(text(await readWhole(files, choice.entry)))
    const { version, schema, manner } = release
    await clock.sleep(this.random.between(100, 5_000))
    if (manner === 'crashes') return 1
    const stores = databases.map((path) => new Store(files, `${folder}/${path}`))
    for (const [i, one] of stores.entries()) {
      await makeDurableDirectory(files, `${folder}/${databases[i]}`.replace(/\/[^/]+$/, ''))
      const at = await one.schema()
      if (at > schema) throw new Problem('database.newer', `${at}, not ${schema}`)
      if (at < schema) await one.commit(`schema ${schema}`)
      // Opening alone writes: keys into the journal, servers that were registered.
      await one.commit(`opened ${version} ${this.clock.now()}`)
      if (this.random.float() < 0.3) await one.checkpoint()
    }
    if (manner === 'crashes-migrated') return 1
    if (manner === 'hangs') return never()
    if (choice.trial) {
      await confirmHealth(store, version)
      await copies.close()
    }
    this.running = release
    for (;;) {
      const act = `act ${++this.#acts}`
      for (const one of stores) await one.commit(act)
      this.acknowledged.push(act)
      if (await this.takeOffer(store, version)) return restartCode
      await clock.sleep(20_000)
    }
  }
}

async function readWhole(files: Files, path: string): Promise<Uint8Array> {
  const file = await files.open(path, 'read')
  return file.read(0, await file.size())
}

/** Offers a release under power cuts until there is an outcome. */
async function upgrade(gateway: Gateway, release: Release, cuts: number): Promise<void> {
  const source = bundleOf(gateway.random, gateway.key, release)
  for (let round = 0; round < 60; round++) {
    if (!gateway.alive) gateway.on(cuts-- > 0 ? gateway.random.between(0, 90) : undefined)
    const { attempt, last } = await gateway.store().read()
    if (last?.sequence === release.sequence && last.outcome === 'confirmed' && gateway.running) return
    if (attempt?.phase !== 'pending' && attempt?.phase !== 'trying') gateway.offer = source
    await gateway.rest()
    const after = await gateway.store().read()
    if (cuts > 0) gateway.off()
    if (cuts <= 0 && gateway.alive && !gateway.offer && after.attempt?.phase !== 'pending') return
  }
}

async function faultOf(gateway: Gateway, right: Release, failed: ReadonlySet<string>): Promise<string | undefined> {
  if (!gateway.alive) gateway.on()
  await gateway.rest()
  if (!gateway.running) return `nothing works: ${gateway.met.slice(-3).join(', ')}`
  if (gateway.running.version !== right.version) return `${gateway.running.version} runs, not ${right.version}`
  for (const path of databases) {
    const store = new Store(gateway.disk, `${folder}/${path}`)
    const rows = await store.rows()
    const there = new Set(rows)
    const lost = gateway.acknowledged.find((act) => !there.has(act))
    if (lost) return `${path}: ${lost} was acknowledged and is lost`
    const foreign = rows.find((row) => row.startsWith('opened') && failed.has(row.split(' ')[1]!))
    if (foreign) return `${path}: ${foreign} of a version that did not work`
    if ((await store.schema()) !== right.schema) return `${path}: schema ${await store.schema()}, not ${right.schema}`
  }
  return undefined
}

async function sweep(
  seeds: number,
  copies: boolean,
): Promise<{ faults: string[]; cuts: number; outcomes: Set<string> }> {
  const faults: string[] = []
  const outcomes = new Set<string>()
  let cuts = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const gateway = new Gateway(seed)
    gateway.copies = copies
    let right: Release = { version: '0.1.0', sequence: 0, schema: 1, manner: 'works' }
    const failed = new Set<string>()
    for (let sequence = 1; sequence <= 4; sequence++) {
      const how = gateway.random.pick<Partial<Release>>([
        {},
        {},
        {},
        { manner: 'crashes' },
        { manner: 'crashes-migrated' },
        { manner: 'hangs' },
        { bundle: 'damaged' },
        { bundle: 'foreign-key' },
        { bundle: 'device' },
      ])
      const schema = right.schema + gateway.random.between(0, 2)
      const release: Release = { version: `1.${sequence}.0`, sequence, schema, manner: 'works', ...how }
      await upgrade(gateway, release, gateway.random.between(0, 8))
      const { last } = await gateway.store().read()
      // A good version can use up its starts by power cuts alone: then the one before it is the right one.
      const confirmed = last?.sequence === sequence && last.outcome === 'confirmed'
      if (confirmed) right = release
      else failed.add(release.version)
      outcomes.add(`${how.manner ?? how.bundle ?? 'good'} ${confirmed}`)
      const fault = await faultOf(gateway, right, failed)
      if (fault) {
        faults.push(`seed ${seed}, release ${sequence} ${JSON.stringify(how)}: ${fault}`)
        break
      }
    }
    gateway.off()
    cuts += gateway.cuts - 1
  }
  return { faults, cuts, outcomes }
}

t.test(
  'D6: a gateway upgrades itself under power cuts at any step: it works, and every acknowledged act is there',
  async (t) => {
    const { faults, cuts, outcomes } = await sweep(60, true)
    t.strictSame(faults, [])
    t.ok(cuts > 500, `${cuts} power cuts`)
    for (const wrong of ['crashes', 'crashes-migrated', 'hangs', 'damaged', 'foreign-key', 'device'])
      t.notOk(outcomes.has(`${wrong} true`), `${wrong} is never confirmed`)
    t.ok(outcomes.has('good true'))
  },
)

t.test('D6: without copies from before the trial the same sweep finds gateways that do not work', async (t) => {
  const { faults } = await sweep(20, false)
  t.ok(faults.length > 3, `${faults.length} of 20 gateways came to harm`)
})

t.test('D6: a full disk, a copy that rots and a record that rots leave the old version at work', async (t) => {
  const good: Release = { version: '1.1.0', sequence: 1, schema: 2, manner: 'works' }
  const old: Release = { version: '0.1.0', sequence: 0, schema: 1, manner: 'works' }
  const full = new Gateway(1)
  full.on()
  await full.rest()
  // There is room for the bundle, and not for copies of a database of this size.
  await new Store(full.disk, `${folder}/gateway.db`).commit(`ballast ${'x'.repeat(60_000)}`)
  full.disk.capacityBytes = full.disk.usedBytes + 100_000
  await upgrade(full, good, 0)
  t.match((await full.store().read()).last, { outcome: 'rolled-back', why: 'storage.full' })
  t.equal(full.running?.version, '0.1.0', 'nothing was tried')
  full.disk.capacityBytes = Number.MAX_SAFE_INTEGER
  t.equal(await faultOf(full, old, new Set(['1.1.0'])), undefined)
  await upgrade(full, good, 0)
  t.equal(await faultOf(full, good, new Set()), undefined, 'with room for it it is installed')

  for (const [name, schema] of [
    ['gateway.db', 1],
    ['open', 1],
    ['placement/placement.db', 2],
  ] as const) {
    const gateway = new Gateway(2)
    gateway.on()
    await gateway.rest()
    gateway.offer = bundleOf(gateway.random, gateway.key, { ...good, schema, manner: 'hangs' })
    const before = `${folder}/slots/before`
    await gateway.clock.runUntil(gateway.clock.now() + 60_000)
    t.equal((await gateway.store().read()).attempt?.phase, 'trying', `${name}: it is on trial`)
    gateway.disk.rot(`${before}/${name}`, 3, { from: 5 })
    await gateway.rest()
    await gateway.rest()
    t.match((await gateway.store().read()).last, { outcome: 'rolled-back' })
    if (schema === 1) t.equal(gateway.running?.version, '0.1.0', `${name}: the old version works with what is there`)
    else t.ok(gateway.met.includes('database.newer'), `${name}: the old version refuses what it does not know`)
    t.equal(await gateway.disk.stat(`${before}/open`), undefined, 'nothing is put back later')
  }
})
