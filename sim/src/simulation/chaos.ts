/** What goes wrong, when, and for how long: drawn from the seed, each by its kind, and all of it undone when calm comes. */
import { filesIn, parseReplicaName } from '@azukari/gateway/data-server/layout'
import { emptyBulletin, type Hazard } from '@azukari/gateway/services/placement/hazards/hazard'
import { calmLine } from '../testkit/network/faults.ts'
import type { SeededRandom } from '../testkit/world/chance.ts'
import type { Step } from '../testkit/world/life.ts'
import type { DeviceMachine } from './device-machine.ts'
import type { Death, Machine } from './machine.ts'
import { letBackIn } from './operator.ts'
import { goodLine, type ServerMachine, serverDisks } from './server-machine.ts'
import type { Site } from './site.ts'
import { SiteMachine } from './site-machine.ts'
import type { World } from './world.ts'

const minuteMs = 60_000
/** Data servers that disasters take in one run, at most. */
const maxDestroyed = 2

export class Chaos {
  readonly #site: Site
  readonly #world: World
  readonly #chance: SeededRandom
  /** Transfers that rotted already: a second time would look like a device that encrypts wrongly. */
  readonly #rotten = new Set<string>()
  readonly #undo = new Set<() => void>()
  #storms = 0

  constructor(site: Site) {
    this.#site = site
    this.#world = site.world
    this.#chance = site.world.chance('chaos')
  }

