/** A service of the list in a process of its own, on a machine of its own (ARCHITECTURE §12). */
import { Budgets } from '@azukari/gateway/budgets/budgets'
import { apartHandlers, apartPorts } from '@azukari/gateway/host/run-service'
import type { ServiceModule } from '@azukari/gateway/host/service-module'
import { gatewayName } from '@azukari/gateway/transport/server'
import type { SeededRandom } from '../testkit/world/chance.ts'
import type { Life } from '../testkit/world/life.ts'
import { SiteMachine, siteName } from './site-machine.ts'
import type { SiteServices } from './site-services.ts'

export class ServiceMachine extends SiteMachine {
  readonly module: ServiceModule
  readonly #services: SiteServices
  #stop: (() => Promise<void>) | undefined

  constructor(services: SiteServices, module: ServiceModule) {
    super(services.world, module.name, services.outside)
    this.module = module
    this.#services = services
  }

  protected async boot(life: Life, random: SeededRandom): Promise<void> {
    const { module, outside, unlisted } = this
    const { name } = module
    const log = this.log(name, life)
    const { folder, ports } = this.site(life, random)
    const { opened, close } = await apartPorts(module, {
      processName: name,
      site: siteName,
      folder,
      ports,
      log,
      unlisted,
      budgets: new Budgets(),
      gateway: outside.lines.caller(life, name, gatewayName),
      client: (peer) => (this.#services.isApart(peer) ? outside.lines.caller(life, name, peer) : undefined),
    })
    const open = await module.open(opened)
    await this.#services.opened(module, open)
    await open.service.start()
    this.started()
    this.services.set(name, open)
    outside.lines.listen(
      name,
      life,
      apartHandlers(module, open, {
        clock: ports.clock,
        log,
        list: this.#services.list,
        stores: opened.stores,
      }),
    )
    this.#stop = async () => {
      await open.service.stop()
      await open.close()
      await close()
    }
  }

  protected async halt(): Promise<void> {
    await this.#stop?.()
  }
}
