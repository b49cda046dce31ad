/** Clumsy people: they put cards in, take pictures, print, mistype, pull the card out in the middle, and come back. */
import type { KeyObject } from 'node:crypto'
import type { CardMemory } from '@azukari/device/applet/memory'
import { hex } from '@azukari/protocol/bytes'
import type { CardKeyName } from '@azukari/protocol/card/layout'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'
import type { SeededRandom } from '../testkit/world/chance.ts'
import type { DeviceMachine } from './device-machine.ts'
import type { Wallet } from './money/wallet.ts'
import type { Site } from './site.ts'
import { nameOf } from './story.ts'
import type { World } from './world.ts'

/** A person gives up waiting for the machine after this. */
const patienceMs = 90_000

export class Person {
  readonly name: string
  readonly memberId: Uint8Array
  readonly card: VirtualCard
  /** What is on the card, for the checks of the simulation only. */
  readonly memory: CardMemory
  readonly keys: Record<CardKeyName, KeyObject>
  readonly stranger: boolean
  /** Thumbprint of the card's key, by which registers know it. */
  readonly cardId: Uint8Array
  /** What this person does with money, at terminals. */
  wallet: Wallet | undefined
  /** Where the card is in. */
  at: DeviceMachine | undefined
  /** SHA-256 of the picture that is being printed for this person, in hex. */
  printing: string | undefined
  readonly #world: World
  readonly #pin: string
  readonly #chance: SeededRandom

  constructor(
    world: World,
    name: string,
    holder: Pick<Person, 'memberId' | 'card' | 'memory' | 'keys' | 'cardId'>,
    pin: string,
    stranger: boolean,
  ) {
    this.#world = world
    this.name = name
    this.memberId = holder.memberId
    this.card = holder.card
    this.memory = holder.memory
    this.keys = holder.keys
    this.cardId = holder.cardId
    this.stranger = stranger
    this.#pin = pin
    this.#chance = world.chance(`${name}/habits`)
  }

  /** Mistypes now and then, more carefully when the card is nearly blocked. */
  typePin(): string | undefined {
    const wrong = this.#chance.chance(this.triesLeft > 1 ? 0.08 : 0.02)
    if (this.#chance.chance(0.03)) return undefined
    if (!wrong || this.#world.calm) return this.#pin
    this.#world.count('pin.wrong')
    return '0000'
  }

  get triesLeft(): number {
    return this.memory.triesLeft('pin')
  }

  /** Goes about until things are calm. @param pauseMs mean time between visits */
  async live(site: Site, pauseMs: number): Promise<void> {
    const { clock } = this.#world
    while (!this.#world.calm) {
      await clock.sleep(-Math.log(1 - this.#chance.float()) * pauseMs)
      if (this.#world.calm) return
      const free = site.devices.filter((device) => device.up && device.card === undefined)
      // Whoever has to do with money goes to a terminal more often, and to the own one.
      const terminals = free.filter((device) => device.role === 'terminal' && (this.wallet?.home ?? device) === device)
      const some = terminals.length > 0 && this.#chance.chance(0.5) ? terminals : free
      if (some.length > 0) await this.visit(site, this.#chance.pick(some))
    }
  }

  async visit(site: Site, device: DeviceMachine): Promise<void> {
    const { clock } = this.#world
    this.#say(`puts the card into ${device.name}`)
    this.at = device
    device.insert(this.card)
    const mishap = this.#planMishap(site, device)
    await clock.sleep(this.#chance.between(500, 6_000))
    if (device.role === 'camera') await this.#takePictures(device)
    else if (device.role === 'printer') await this.#print(site, device)
    else await this.#look(device)
    if (this.#chance.chance(0.5)) await clock.sleep(this.#chance.between(5_000, 90_000))
    mishap()
    this.leave()
  }

  /** Only to let the card be brought up to date. */
  async wait(device: DeviceMachine, ms: number): Promise<void> {
    this.#say(`leaves the card in ${device.name} for a while`)
    this.at = device
    device.insert(this.card)
    await this.#world.clock.sleep(ms)
    this.leave()
  }

  leave(): void {
    const device = this.at
    if (!device) return
    this.#say(`takes the card out of ${device.name}`)
    device.remove()
    this.at = undefined
    this.printing = undefined
  }

  async #takePictures(device: DeviceMachine): Promise<void> {
    for (let left = this.#chance.between(1, 3); left > 0 && this.at === device; left--) {
      await this.#patiently('picture', async () => {
        await device.runtime?.camera?.shutter()
      })
      await this.#world.clock.sleep(this.#chance.between(500, 15_000))
    }
  }

  async #print(site: Site, device: DeviceMachine): Promise<void> {
    await this.#patiently('print', async () => {
      const printer = device.runtime?.printer
      const shelf = (await printer?.list()) ?? []
      if (!printer || shelf.length === 0) return
      const chosen = this.#chance.pick(shelf)
      this.printing = hex(chosen.sha256)
      if (!site.shots.has(this.printing)) this.#world.violate('I6', 'the card names a picture that was never taken')
      await printer.print(chosen.object, this.#chance.chance(0.3) ? { order: [2, 1] } : {})
    })
  }

  async #look(device: DeviceMachine): Promise<void> {
    await this.#patiently('look', async () => {
      device.runtime?.terminal?.whoAmI()
      await device.runtime?.terminal?.whatDoIHave()
    })
    await this.#patiently('money', async () => this.wallet?.visit(device))
  }

  async #patiently(what: string, work: () => Promise<void>): Promise<void> {
    const { clock } = this.#world
    const tooLong = clock.sleep(patienceMs).then(() => 'takes too long')
    const outcome = await Promise.race([
      work().then(
        () => 'done',
        (error) => nameOf(error),
      ),
      tooLong,
    ])
    this.#say(`${what}: ${outcome}`)
    if (/^(TypeError|RangeError|Error|InternalError|ReferenceError)\b/.test(outcome))
      this.#world.violate('bug', `${this.name}, ${what}: ${outcome}`)
  }

  /** Perhaps the card is pulled out, or loses contact, at some moment of the visit; or another one is held against the reader. */
  #planMishap(site: Site, device: DeviceMachine): () => void {
    const { clock } = this.#world
    if (this.#world.calm || !this.#chance.chance(0.25)) return () => {}
    const timer = clock.timer(this.#chance.between(1, 12_000), () => {
      if (this.at !== device) return
      const kind = this.#chance.between(0, 3)
      if (kind === 0) {
        this.#world.count('card.pulled')
        this.leave()
      } else if (kind === 3) {
        const other = site.people.find((person) => person !== this && person.at === undefined)
        if (!other || !device.board) return
        this.#world.count('card.two')
        const { reader } = device.board
        device.beside = other
        reader.insert(other.card, 'contactless')
        clock.timer(this.#chance.between(100, 4_000), () => {
          reader.remove('contactless')
          device.beside = undefined
        })
      } else {
        this.#world.count('card.torn')
        const writtenBytes = this.#chance.between(0, 3_000)
        this.#say(`loses contact after ${writtenBytes} written bytes`)
        this.card.cutPower(
          kind === 1
            ? { writtenBytes }
            : { command: { index: this.#chance.between(0, 30), when: this.#chance.pick(['before', 'after']) } },
        )
      }
    })
    return () => timer.cancel()
  }

  #say(what: string): void {
    this.#world.story.say(this.name, what)
  }
}
