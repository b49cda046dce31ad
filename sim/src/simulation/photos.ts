/** Pictures that cost nothing: a few tiny scenes, made unlike each other and as big as wanted by an ignored segment. */
import { type Camera, type Captured, partProblem } from '@azukari/device/drivers'
import { encodeJpeg } from '@azukari/device/picture'
import type { Clock } from '@azukari/protocol/ports'
import { withExif } from '../testkit/boards/exif-writer.ts'
import { drawScene } from '../testkit/boards/scene.ts'
import { SeededRandom } from '../testkit/world/chance.ts'

const scenes: Uint8Array[] = []

function scene(index: number): Uint8Array {
  scenes[index] ??= encodeJpeg(drawScene(new SeededRandom(index), 24, 16), 60)
  return scenes[index]
}

/** Content of a comment segment, at most. */
const commentBytes = 65_000

/** A JPEG that decodes, different from every other, of about `sizeBytes`. */
function makePhoto(random: SeededRandom, sizeBytes: number, takenAtMs: number): Uint8Array {
  const picture = withExif(scene(random.between(0, 7)), {
    orientation: random.between(1, 8),
    takenAtMs,
    offsetMinutes: 540,
    make: 'Azukari',
    model: 'Simulated',
  })
  const parts = [picture.subarray(0, 2)]
  for (let left = Math.max(24, sizeBytes - picture.length); left > 0; left -= commentBytes) {
    const length = Math.min(left, commentBytes)
    parts.push(Uint8Array.of(0xff, 0xfe, (length + 2) >> 8, (length + 2) & 255), random.bytes(length))
  }
  return new Uint8Array(Buffer.concat([...parts, picture.subarray(2)]))
}

export class CheapCamera implements Camera {
  readonly model = 'Azukari Simulated Camera'
  readonly #clock: Clock
  readonly #random: SeededRandom
  readonly #onShot: (bytes: Uint8Array) => void
  #busy = false

  /** @param onShot hears of every picture that was taken */
  constructor(clock: Clock, random: SeededRandom, onShot: (bytes: Uint8Array) => void) {
    this.#clock = clock
    this.#random = random
    this.#onShot = onShot
  }

  async capture(signal: AbortSignal): Promise<Captured> {
    if (this.#busy) throw partProblem('camera', 'busy')
    this.#busy = true
    try {
      await this.#clock.sleep(this.#random.between(20, 200), signal)
      const takenAtMs = Math.floor(this.#clock.now() / 1000) * 1000
      const bytes = makePhoto(this.#random, sizeOf(this.#random), takenAtMs)
      this.#onShot(bytes)
      return { bytes, mediaType: 'image/jpeg', takenAtMs }
    } finally {
      this.#busy = false
    }
  }

  async close(): Promise<void> {}
}

/** Mostly small, now and then one of several blocks and segments. */
function sizeOf(random: SeededRandom): number {
  if (random.chance(0.04)) return random.between(66_000, 1_200_000)
  if (random.chance(0.15)) return random.between(10_000, 140_000)
  return random.between(600, 6_000)
}
