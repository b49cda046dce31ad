/** The gateway of the site, with placement in the same process, on one machine. */

import type { KeyObject } from 'node:crypto'
import type { CardRegistration } from '@azukari/device/applet/issue'
import { createGateway, type Gateway } from '@azukari/gateway/gateway'
import { insideSource } from '@azukari/gateway/key-directory/sources'
import type { Unlisted } from '@azukari/gateway/service/unlisted'
import type { PlacementKeys } from '@azukari/gateway/services/placement/keys/keys'
import { createKeys } from '@azukari/gateway/services/placement/keys/keystore'
import { createPlacement, type Placement } from '@azukari/gateway/services/placement/service'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import type { Random } from '@azukari/protocol/ports'
import type { SeededRandom } from '../testkit/world/chance.ts'
import { DatabaseMedium } from '../testkit/world/database.ts'
import type { Life } from '../testkit/world/life.ts'
import { type Death, Machine } from './machine.ts'
import { type Carrier, type ServerMachine, serverDiskBytes, serverDisks } from './server-machine.ts'
import type { World } from './world.ts'

export const siteName = 'sim'
const mebibyte = 1024 * 1024

export class GatewayMachine extends Machine {
  readonly key: KeyObject
  readonly keys: PlacementKeys
  readonly recoverySecret: string
  readonly database = new DatabaseMedium()
  readonly placementDatabase = new DatabaseMedium()
  readonly #carrier: Carrier
  readonly #servers: readonly ServerMachine[]
  readonly #members: () => readonly CardRegistration[]
  gateway: Gateway | undefined
  placement: Placement | undefined

  constructor(
    world: World,
    carrier: Carrier,
    servers: readonly ServerMachine[],
    members: () => readonly CardRegistration[],
  ) {
    super(world, 'gateway', 512 * mebibyte)
    this.key = generateKey('ed25519', world.chance('gateway/key'))
    const { keys, recoverySecret } = createKeys(world.chance('placement/keys'))
    this.keys = keys
    this.recoverySecret = recoverySecret
    this.#carrier = carrier
    this.#servers = servers
    this.#members = members
    if (world.bug === 'ack-before-commit') this.placementDatabase.lazyMs = 15_000
  }

  protected async boot(life: Life, random: SeededRandom): Promise<void> {
    const { story, network } = this.world
    const clock = life.clock(this.world.clock)
    const log = story.log(
      'gateway',
      () => life.alive,
      (what) => this.world.violate('bug', what),
    )
    const unlisted: Unlisted = ({ id }, { code }) =>
      this.world.violate('bug', `${id} does not list the problem ${code}`)
    const later = (ms: number, work: () => void) => void clock.timer(ms, work)
    this.gateway = await createGateway({
      unlisted,
      site: siteName,
      version: 'sim',
      key: this.key,
      keySources: () => [insideSource('placement', this.placement!.keyPairs)],
      database: this.database.open(life, later),
      files: life.files(this.files),
      bufferDirectory: '/buffer',
      releaseDirectory: '/releases',
      bus: (admit) => network.bus(admit, () => life.alive),
      services: async (bufferFor) => {
        this.placement = await createPlacement({
          unlisted,
          database: this.placementDatabase.open(life, later),
          keys: this.keys,
          buffer: bufferFor('placement'),
          dataServers: { of: ({ id }) => this.#carrier.port(life, id) },
          clock,
          random: this.world.bug === 'reuse-data-key' ? forgetful(random) : random,
          log,
        })
        return [this.placement]
      },
      carryFrame: (server, frame) => this.#carrier.port(life, server).frame(frame),
      clock,
      random,
      log,
      limits: { buffer: { spareBytes: mebibyte } },
    })
    await this.#register(this.placement!)
    await this.gateway.start()
  }

  protected async halt(): Promise<void> {
    await this.gateway?.stop()
  }

  protected died(_how: Death): void {
    this.world.network.lose()
    this.database.crash()
    this.placementDatabase.crash()
    this.gateway = undefined
    this.placement = undefined
  }

  async #register({ registry }: Placement): Promise<void> {
    const known = new Set((await registry.members()).map(({ number }) => number))
    for (const member of this.#members()) if (!known.has(member.number)) await registry.addMember(member)
    for (const { place, identity } of this.#servers)
      await registry.putServer({
        id: place.id,
        name: place.id,
        region: place.region,
        latitude: place.latitude,
        longitude: place.longitude,
        domain: place.id,
        url: `sim:${place.id}`,
        key: coseKey(publicOf(identity)),
        capacityBytes: serverDiskBytes * serverDisks.length,
        rates: [{ peril: 'earthquake', probability: place.quake, vulnerability: 0.5, source: 'made up' }],
      })
  }
}

/** A planted bug: now and then what should be a new key is the last one again. */
function forgetful(random: SeededRandom): Random {
  let last: Uint8Array | undefined
  return {
    float: () => random.float(),
    bytes: (n) => {
      const bytes = random.bytes(n)
      if (n !== 32) return bytes
      if (last && random.chance(0.3)) return Uint8Array.from(last)
      last = Uint8Array.from(bytes)
      return bytes
    },
  }
}
