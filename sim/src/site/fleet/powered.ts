/** Machines that upgrade themselves while their power goes (D6): a disk, and one life after another on it. */
import { createHash, type KeyObject } from 'node:crypto'
import { publicOf } from '@azukari/protocol/keys'
import { isProblem } from '@azukari/protocol/problem'
import { type BundleSource, stage } from '@azukari/protocol/upgrade/bundle'
import type { UpgradeManifest } from '@azukari/protocol/upgrade/manifest'
import type { SlotStore } from '@azukari/protocol/upgrade/slot-store'
import type { SeededRandom } from '../../testkit/world/chance.ts'
import { SimClock } from '../../testkit/world/clock.ts'
import { SimFiles } from '../../testkit/world/files.ts'
import { Life } from '../../testkit/world/life.ts'

export const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

/** How long a version may take to prove that it works. */
export const healthMs = 120_000

/** A bundle of files; a change to `contents` after it was signed is damage. */
export function bundleFrom(
  contents: ReadonlyMap<string, Uint8Array>,
  sign: (files: UpgradeManifest['files']) => Uint8Array,
): BundleSource {
  const files = [...contents].map(([path, bytes]) => {
    const hash = new Uint8Array(createHash('sha256').update(bytes).digest())
    return { path, bytes: bytes.length, hash }
  })
  const signed = sign(files)
  return {
    manifest: async () => signed,
    read: async (path, at, length) => contents.get(path)!.slice(at, at + length),
  }
}

export abstract class Powered<Version> {
  readonly random: SeededRandom
  readonly disk: SimFiles
  readonly clock = new SimClock()
  /** Signs its releases. */
  readonly key: KeyObject
  /** What runs and works. */
  running: Version | undefined
  /** Problems that its software met. */
  readonly met: string[] = []
  cuts = 0
  /** A bundle that is there to be taken. */
  offer: BundleSource | undefined
  #life = new Life('none')

  constructor(random: SeededRandom, key: KeyObject) {
    this.random = random
    this.key = key
    this.disk = new SimFiles({ random: random.fork(1) })
    this.#life.end()
  }

  get alive(): boolean {
    return this.#life.alive
  }

  /** Power on; after `steps` changes to the disk it goes off again. */
  on(steps = Number.POSITIVE_INFINITY): void {
    const life = new Life('machine')
    this.#life = life
    let left = steps
    life.onStep = () => {
      if (left-- <= 0) this.off()
    }
    this.boot(life)
  }

  /** Starts its launcher. */
  protected abstract boot(life: Life): void

  off(): void {
    if (!this.#life.alive) return
    this.#life.end()
    this.disk.powerLoss()
    this.running = undefined
    this.cuts++
  }

  /** Installs what is offered, if anything. @returns whether it is to start anew with it */
  protected async takeOffer(store: SlotStore, version: string): Promise<boolean> {
    const { offer } = this
    this.offer = undefined
    if (!offer) return false
    try {
      await stage({ store, source: offer, installed: { site: 'tokyo', version }, releaseKey: publicOf(this.key) })
      await store.step({ kind: 'activate' })
      return true
    } catch (error) {
      if (!isProblem(error)) throw error
      this.met.push(error.code)
      return false
    }
  }
}
