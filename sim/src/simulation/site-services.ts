/**
 * The services of the simulated site, as the gateway's list has them: which run inside the gateway and which on machines of
 * their own follows from the list and the seed. Nothing here names a service.
 */
import type { OpenService, ServiceModule } from '@azukari/gateway/host/service-module'
import { siteKeyFile } from '@azukari/gateway/site-folder'
import type { ServiceName } from '@azukari/protocol/contract'
import { coseKey, publicOf } from '@azukari/protocol/keys'
import type { DatabaseMedium } from '../testkit/world/database.ts'
import { Life } from '../testkit/world/life.ts'
import { GatewayMachine } from './gateway-machine.ts'
import { ServiceMachine } from './service-machine.ts'
import type { Outside, SiteMachine } from './site-machine.ts'
import type { World } from './world.ts'

/** Hears of a service that has been opened and has not begun. */
export type Opened = (module: ServiceModule, open: OpenService) => Promise<void>

export class SiteServices {
  readonly world: World
  readonly outside: Outside
  readonly list: readonly ServiceModule[]
  readonly gateway: GatewayMachine
  readonly machines: readonly ServiceMachine[]
  readonly #apart: ReadonlySet<ServiceName>
  readonly #hear = new Set<Opened>()

  constructor(world: World, list: readonly ServiceModule[], outside: Outside) {
    this.world = world
    this.list = list
    this.outside = outside
    this.#apart = someApart(list, world)
    this.gateway = new GatewayMachine(this)
    this.machines = list.filter(({ name }) => this.isApart(name)).map((module) => new ServiceMachine(this, module))
  }

  isApart(name: ServiceName): boolean {
    return this.#apart.has(name)
  }

  /** The machine on which a service runs. */
  machineOf(name: ServiceName): SiteMachine {
    return this.machines.find(({ module }) => module.name === name) ?? this.gateway
  }

  /** A service, where it runs; undefined while it does not. */
  open<Open extends OpenService>(module: ServiceModule<Open>): Open | undefined {
    const machine = this.machineOf(module.name)
    return machine.up ? (machine.services.get(module.name) as Open | undefined) : undefined
  }

  /** What a service's first database lies on. */
  database({ name, databases: [path] }: ServiceModule): DatabaseMedium {
    if (path === undefined) throw new Error(`${name} has no database`)
    return this.machineOf(name).medium(path)
  }

  onOpened(hear: Opened): void {
    this.#hear.add(hear)
  }

  async opened(module: ServiceModule, open: OpenService): Promise<void> {
    for (const hear of this.#hear) await hear(module, open)
  }

  /** What the operator does before anything runs: files of the site's folder, the same on each machine, and new keys. */
  async init(files: Readonly<Record<string, Uint8Array>>): Promise<ReadonlyMap<string, string>> {
    const life = new Life('init')
    const secrets = new Map<string, string>()
    const all = [this.gateway, ...this.machines]
    const { world } = this
    const shared = { ...files, [siteKeyFile]: coseKey(publicOf(this.gateway.key)) }
    for (const machine of all) {
      const { folder } = machine.site(life, world.chance('init/files'))
      for (const [name, bytes] of Object.entries(shared)) await folder.write(name, bytes)
    }
    for (const module of this.list) {
      const { folder, ports } = this.machineOf(module.name).site(life, world.chance(`init/${module.name}`))
      await folder.makeFoldersOf(module.databases)
      for (const { key, secret } of (await module.init?.(folder, ports, undefined)) ?? []) secrets.set(key, secret)
      for (const name of module.files ?? []) {
        const bytes = await folder.read(name)
        if (bytes)
          for (const machine of all) await machine.site(life, world.chance('init/files')).folder.write(name, bytes)
      }
    }
    life.end()
    return secrets
  }
}

/** One in four of the services runs apart, and with it those that it asks: they must be reached from where it is. */
function someApart(list: readonly ServiceModule[], world: World): ReadonlySet<ServiceName> {
  const chance = world.chance('layout')
  const apart = new Set<ServiceName>()
  const move = (name: ServiceName) => {
    if (apart.has(name)) return
    apart.add(name)
    for (const peer of list.find((module) => module.name === name)?.peers ?? []) move(peer)
  }
  for (const { name } of list) if (chance.chance(0.25)) move(name)
  return apart
}
