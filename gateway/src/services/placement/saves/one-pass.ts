/**
 * Seals one content for several servers while it is sent, in one pass: read once, decrypted once, checked once, sealed
 * for each lane in lockstep. A lane that fails is left; the others go on. Memory: a few segments per lane.
 */
import { createHash } from 'node:crypto'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Sealer } from '@azukari/protocol/sealed'
import type { Content } from './sealing.ts'

/** Sealed segments that a lane may be ahead of its server. */
const laneSegments = 8

class Lane {
  readonly sealer: Sealer
  readonly ready: Uint8Array[] = []
  ended = false
  left = false
  wake = Promise.withResolvers<void>()

  constructor(sealer: Sealer) {
    this.sealer = sealer
  }

  get isFull(): boolean {
    return !this.left && this.ready.length >= laneSegments
  }
}

export class OnePass {
  readonly #content: Content
  readonly #lanes: readonly Lane[]
  #running: Promise<void> | undefined
  #moved = Promise.withResolvers<void>()
  /** Why nothing more comes, for every lane: the content cannot be read or is not what was offered. */
  failure: unknown

  constructor(content: Content, sealers: readonly Sealer[]) {
    this.#content = content
    this.#lanes = sealers.map((sealer) => new Lane(sealer))
  }

  /**
   * A lane's sealed segments; its sealer has the root when they end.
   * @throws {Problem} `transfer.bad-root` at the end, when the content is not what was offered; `transfer.*`
   */
  async *segments(at: number): AsyncGenerator<Uint8Array> {
    const lane = this.#lanes[at]!
    this.#running ??= this.#run()
    try {
      for (;;) {
        const segment = lane.ready.shift()
        if (segment) {
          this.#wake()
          yield segment
        } else if (this.failure) throw this.failure
        else if (lane.ended) return
        else await lane.wake.promise
      }
    } finally {
      this.leave(at)
    }
  }

  /** A lane's root, when its segments have ended. */
  root(at: number): Uint8Array {
    return this.#lanes[at]!.sealer.root()
  }

  /** Nobody takes this lane's segments any more: the others need not wait for it. */
  leave(at: number): void {
    const lane = this.#lanes[at]!
    lane.left = true
    lane.ready.length = 0
    this.#wake()
  }

  async #run(): Promise<void> {
    const plain = createHash('sha256')
    try {
      for await (const { segment, last } of this.#content.segments()) {
        plain.update(segment)
        for (const lane of this.#lanes)
          if (!lane.left) {
            lane.ready.push(last ? lane.sealer.last(segment) : lane.sealer.update(segment))
            this.#tell(lane)
          }
        while (this.#lanes.some((lane) => lane.isFull)) await this.#moved.promise
        if (this.#lanes.every((lane) => lane.left)) return
      }
      if (!plain.digest().equals(this.#content.row.sha256))
        throw new Problem('transfer.bad-root', 'what was sent is not what was offered')
    } catch (error) {
      this.failure = isProblem(error) ? error : new Problem('internal', String(error), { cause: error })
    }
    for (const lane of this.#lanes) {
      lane.ended = true
      this.#tell(lane)
    }
  }

  #tell(lane: Lane): void {
    lane.wake.resolve()
    lane.wake = Promise.withResolvers()
  }

  #wake(): void {
    this.#moved.resolve()
    this.#moved = Promise.withResolvers()
  }
}
