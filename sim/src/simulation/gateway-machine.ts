/** The gateway of the site, with those services of the list in its process that do not run apart, on one machine. */

import type { KeyObject } from 'node:crypto'
import { Stores } from '@azukari/gateway/adapters/stores'
import { Budgets } from '@azukari/gateway/budgets/budgets'
import { createGateway, type Gateway } from '@azukari/gateway/gateway'
import { Peers } from '@azukari/gateway/host/apart'
import type { OpenService, ServiceModule } from '@azukari/gateway/host/service-module'
import { followHandlers } from '@azukari/gateway/key-directory/follower'
import type { KeySource } from '@azukari/gateway/key-directory/issuer'
import { apartSource, insideSource } from '@azukari/gateway/key-directory/sources'
import { memberCheck } from '@azukari/gateway/service/member-tokens'
import { remoteService } from '@azukari/gateway/service/remote'
import type { ReceiveBuffer, Service } from '@azukari/gateway/service/service'
import { bufferHandlers } from '@azukari/gateway/transfer/remote-buffer'
import { gatewayName } from '@azukari/gateway/transport/server'
import type { ServiceName } from '@azukari/protocol/contract'
import { proveSession } from '@azukari/protocol/contracts/session'
import { signersAt } from '@azukari/protocol/key-directory'
import { generateKey } from '@azukari/protocol/keys'
import type { Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { SeededRandom } from '../testkit/world/chance.ts'
import type { Life } from '../testkit/world/life.ts'
import type { Death } from './machine.ts'
import { SiteMachine, siteName } from './site-machine.ts'
import type { SiteServices } from './site-services.ts'

const mebibyte = 1024 * 1024

export class GatewayMachine extends SiteMachine {
  readonly key: KeyObject
  readonly #services: SiteServices
  gateway: Gateway | undefined

  constructor(services: SiteServices) {
    super(services.world, gatewayName, services.outside)
    this.key = generateKey('ed25519', this.world.chance('gateway/key'))
    this.#services = services
  }

  protected async boot(life: Life, random: SeededRandom): Promise<void> {
    const { network } = this.world
    const { lines, carrier } = this.outside
    const { list, isApart } = layout(this.#services)
    const { unlisted } = this
    const log = this.log(gatewayName, life)
    const { folder, ports } = this.site(life, random)
    const { clock } = ports
    const budgets = new Budgets()
    const inside = new Map<ServiceName, OpenService>()
    const keySources: KeySource[] = []
    const callerOf = (name: ServiceName) => lines.caller(life, gatewayName, name)
    const peers = new Peers({
      client: (name) => (isApart(name) ? callerOf(name) : undefined),
      clock,
      log,
      inside: (name) => inside.get(name),
    })
    const directory = () => {
      if (!this.gateway) throw new Problem('keys.missing', 'not while services are being opened')
      return this.gateway.directory.directory
    }
    const open = async (module: ServiceModule, buffer: ReceiveBuffer): Promise<Service> => {
      const { name } = module
      if (isApart(name)) {
        const client = callerOf(name)
        keySources.push(apartSource(name, client, await module.firstKeys?.(folder)))
        return remoteService({ name, client, clock, log })
      }
      const opened = await module.open({
        folder,
        stores: Stores.for(folder, ports),
        passphrase: undefined,
        budgets,
        unlisted,
        buffer,
        ports: this.world.bug === 'reuse-data-key' ? { ...ports, random: forgetful(random) } : ports,
        log: this.log(name, life),
        members: memberCheck((kid) => signersAt(directory(), proveSession.service, clock.now())(kid)),
        call: peers.callOf(name, (await module.calls?.()) ?? []),
        peers: (other) => peers.reach(other),
        signers: (service, atMs) => signersAt(directory(), service, atMs),
      })
      inside.set(name, opened)
      this.services.set(name, opened)
      if (opened.keys) keySources.push(insideSource(name, opened.keys))
      await this.#services.opened(module, opened)
      return opened.service
    }
    this.gateway = await createGateway({
      site: siteName,
      version: 'sim',
      key: this.key,
      keySources: () => keySources,
      unlisted,
      log,
      database: this.medium('gateway.db').open(life, (ms, work) => void clock.timer(ms, work)),
      bufferDirectory: '/buffer',
      releaseDirectory: '/releases',
      bus: (admit) => network.bus(admit, () => life.alive),
      services: async (bufferFor) => {
        const services: Service[] = []
        for (const module of list) services.push(await open(module, bufferFor(module.name)))
        return services
      },
      carryFrame: async (server, frame) => {
        for (const opened of inside.values()) await opened.mayCarry?.(server)
        return carrier.port(life, server).frame(frame)
      },
      ...ports,
      limits: { buffer: { spareBytes: mebibyte } },
      contracts: (await Promise.all(list.map((module) => module.contracts?.() ?? []))).flat(),
      budgets,
    })
    const { gateway } = this
    const away = list.filter(({ name }) => isApart(name))
    lines.listen(gatewayName, life, [
      ...bufferHandlers(
        away.filter(({ readsBuffer }) => readsBuffer).map(({ name }) => name),
        (service) => gateway.bufferFor(service),
      ),
      ...followHandlers(
        away.map(({ name }) => name),
        gateway.directory,
      ),
    ])
    await gateway.start()
    this.started()
  }

  protected async halt(): Promise<void> {
    await this.gateway?.stop()
    for (const open of this.services.values()) await open.close()
  }

  protected override died(how: Death): void {
    super.died(how)
    this.world.network.lose()
    this.gateway = undefined
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

function layout(services: SiteServices) {
  return { list: services.list, isApart: (name: ServiceName) => services.isApart(name) }
}
