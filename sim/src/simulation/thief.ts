/**
 * Somebody with a board of the site who asks placement for what is other people's: without a token, with one that is made up,
 * with one that was taken from another board, with one of before. None of it may be answered (docs/decisions/0017).
 */
import type { Link } from '@azukari/device/link'
import { findings } from '@azukari/protocol/contracts/audit'
import { readSettings } from '@azukari/protocol/contracts/member-request'
import { pendingConditions } from '@azukari/protocol/contracts/session'
import { memberTokenLifeMs } from '@azukari/protocol/member-token'
import { isProblem } from '@azukari/protocol/problem'
import type { SeededRandom } from '../testkit/world/chance.ts'
import type { DeviceMachine } from './device-machine.ts'
import type { Site } from './site.ts'
import { nameOf } from './story.ts'

interface Stolen {
  token: Uint8Array
  from: DeviceMachine
  atMs: number
}

const wanted = [pendingConditions, findings, readSettings]
/** Tokens that are remembered: the newest. */
const stolenMax = 16

export class Thief {
  readonly #site: Site
  readonly #chance: SeededRandom
  readonly #stolen: Stolen[] = []

  constructor(site: Site) {
    this.#site = site
    this.#chance = site.world.chance('thief')
  }

  /** Reads along what a board sends, before it is sealed. */
  listen(device: DeviceMachine, link: Link): void {
    const call = link.call.bind(link)
    link.call = (contract, body, options = {}) => {
      if (options.token) {
        this.#stolen.push({ token: options.token, from: device, atMs: this.#site.world.clock.now() })
        if (this.#stolen.length > stolenMax) this.#stolen.shift()
      }
      return call(contract, body, options)
    }
  }

  async run(): Promise<void> {
    const { world, devices } = this.#site
    while (!world.calm) {
      await world.clock.sleep(this.#chance.between(60_000, 300_000))
      const up = devices.filter((device) => device.runtime?.link.up)
      if (up.length > 0 && !world.calm) await this.#steal(this.#chance.pick(up))
    }
  }

  async #steal(device: DeviceMachine): Promise<void> {
    const { world } = this.#site
    const { life, runtime } = device
    if (!life?.alive || !runtime) return
    const [how, token] = this.#tokenFor(device)
    const contract = this.#chance.pick(wanted)
    const asked = runtime.link.call(contract, {}, token ? { token } : {}).then(
      () => world.violate('I10', `${device.name} got ${contract.id} with ${how}`),
      (error) => {
        if (!isProblem(error)) throw error
        world.story.say('thief', `asks for ${contract.id} at ${device.name} with ${how}: ${nameOf(error)}`)
      },
    )
    await Promise.race([life.run(() => asked), life.ended])
  }

  #tokenFor(device: DeviceMachine): [how: string, token: Uint8Array | undefined] {
    const { world } = this.#site
    const elsewhere = this.#stolen.filter(({ from }) => from !== device)
    const over = this.#stolen.filter(({ atMs }) => world.clock.now() - atMs > 2 * memberTokenLifeMs)
    const kind = this.#chance.between(0, 3)
    world.count('token.stolen')
    if (kind === 0) return ['no token', undefined]
    if (kind === 1 && elsewhere.length > 0) return ['another board’s token', this.#chance.pick(elsewhere).token]
    if (kind === 2 && over.length > 0) return ['a token of before', this.#chance.pick(over).token]
    return ['a token that it made up', this.#chance.bytes(120)]
  }
}
