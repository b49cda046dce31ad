/** A whole site in one process: boards with the real runtime, the gateway with placement, data servers, people's cards. */
import { createHash } from 'node:crypto'
import type { CardRegistration } from '@azukari/device/applet/issue'
import type { Shown } from '@azukari/device/drivers'
import type { Link } from '@azukari/device/link'
import { decodeUpright } from '@azukari/device/picture'
import { jpegWithoutPlace } from '@azukari/device/place/jpeg'
import type { DeviceRole } from '@azukari/device/runtime'
import type { Save } from '@azukari/device/saves'
import type { ServiceModule } from '@azukari/gateway/host/service-module'
import type { PlacementContext } from '@azukari/gateway/services/placement/commands/context'
import type { PlacementKeys } from '@azukari/gateway/services/placement/keys/keys'
import { openPlacementKeys } from '@azukari/gateway/services/placement/main'
import { placement as placementModule } from '@azukari/gateway/services/placement/module'
import type { Placement } from '@azukari/gateway/services/placement/service'
import { settlement as settlementModule } from '@azukari/gateway/services/settlement/module'
import type { Settlement } from '@azukari/gateway/services/settlement/service'
import type { Sql } from '@azukari/gateway/storage/database'
import { hex } from '@azukari/protocol/bytes'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import { FragileMemory, issueCard, VirtualCard } from '../testkit/card/virtual-card.ts'
import { Life } from '../testkit/world/life.ts'
import { checkReplicas, openConditions } from './audit.ts'
import { DeviceMachine, type DeviceWitness } from './device-machine.ts'
import type { GatewayMachine } from './gateway-machine.ts'
import { Harms } from './harm.ts'
import { Internet } from './internet.ts'
import { Lines } from './lines.ts'
import { Money, settlementFile } from './money/money.ts'
import { Person } from './people.ts'
import { Carrier, ServerMachine, serverDiskBytes, serverDisks, serverPlaces } from './server-machine.ts'
import { SiteServices } from './site-services.ts'
import { Thief } from './thief.ts'
import { Told } from './told.ts'
import type { World } from './world.ts'

const homes = ['JP-13', 'JP-27', 'JP-01', 'JP-40', 'JP-14'] as const
/** What boards there are, in this order, and again. */
const roles: readonly DeviceRole[] = ['camera', 'printer', 'terminal', 'camera', 'terminal']
const weekMs = 7 * 86_400_000

/** One save as the world saw it. */
export interface Kept {
  device: DeviceMachine
  sha: string
  state: Save['state']
  /** When it was first heard of, ms since the start. */
  sinceMs: number
  /** The device once believed a receipt. */
  believed: boolean
  /** It was lost with a system whose old image somebody put back. */
  lost: boolean
  /** Such a system took the device's own copy: what the site's receive buffer loses from then on cannot be sent again. */
  noCopy: boolean
}

export class Site implements DeviceWitness {
  readonly world: World
  readonly servers = new Map<string, ServerMachine>()
  readonly devices: DeviceMachine[] = []
  readonly people: Person[] = []
  readonly carrier: Carrier
  readonly lines: Lines
  readonly internet: Internet
  readonly services: SiteServices
  placementKeys!: PlacementKeys
  recoverySecret = ''
  money!: Money
  readonly harms = new Harms(this)
  readonly told = new Told(this)
  readonly thief: Thief
  /** Pictures that were taken, by SHA-256 in hex. */
  readonly shots = new Map<string, Uint8Array>()
  /** Saves by object, in hex. */
  readonly saves = new Map<string, Kept>()
  /** Data keys seen, and of which replica. */
  readonly #dataKeys = new Map<string, string>()
  readonly #claims = new Map<string, string>()
  readonly #registrations: CardRegistration[] = []
  printed = 0

  private constructor(world: World, list: readonly ServiceModule[]) {
    this.world = world
    this.carrier = new Carrier(world, this.servers)
    this.lines = new Lines(world)
    this.internet = new Internet(world)
    this.thief = new Thief(this)
    for (const place of serverPlaces)
      this.servers.set(place.id, new ServerMachine(world, place, () => publicOf(this.placementKeys.signing)))
    this.services = new SiteServices(world, list, this)
    this.services.onOpened(async ({ name }, open) => {
      if (name === placementModule.name) await this.#registerCards((open as PlacementContext).service)
    })
  }

