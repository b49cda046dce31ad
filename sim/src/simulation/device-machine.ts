/** A board of the site with the real runtime on it: camera, printer or terminal, with a card reader. */
import { DirectoryMemory } from '@azukari/boards/directory-memory'
import type { Shown } from '@azukari/device/drivers'
import type { Link } from '@azukari/device/link'
import { type DeviceRole, Runtime } from '@azukari/device/runtime'
import type { Save } from '@azukari/device/saves'
import { offerSave } from '@azukari/protocol/contracts/save'
import { type SimulatedBoard, simulatedBoard } from '../testkit/boards/index.ts'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'
import type { SeededRandom } from '../testkit/world/chance.ts'
import { DeviceMedium } from '../testkit/world/database.ts'
import { SimFiles } from '../testkit/world/files.ts'
import { guarded } from '../testkit/world/guarded-transport.ts'
import { type Life, never } from '../testkit/world/life.ts'
import { type Death, Machine } from './machine.ts'
import type { Person } from './people.ts'
import { CheapCamera } from './photos.ts'
import { siteName } from './site-machine.ts'
import type { World } from './world.ts'

const mebibyte = 1024 * 1024
const memoryFolder = '/memory'

/** Who hears what a device does. */
export interface DeviceWitness {
  shot(device: DeviceMachine, bytes: Uint8Array): void
  saveChanged(device: DeviceMachine, save: Save): Promise<void>
  shown(device: DeviceMachine, shown: Shown): void
  askedPin(device: DeviceMachine): string | undefined
  began(device: DeviceMachine, link: Link): void
}

interface Image {
  files: ReadonlyMap<string, Uint8Array>
  database: Uint8Array
  atMs: number
}

export class DeviceMachine extends Machine {
  readonly role: DeviceRole
  readonly region: string
  readonly database = new DeviceMedium()
  /** The removable memory, which outlasts the system's card. */
  readonly memoryFiles: SimFiles
  readonly #witness: DeviceWitness
  readonly #claim: () => string | undefined
  runtime: Runtime | undefined
  board: SimulatedBoard | undefined
  /** The card in its reader. */
  card: VirtualCard | undefined
  /** Who holds another card against it. */
  beside: Person | undefined
  /** How far its wall clock is off. */
  skewMs = 0
  /** Its id, once it has one. */
  id: string | undefined
  #image: Image | undefined
  /** Acts that a planted mistake takes for sent, even after a restart. */
  readonly #tried = new Set<string>()

  constructor(
    world: World,
    name: string,
    role: DeviceRole,
    region: string,
    claim: () => string | undefined,
    witness: DeviceWitness,
  ) {
    super(world, name, 64 * mebibyte)
    this.role = role
    this.region = region
    this.#claim = claim
    this.#witness = witness
    this.memoryFiles = new SimFiles({ random: world.chance(`${name}/memory`), capacityBytes: 64 * mebibyte })
    this.memoryFiles.restore(new Map([[`${memoryFolder}/here`, new Uint8Array(0)]]))
  }

  insert(card: VirtualCard): void {
    this.card = card
    if (this.up) this.board?.reader.insert(card)
  }

  remove(): void {
    if (!this.card) return
    this.card.powerOff()
    this.card = undefined
    if (this.up) this.board?.reader.remove()
  }

  /** Whether the spool holds an object's data so that a power cut leaves it. */
  holds(object: Uint8Array): boolean {
    return this.memoryFiles.durable(`${memoryFolder}/${Buffer.from(object).toString('hex')}.azx`) !== undefined
  }

  get hasImage(): boolean {
    return this.#image !== undefined
  }

  /** An image of the system's card is made; the removable memory is another. */
  takeImage(): void {
    if (this.id === undefined || !this.database.has('saves')) return
    this.#image = { files: this.files.image(), database: this.database.image(), atMs: this.world.story.atMs }
  }

  /** The power goes and an older image of the system's card is put in. @returns when that image was made; undefined without one */
  async restoreImage(): Promise<number | undefined> {
    const image = this.#image
    if (!image) return undefined
    this.die('power')
    this.files.restore(image.files)
    this.database.restore(image.database)
    this.world.story.say(this.name, 'an old image of its system is put in')
    return image.atMs
  }

