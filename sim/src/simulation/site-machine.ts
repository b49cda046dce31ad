/** A machine on which processes of the site run: its folder, its databases, and all else that services ask of a machine. */
import { createHash } from 'node:crypto'
import type { MachinePorts } from '@azukari/gateway/host/machine-ports'
import type { OpenService } from '@azukari/gateway/host/service-module'
import type { Unlisted } from '@azukari/gateway/service/unlisted'
import { SiteFolder, type SitePorts } from '@azukari/gateway/site-folder'
import type { ServiceName } from '@azukari/protocol/contract'
import type { Log, Random } from '@azukari/protocol/ports'
import { DatabaseMedium } from '../testkit/world/database.ts'
import type { Life } from '../testkit/world/life.ts'
import type { Internet } from './internet.ts'
import type { Lines } from './lines.ts'
import { type Death, Machine } from './machine.ts'
import type { Carrier } from './server-machine.ts'
import type { World } from './world.ts'

export const siteName = 'sim'
const siteFolder = '/site'
const mebibyte = 1024 * 1024

/** What a process reaches over a network. */
export interface Outside {
  lines: Lines
  carrier: Carrier
  internet: Internet
}

export abstract class SiteMachine extends Machine {
  /** Services that run on it now. */
  readonly services = new Map<ServiceName, OpenService>()
  protected readonly outside: Outside
  readonly #media = new Map<string, DatabaseMedium>()

  constructor(world: World, name: string, outside: Outside) {
    super(world, name, 512 * mebibyte)
    this.outside = outside
  }

  /** What a database of this machine lies on, by its path in the site's folder. */
  medium(path: string): DatabaseMedium {
    const known = this.#media.get(path)
    if (known) return known
    const medium = new DatabaseMedium()
    this.#media.set(path, medium)
    return medium
  }

  /** The site's folder on this machine, and the ports of a process that lives that long. */
  site(life: Life, random: Random): { folder: SiteFolder; ports: SitePorts } {
    const clock = life.clock(this.world.clock)
    const { carrier, internet } = this.outside
    const later = (ms: number, work: () => void) => void clock.timer(ms, work)
    const machine: MachinePorts = {
      openDatabase: (path) => this.medium(path).open(life, later),
      defer: (work) => later(0, work),
      // What it costs to guess a passphrase is none of the simulation's questions.
      passphraseKey: (passphrase, salt) => createHash('sha256').update(passphrase).update(salt).digest(),
      fetch: (request) => internet.fetch(life, request),
      dataServers: async () => ({
        of: ({ id }) => carrier.port(life, id),
        objects: ({ id }) => carrier.objects(life, id),
        close: async () => {},
      }),
      checks: () => undefined,
    }
    const ports: SitePorts = { clock, random, files: life.files(this.files), machine: () => machine }
    return { folder: new SiteFolder(siteFolder, siteName, ports), ports }
  }

  /** With the planted bug what services commit from now on, after their migrations, is on disk only some time later. */
  protected started(): void {
    if (this.world.bug !== 'ack-before-commit') return
    for (const [path, medium] of this.#media) if (path !== 'gateway.db') medium.lazyMs = 15_000
  }

  protected died(_how: Death): void {
    for (const medium of this.#media.values()) medium.crash()
    this.services.clear()
  }

  protected log(name: string, life: Life): Log {
    return this.world.story.log(
      name,
      () => life.alive,
      (what) => this.world.violate('bug', `${name}: ${what}`),
    )
  }

  protected readonly unlisted: Unlisted = ({ id }, { code }) =>
    this.world.violate('bug', `${id} does not list the problem ${code}`)
}