  /** A new site: its folders, keys, boards and people. Nothing runs yet. */
  static async create(world: World, devices: number, list: readonly ServiceModule[]): Promise<Site> {
    const site = new Site(world, list)
    await site.#init()
    site.#people(devices)
    site.money = new Money(site)
    return site
  }

  async #init(): Promise<void> {
    const servers = [...this.servers.values()].map(({ place, identity }) => ({
      id: place.id,
      name: place.id,
      region: place.region,
      latitude: place.latitude,
      longitude: place.longitude,
      domain: place.id,
      url: `https://${place.id}.sim`,
      key: hex(coseKey(publicOf(identity))),
      capacityBytes: serverDiskBytes * serverDisks.length,
      rates: [{ peril: 'earthquake', probability: place.quake, vulnerability: 0.5, source: 'made up' }],
    }))
    const secrets = await this.services.init({
      'servers.json': json(servers),
      'settlement.json': json(settlementFile),
    })
    this.recoverySecret = secrets.get('recoveryKey') ?? ''
    const life = new Life('keys')
    const { folder, ports } = this.services.machineOf(placementModule.name).site(life, this.world.chance('keys'))
    this.placementKeys = await openPlacementKeys(folder, undefined, ports.machine?.(folder, ports).passphraseKey)
    life.end()
  }

  #people(devices: number): void {
    const { world } = this
    const random = world.chance('site')
    for (let i = 0; i < devices; i++) {
      const role = roles[i % roles.length]!
      const name = `${role}-${i + 1}`
      this.devices.push(new DeviceMachine(world, name, role, random.pick(homes), () => this.#claims.get(name), this))
    }
    const people = Math.max(2, Math.round(devices * 0.7))
    for (let i = 0; i < people; i++) {
      // One in four sites meets a card that was made for it and never registered.
      const stranger = i === people - 1 && people > 2 && random.chance(0.25)
      const { person, registration } = makePerson(world, this.placementKeys, i, random.pick(homes), stranger)
      if (!stranger) this.#registrations.push(registration)
      this.people.push(person)
    }
  }

  get gateway(): GatewayMachine {
    return this.services.gateway
  }

  /** Placement, where it runs; undefined while it does not. */
  get placement(): Placement | undefined {
    return this.services.open(placementModule)?.service
  }

  /** Settlement, where it runs; undefined while it does not. */
  get settlement(): Settlement | undefined {
    return this.services.open(settlementModule)?.service
  }

  /** The life of the process in which settlement runs. */
  get settlementLife(): Life | undefined {
    return this.services.machineOf(settlementModule.name).life
  }

  /** What placement has committed, for the checks of the simulation only. */
  get placementSql(): Sql {
    return this.services.database(placementModule).sql
  }

  /** The operator enters the cards that were made. */
  async #registerCards({ registry }: Placement): Promise<void> {
    const known = new Set((await registry.members()).map(({ number }) => number))
    for (const member of this.#registrations) if (!known.has(member.number)) await registry.addMember(member)
  }

  /** Everything begins; devices have their claims. */
  start(): void {
    for (const server of this.servers.values()) server.start()
    for (const machine of this.services.machines) machine.start()
    this.gateway.start()
    this.world.clock.timer(10, async () => {
      while (!this.gateway.gateway) await this.world.clock.sleep(10)
      for (const device of this.devices)
        this.#claims.set(
          device.name,
          await this.gateway.gateway.newClaim({
            name: device.name,
            region: device.region,
            roles: [device.role],
            lifeMs: weekMs,
          }),
        )
      for (const device of this.devices) device.start()
    })
  }

  /** All machines are without power for days, and come back one after the other. */
  outage(days: number): void {
    const { clock, story } = this.world
    story.say('world', `no power for ${days} days`)
    this.world.count('site.outage')
    for (const machine of [this.gateway, ...this.services.machines, ...this.servers.values(), ...this.devices])
      machine.die('power')
    clock.leap(days * 86_400_000)
  }

  /** One object's row at placement, if it has any. */
  async placementState(object: Uint8Array): Promise<string | undefined> {
    return (await this.placementSql.get<{ state: string }>('SELECT state FROM saves WHERE object = ?', object))?.state
  }

  shot(device: DeviceMachine, bytes: Uint8Array): void {
    const sha = shaOf(bytes)
    if (this.shots.has(sha)) this.world.violate('simulation', 'two equal pictures')
    this.shots.set(sha, bytes)
    // What a board keeps of it that does not know what its member agreed to (D8).
    const placeless = jpegWithoutPlace(bytes)
    this.shots.set(shaOf(placeless), placeless)
    this.world.story.say(device.name, `takes a picture, ${bytes.length} bytes, ${sha.slice(0, 8)}`)
  }

  async saveChanged(device: DeviceMachine, save: Save): Promise<void> {
    const { world } = this
    const object = hex(save.object)
    let kept = this.saves.get(object)
    if (kept && kept.state === save.state) return
    const sha = hex(save.sha256)
    if (!kept) {
      kept = { device, sha, state: save.state, sinceMs: world.story.atMs, believed: false, lost: false, noCopy: false }
      this.saves.set(object, kept)
      if (!this.shots.has(sha)) world.violate('I2', `${object} is no picture that was taken`)
    }
    world.story.say(device.name, `${object.slice(0, 8)}: ${save.state}${save.problem ? ` (${save.problem})` : ''}`)
    kept.state = save.state
    if (save.state === 'kept') {
      kept.believed = true
      this.#checkReceipt(device, save)
      return
    }
    if (save.state === 'buffered' && (await this.placementState(save.object)) === undefined)
      world.violate('I4', `${device.name} says that ${object.slice(0, 8)} was received, and placement knows nothing`)
    // The device may have died while it took in the receipt.
    if (!kept.believed && (await this.placementState(save.object)) !== 'kept' && !device.holds(save.object))
      world.violate('I5', `${device.name} has no copy of ${object.slice(0, 8)} and no receipt`)
  }

  shown(device: DeviceMachine, shown: Shown): void {
    const line = shown.lines[0] ?? ''
    const person = this.personAt(device)
    for (const reader of [person, device.beside]) if (reader) this.told.see(reader, shown.lines)
    if (line.endsWith(': on this device')) {
      // What was taken before the card was refused may wait.
      const waits = shown.lines[1]?.startsWith('Waits') === true
      if (!waits && device.runtime?.presence?.card?.refused)
        this.world.violate('I4', `${device.name} saves for a refused card`)
      this.#checkShown(device, line, `: on this device`, `state <> 'refused'`)
    } else if (line.endsWith(': kept in two places'))
      this.#checkShown(device, line, ': kept in two places', `state = 'kept' AND receipt IS NOT NULL`)
    else if (line.endsWith(': printed')) this.#checkPage(device, line.slice(0, -': printed'.length))
    this.world.story.say(device.name, `shows ${shown.lines.join(' / ')}`)
  }

  began(device: DeviceMachine, link: Link): void {
    this.thief.listen(device, link)
  }

  askedPin(device: DeviceMachine): string | undefined {
    return this.personAt(device)?.typePin()
  }

  personAt(device: DeviceMachine): Person | undefined {
    return this.people.find((person) => person.at === device)
  }

  /** What a device lost when an old image was put back is nobody's fault. */
  async lostWithImage(device: DeviceMachine, imageAtMs: number): Promise<void> {
    for (const [object, kept] of this.saves)
      if (kept.device === device && !kept.believed && kept.sinceMs > imageAtMs) {
        kept.noCopy = true
        if ((await this.placementState(bytesOf(object))) === undefined) kept.lost = true
      }
  }

  /**
   * Replicas of kept and sealed objects that lie on these servers now.
   * @returns `left` on any of them; `alone`: objects with all of theirs there
   */
  async lyingAt(servers: readonly ServerMachine[]): Promise<{ left: number; alone: number }> {
    const names = new Set(servers.map(({ name }) => name))
    const places = new Map<string, string[]>()
    for (const { object, server } of await this.placementSql.all<{
      object: Uint8Array
      server: string
    }>(`SELECT r.object, r.server FROM replicas r JOIN saves s ON s.object = r.object WHERE s.state = 'kept'`))
      places.set(hex(object), [...(places.get(hex(object)) ?? []), server])
    const all = [...places.values()]
    return {
      left: all.flat().filter((server) => names.has(server)).length,
      alone: all.filter((at) => at.every((server) => names.has(server))).length,
    }
  }

  /** The conditions of an object as its member's card opens them. */
  async conditionsOf(object: Uint8Array) {
    const row = await this.placementSql.get<{ member: Uint8Array; record: Uint8Array }>(
      'SELECT member, record FROM conditions WHERE object = ?',
      object,
    )
    if (!row) throw new Error(`no conditions of ${hex(object).slice(0, 8)}`)
    const person = this.people.find((candidate) => hex(candidate.memberId) === hex(row.member))
    if (!person) throw new Error('conditions of nobody')
    return { person, record: row.record, conditions: openConditions(row.record, person.keys.agreement) }
  }

  #checkReceipt(device: DeviceMachine, save: Save): void {
    this.world.check('I1', async () => {
      const name = `${device.name} believes a receipt for ${hex(save.object).slice(0, 8)}`
      const original = this.shots.get(hex(save.sha256))
      if (!original || !save.receipt) throw new Error(`${name}, which is of nothing`)
      const { conditions } = await this.conditionsOf(save.object)
      if (hex(conditions.sha256) !== hex(save.sha256)) throw new Error(`${name}, and the conditions are of another`)
      const told = save.receipt.replicas.map(({ slot, server }) => `${slot}@${server}`).join(' ')
      const real = conditions.replicas.map(({ slot, server }) => `${slot}@${server}`).join(' ')
      if (told !== real && !(await this.#moved(save.object)))
        throw new Error(`${name}: ${told}, and the card is told ${real}`)
      const { object } = conditions
      const spoilt = ({ slot, server }: { slot: number; server: string }) =>
        this.harms.spoilt({ object, slot: slot === 1 ? 1 : 2, server })
      await checkReplicas(conditions, original, this.servers, spoilt).catch((error) => {
        throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`)
      })
      for (const { slot, dataKey } of conditions.replicas) this.#checkKey(dataKey, `${hex(save.object)}/${slot}`)
    })
  }

  /** Whether a replica of it has left the place that its receipt named (S9). */
  async #moved(object: Uint8Array): Promise<boolean> {
    return (await this.placementSql.get('SELECT 1 FROM replicas WHERE object = ? AND epoch > 1', object)) !== undefined
  }

  /** S6: a key seals one replica, ever. */
  #checkKey(dataKey: Uint8Array, of: string): void {
    const before = this.#dataKeys.get(hex(dataKey))
    if (before !== undefined && before !== of) throw new Error(`one data key seals ${before} and ${of}`)
    this.#dataKeys.set(hex(dataKey), of)
  }

  #checkShown(device: DeviceMachine, line: string, suffix: string, where: string): void {
    const name = line.slice(0, -suffix.length)
    const rows = device.database.all<{ object: Uint8Array }>(
      `SELECT object FROM saves WHERE name = ? AND ${where}`,
      name,
    )
    if (rows.length === 0) this.world.violate('I4', `${device.name} shows “${line}”, and it is not so`)
  }

  #checkPage(device: DeviceMachine, name: string): void {
    const page = device.board?.printer?.pages.at(-1)
    const wanted = this.personAt(device)?.printing
    const original = wanted && this.shots.get(wanted)
    if (!page || page.title !== name || !original) {
      this.world.violate('I4', `${device.name} shows that ${name} is printed, and no such page came out`)
      return
    }
    const expected = decodeUpright(original)
    if (expected.width !== page.page.width || !Buffer.from(expected.rgba).equals(page.page.rgba))
      this.world.violate('I4', `${device.name}: the page of ${name} is not the picture`)
    this.printed++
  }
}

function makePerson(world: World, provider: PlacementKeys, index: number, home: string, stranger: boolean) {
  const random = world.chance(`person/${index}`)
  const keys = {
    authentication: generateKey('ed25519', random),
    acts: generateKey('ed25519', random),
    agreement: generateKey('x25519', random),
  }
  const pin = String(random.between(1000, 999_999)).padStart(4, '0')
  const memberId = random.bytes(16)
  const issued = issueCard({
    kind: 'ed25519',
    member: { id: memberId, number: `M${index + 1}`, name: stranger ? 'Stranger' : `Member ${index + 1}` },
    level: random.between(1, 3),
    homeRegion: home,
    pin,
    puk: '12345678',
    providerKey: coseKey(publicOf(provider.card)),
    random,
    keys,
    location: true,
  })
  const memory = FragileMemory.load(issued.card.save())
  const card = new VirtualCard(memory, random)
  const { registration } = issued
  const holder = { memberId, card, memory, keys, cardId: registration.card }
  return { person: new Person(world, registration.number, holder, pin, stranger), registration }
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

export function shaOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

export { hex }