  protected async boot(life: Life, random: SeededRandom): Promise<void> {
    const { world } = this
    const clock = life.clock(world.clock, () => this.skewMs)
    const log = world.story.log(
      this.name,
      () => life.alive,
      (what) => world.violate('bug', `${this.name}: ${what}`),
    )
    const board = simulatedBoard({
      clock,
      random,
      reader: { delayMs: 3 },
      panel: { person: () => this.#witness.askedPin(this) },
      ...(this.role === 'printer' ? { printer: { delayMs: 1_500 } } : {}),
    })
    const parts = {
      ...board,
      memory: new DirectoryMemory({ files: life.files(this.memoryFiles), directory: memoryFolder }),
      inputs: {},
      ...(this.role === 'camera'
        ? { camera: new CheapCamera(clock, random.fork(1), (bytes) => this.#witness.shot(this, bytes)) }
        : {}),
    }
    board.display.onShown = (shown) => {
      if (life.alive) this.#witness.shown(this, shown)
    }
    this.board = board
    if (this.card) board.reader.insert(this.card)
    const runtime = new Runtime(
      {
        site: siteName,
        roles: [this.role],
        claim: this.#claim(),
        model: 'sim',
        version: 'sim',
        folder: '/azukari',
        language: 'en',
      },
      {
        clock,
        random,
        files: life.files(this.files),
        database: this.database.open(life),
        transport: guarded(
          world.network.transport(() => life.alive),
          life,
        ),
        log,
      },
      parts,
    )
    this.runtime = runtime
    await life.run(() => runtime.start())
    this.id = runtime.identity.device
    this.#witness.began(this, runtime.link)
    runtime.saves.onChange(async (save) => {
      if (life.alive) await this.#witness.saveChanged(this, save)
    })
    this.#plant(runtime)
  }

  protected async halt(): Promise<void> {
    await this.runtime?.stop()
  }

  protected died(how: Death): void {
    if (how === 'power') this.memoryFiles.powerLoss()
    else this.memoryFiles.crash()
    this.card?.powerOff()
    this.runtime = undefined
    this.board = undefined
    const { id } = this
    if (id === undefined) return
    if (how === 'kill') this.world.network.hangUp(id, 'the process is gone')
    else {
      // Nobody says goodbye: the broker notices when the keepalive runs out.
      const next = this.life
      this.world.clock.timer(45_000, () => {
        if (this.life === next) this.world.network.hangUp(id, 'silent for too long')
      })
    }
  }

  /** Mistakes on purpose. */
  #plant(runtime: Runtime): void {
    const { bug } = this.world
    if (bug === 'puback-is-reply') {
      const send = runtime.link.sendAct.bind(runtime.link)
      runtime.link.sendAct = async (contract, id, ...rest) => {
        if (!runtime.link.up) throw new Error('offline')
        void send(contract, id, ...rest).catch(() => undefined)
        await this.world.clock.sleep(20)
        return { id, body: {} }
      }
    }
    if (bug === 'forget-retry') {
      const send = runtime.link.sendAct.bind(runtime.link)
      runtime.link.sendAct = (contract, id, ...rest) => {
        const name = Buffer.from(id).toString('hex')
        if (this.#tried.has(name)) return never()
        this.#tried.add(name)
        return send(contract, id, ...rest)
      }
    }
    if (bug === 'delete-before-receipt')
      runtime.outbox.onOutcome(offerSave, async ({ id }, outcome) => {
        const [row] = this.database.all<{ object: Uint8Array }>('SELECT object FROM saves WHERE act = ?', id)
        if (!row || outcome.problem) return
        await this.board!.memory.remove(`${Buffer.from(row.object).toString('hex')}.azx`).catch(() => undefined)
        await this.memoryFiles.remove(`${memoryFolder}/${Buffer.from(row.object).toString('hex')}.azx`)
        await this.memoryFiles.syncDirectory(memoryFolder)
        await this.database.open(this.life!).run(`UPDATE saves SET state = 'buffered' WHERE act = ?`, id)
      })
  }
}