  /** @param everyMs mean time between faults */
  async run(everyMs: number): Promise<void> {
    const { clock } = this.#world
    while (!this.#world.calm) {
      await clock.sleep(-Math.log(1 - this.#chance.float()) * everyMs)
      await letBackIn(this.#site)
      if (!this.#world.calm) this.#strike()
    }
  }

  /** All faults end, and what is down comes up. */
  end(): void {
    for (const undo of [...this.#undo]) undo()
    this.#world.network.joinAll()
    this.#world.network.faults = calmLine
    this.#site.carrier.line = goodLine
    this.#site.lines.line = goodLine
    for (const machine of this.#machines) {
      if (machine.life) machine.life.onStep = undefined
      machine.start()
    }
  }

  get #machines(): Machine[] {
    return [this.#site.gateway, ...this.#site.services.machines, ...this.#site.servers.values(), ...this.#site.devices]
  }

  #strike(): void {
    const chance = this.#chance
    const kinds: [weight: number, strike: () => void][] = [
      [14, () => this.#die(chance.pick(this.#site.devices), 'device')],
      [7, () => this.#die(this.#site.gateway, 'gateway')],
      [this.#apart.length > 0 ? 7 : 0, () => this.#die(chance.pick(this.#apart), 'service')],
      [this.#apart.length > 0 ? 6 : 0, () => this.#badProcessLine()],
      [8, () => this.#die(chance.pick(this.#servers), 'server')],
      [6, () => this.#stop(chance.pick([this.#site.gateway, ...this.#apart, ...this.#site.devices, ...this.#servers]))],
      [10, () => this.#badLine()],
      [10, () => this.#cut(chance.pick(this.#site.devices))],
      [6, () => this.#badServerLine()],
      [6, () => this.#unreachable(chance.pick(this.#servers))],
      [5, () => this.#rot(chance.pick(this.#servers))],
      [6, () => void this.#site.harms.strike(chance)],
      [2, () => this.#rotBuffer()],
      [3, () => this.#fullDisk(chance.pick([this.#site.gateway, ...this.#apart, ...this.#servers]))],
      [2, () => this.#fullMemory(chance.pick(this.#site.devices))],
      [3, () => this.#impostor(chance.pick(this.#servers))],
      [2, () => this.#wrongClock(chance.pick(this.#site.devices))],
      [4, () => this.#image()],
      [4, () => this.#storm()],
    ]
    let at = chance.float() * kinds.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, strike] of kinds) {
      at -= weight
      if (at < 0) return strike()
    }
  }

  get #apart(): readonly Machine[] {
    return this.#site.services.machines
  }

  get #servers(): ServerMachine[] {
    return [...this.#site.servers.values()]
  }

  /** At once, or in the middle of a commit or of writing files. */
  async #die(machine: Machine, who: string): Promise<void> {
    const how: Death = this.#chance.chance(0.5) ? 'kill' : 'power'
    // Data servers have files alone.
    const moments = ['now', 'file', ...(who === 'server' ? [] : ['before-commit', 'after-commit'])] as const
    const when = this.#chance.pick<Step['kind'] | 'now'>(moments as readonly (Step['kind'] | 'now')[])
    this.#world.count(`${who}.${how}${when === 'now' ? '' : `.${when}`}`)
    if (when === 'now') machine.die(how)
    else machine.planDeath(how, when, this.#chance.between(0, 14))
  }

  #stop(machine: Machine): void {
    if (!machine.up) return
    this.#world.count('stop')
    this.#world.story.say('operator', `stops ${machine.name}`)
    void machine.stop()
  }

  #badLine(): void {
    const chance = this.#chance
    const faults = {
      drop: chance.chance(0.5) ? chance.float() * 0.2 : 0,
      duplicate: chance.chance(0.5) ? chance.float() * 0.2 : 0,
      reorder: chance.chance(0.5) ? chance.float() * 0.2 : 0,
      delayMs: [2, chance.pick([20, 400, 5_000])] as const,
    }
    this.#world.count('network.bad')
    this.#world.network.faults = faults
    this.#for('network', 'carries badly', [1, 10], () => {
      this.#world.network.faults = calmLine
    })
  }

  #cut(device: DeviceMachine): void {
    const { id } = device
    if (id === undefined) return
    this.#world.count('network.cut')
    this.#world.network.cut(id)
    this.#for(device.name, 'is cut off', [0.05, 15], () => this.#world.network.join(id))
  }

  #badServerLine(): void {
    const chance = this.#chance
    this.#world.count('servers.bad-line')
    this.#site.carrier.line = {
      delayMs: [1, chance.pick([50, 2_000])],
      lostReply: chance.float() * 0.3,
      breaks: chance.float() * 0.1,
    }
    this.#for('servers', 'are reached badly', [1, 10], () => {
      this.#site.carrier.line = goodLine
    })
  }

  #badProcessLine(): void {
    const chance = this.#chance
    this.#world.count('processes.bad-line')
    this.#site.lines.line = {
      delayMs: [1, chance.pick([50, 2_000])],
      lostReply: chance.float() * 0.3,
      breaks: 0,
    }
    this.#for('processes', 'reach each other badly', [1, 10], () => {
      this.#site.lines.line = goodLine
    })
  }

  #unreachable(server: ServerMachine): void {
    this.#world.count('server.unreachable')
    server.unreachable = true
    this.#for(server.name, 'is unreachable', [0.2, 20], () => {
      server.unreachable = false
    })
  }

  /** One bit of a replica turns over: within what parity restores. */
  #rot(server: ServerMachine): void {
    const { files } = server
    const folders = new Set<string>()
    for (const disk of serverDisks)
      for (const path of files.paths(`${disk}/replicas`)) {
        const folder = path.slice(0, path.lastIndexOf('/'))
        if (
          parseReplicaName(folder.slice(folder.lastIndexOf('/') + 1)) &&
          !this.#site.harms.mayNotRot(server.name, folder)
        )
          folders.add(folder)
      }
    if (folders.size === 0) return
    const folder = this.#chance.pick([...folders])
    this.#site.harms.noteRot(server.name, folder)
    const { segments, head, parity } = filesIn(folder)
    const path = this.#chance.pick([segments, segments, head, parity].filter((candidate) => files.durable(candidate)))
    if (path === undefined) return
    this.#world.count('server.rot')
    this.#world.story.say(server.name, `a bit of ${path} turns over`)
    files.rot(path)
  }

  /** What waits in the receive buffer rots: only the device can send it again. */
  #rotBuffer(looks = 600): void {
    const { files } = this.#site.gateway
    const path = files
      .paths('/buffer')
      .find((name) => name.endsWith('.blocks') && !this.#rotten.has(name) && files.durable(name)?.length)
    if (path === undefined) {
      // Mostly nothing lies there for long: wait until something does.
      if (looks > 0 && !this.#world.calm) this.#world.clock.timer(250, () => this.#rotBuffer(looks - 1))
      return
    }
    this.#world.count('gateway.rot')
    this.#rotten.add(path)
    this.#world.story.say('gateway', `a bit of ${path} turns over`)
    files.rot(path)
  }

  #fullDisk(machine: Machine): void {
    const { files } = machine
    const before = files.capacityBytes
    if (before <= files.usedBytes + 3_000) return
    this.#world.count(machine instanceof SiteMachine ? 'gateway.full' : 'server.full')
    files.capacityBytes = files.usedBytes + this.#chance.between(0, 3_000)
    this.#for(machine.name, 'has a full disk', [1, 15], () => {
      files.capacityBytes = before
    })
  }

  #fullMemory(device: DeviceMachine): void {
    const files = device.memoryFiles
    const before = files.capacityBytes
    if (before <= files.usedBytes + 3_000) return
    this.#world.count('device.memory-full')
    files.capacityBytes = files.usedBytes + this.#chance.between(0, 3_000)
    this.#for(device.name, 'has full memory', [1, 15], () => {
      files.capacityBytes = before
    })
  }

  #impostor(server: ServerMachine): void {
    this.#world.count('server.impostor')
    void server.impersonate(true)
    this.#for(server.name, 'is an impostor', [1, 15], () => void server.impersonate(false))
  }

  /** A board without a clock battery starts in the past, until the network tells it the time. */
  async #wrongClock(device: DeviceMachine): Promise<void> {
    this.#world.count('device.clock')
    // A minute off is nothing unusual; hours and years are a board without a battery after a power cut.
    device.skewMs = this.#chance.pick([-60_000, 60_000, -3_600_000, -40 * 86_400_000, -26 * 365 * 86_400_000])
    if (Math.abs(device.skewMs) > 60_000) device.die('power', 3_000)
    this.#for(device.name, 'has a wrong clock', [1, 20], () => {
      device.skewMs = 0
    })
  }

  /** A storm is announced; it passes by, is taken back, or takes the data servers in its way. */
  async #storm(): Promise<void> {
    const chance = this.#chance
    const { clock, story } = this.#world
    const target = chance.pick(this.#servers.filter(({ gone }) => !gone))
    const { latitude, longitude } = target.place
    const leadMs = chance.between(10, 60) * minuteMs
    const storm = {
      id: `storm-${++this.#storms}`,
      peril: 'storm' as const,
      title: `Storm ${this.#storms}`,
      certainty: chance.pick([0.3, 0.8, 1]),
      issuedMs: clock.now(),
      fromMs: clock.now() + leadMs,
      untilMs: clock.now() + leadMs + 180 * minuteMs,
      shape: { kind: 'area' as const, severity: 'extreme' as const, circles: [{ latitude, longitude, radiusKm: 150 }] },
    }
    if (!(await this.#tell({ hazards: [storm] }))) return
    this.#world.count('hazard')
    story.say(target.name, `storm ${this.#storms} is to arrive in ${leadMs / minuteMs} minutes`)
    const end = chance.float()
    if (end < 0.4) {
      clock.timer(leadMs / 2, async () => {
        if (await this.#tell({ cancelled: [{ id: storm.id, atMs: clock.now() }] }))
          this.#world.count('hazard.cancelled')
      })
    } else if (end < 0.8)
      clock.timer(leadMs, async () => {
        if (!this.#world.calm) await this.#destroy(target)
      })
  }

  /** What a feed says, when somebody is there to hear it. */
  async #tell(news: { hazards?: Hazard[]; cancelled?: { id: string; atMs: number }[] }): Promise<boolean> {
    const { placement } = this.#site
    if (!placement) return false
    await placement.risks.take('sim', { ...emptyBulletin(), ...news })
    return true
  }

  /** For good, with all that lay there: spared only where an object would lose its last place. */
  async #destroy(server: ServerMachine): Promise<void> {
    const gone = this.#servers.filter((each) => each.gone)
    if (gone.length >= maxDestroyed || server.gone) return
    const { left, alone } = await this.#site.lyingAt([...gone, server])
    const spared = alone > 0 || (await this.#site.harms.lastGoodOn([...gone, server]))
    this.#world.count(spared ? 'server.spared' : 'server.destroyed')
    if (spared) return
    this.#world.story.say(server.name, `is destroyed; ${left} replicas had not left`)
    if (left > 0) this.#world.count('replica.destroyed', left)
    server.destroy()
  }

  async #image(): Promise<void> {
    const withImage = this.#site.devices.filter((device) => device.hasImage)
    if (withImage.length === 0 || this.#chance.chance(0.3)) return this.#chance.pick(this.#site.devices).takeImage()
    const device = this.#chance.pick(withImage)
    const imageAtMs = (await device.restoreImage())!
    this.#world.count('device.old-image')
    await this.#site.lostWithImage(device, imageAtMs)
  }

  /** A fault that lasts some minutes, or until calm. */
  #for(who: string, what: string, minutes: readonly [number, number], undo: () => void): void {
    const ms = Math.round((minutes[0] + this.#chance.float() * (minutes[1] - minutes[0])) * minuteMs)
    this.#world.story.say(who, `${what} for ${Math.round(ms / 1000)} s`)
    const end = () => {
      if (!this.#undo.delete(end)) return
      undo()
      this.#world.story.say(who, `no longer ${what}`)
    }
    this.#undo.add(end)
    this.#world.clock.timer(ms, end)
  }
}
