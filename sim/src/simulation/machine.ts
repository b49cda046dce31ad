/** A machine of the site: it is started, killed, loses power, and each time begins with what its media kept. */
import type { SeededRandom } from '../testkit/world/chance.ts'
import { SimFiles } from '../testkit/world/files.ts'
import { Life, type Step } from '../testkit/world/life.ts'
import { nameOf } from './story.ts'
import type { World } from './world.ts'

/** kill: the process dies, its machine does not. power: what was not synced is lost or torn. */
export type Death = 'kill' | 'power'

/** Time from the end of one life to the beginning of the next, when nobody says otherwise. */
const restartMs = [2_000, 40_000] as const

export abstract class Machine {
  readonly name: string
  readonly files: SimFiles
  readonly world: World
  life: Life | undefined
  protected readonly chance: SeededRandom
  #lives = 0

  constructor(world: World, name: string, capacityBytes: number) {
    this.world = world
    this.name = name
    this.chance = world.chance(`${name}/machine`)
    this.files = new SimFiles({ random: world.chance(`${name}/files`), capacityBytes })
  }

  get up(): boolean {
    return this.life?.alive === true
  }

  /** Begins a new life, unless one is under way. */
  start(): void {
    if (this.up || this.world.over) return
    const life = new Life(`${this.name}#${++this.#lives}`)
    this.life = life
    this.world.story.say(this.name, `starts, life ${this.#lives}`)
    const random = this.world.chance(this.name, this.#lives)
    this.boot(life, random).catch((error) => {
      if (!life.alive) return
      this.world.story.say(this.name, `did not start: ${nameOf(error)}`)
      if (!(error instanceof Error && /Problem$/.test(error.name)))
        this.world.violate('bug', `${this.name} did not start: ${error instanceof Error ? error.stack : String(error)}`)
      this.die('kill')
    })
  }

  /** Ends this life in the middle of whatever it does, and begins the next after a while. */
  die(how: Death, restartAfterMs = this.chance.between(...restartMs)): void {
    const life = this.life
    if (!life?.alive) return
    life.end()
    this.world.story.say(this.name, how === 'power' ? 'loses power' : 'is killed')
    if (how === 'power') this.files.powerLoss()
    else this.files.crash()
    this.died(how)
    this.restartAfter(restartAfterMs)
  }

  /** It dies at one of its next steps of a kind: before or after a commit, or at a change of a file. */
  planDeath(how: Death, kind: Step['kind'], stepsFromNow: number): void {
    const life = this.life
    if (!life?.alive) return
    let left = stepsFromNow
    life.onStep = (step) => {
      if (step.kind !== kind || left-- > 0) return
      this.world.story.say(this.name, `in the middle: ${step.kind === 'file' ? step.operation : step.kind}`)
      this.die(how)
    }
  }

  /** Stops as it should. */
  async stop(): Promise<void> {
    const life = this.life
    if (!life?.alive) return
    const late = this.world.clock.timer(120_000, () => {
      if (life.alive) this.world.violate('stop', `${this.name} does not stop within two minutes`)
    })
    await life.run(() => this.halt())
    late.cancel()
    if (!life.alive) return
    life.end()
    this.files.crash()
    this.world.story.say(this.name, 'stopped')
    this.died('kill')
    this.restartAfter(this.chance.between(...restartMs))
  }

  protected restartAfter(ms: number): void {
    this.world.clock.timer(ms, () => this.start())
  }

  protected abstract boot(life: Life, random: SeededRandom): Promise<void>
  /** What a graceful stop does. */
  protected abstract halt(): Promise<void>
  /** What the world notices of the end. */
  protected abstract died(how: Death): void
}
