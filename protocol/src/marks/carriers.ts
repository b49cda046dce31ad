/**
 * Where marks live: frequencies of a tile, split between synchronisation, the public mark and the keyed mark, so that none
 * disturbs another. All of it is fixed for ever: another order of these frequencies is another kind of mark.
 */
import { rootsOfUnity } from './fourier.ts'

/** Side of a tile in pixels of the canonical size. */
export const tileSize = 128
/** √(width · height) of the canonical size, in pixels. */
export const canonicalSize = 800

const radiusMin = 5
const radiusMax = 26

/** One frequency of a tile: column u and row v of its spectrum, in cycles per tile. */
export interface Carrier {
  u: number
  v: number
  /** √(u² + v²) */
  radius: number
}

/** Frequencies of one layer and the amplitude that makes its tile's mean square 1. */
export interface Layer {
  carriers: readonly Carrier[]
  /** Amplitude of the real and of the imaginary part, each, by carrier. */
  amplitudes: Float64Array
  /** Part of the whole strength. */
  share: number
}

/** Repeatable signs and shuffles (xorshift32); not secret. */
class FixedChance {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  next(): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return x >>> 0
  }

  signs(count: number): Int8Array {
    return Int8Array.from({ length: count }, () => ((this.next() >>> 16) & 1 ? 1 : -1))
  }
}

const shuffled = shuffledCarriers()
const publicFrom = Math.round(shuffled.length * 0.2)
const keyedFrom = Math.round(shuffled.length * 0.7)

export const syncLayer = layerOf(shuffled.slice(0, publicFrom), 0.2)
export const publicLayer = layerOf(shuffled.slice(publicFrom, keyedFrom), 0.5)
export const keyedLayer = layerOf(shuffled.slice(keyedFrom), 0.3)

/** Signs of the real and imaginary part of each carrier, in turn. */
export const syncSigns = new FixedChance(0x5a17c0de).signs(syncLayer.carriers.length * 2)
/** What the bits of the public mark are multiplied with. */
export const publicSigns = new FixedChance(0x3b9d21f7).signs(publicLayer.carriers.length * 2)
/** How many signs the keyed mark has in each tile. */
export const keyedSignCount = keyedLayer.carriers.length * 2

/** Adds a layer to a spectrum in place. @param part adds it as the real (default) or the imaginary part of the picture */
export function addLayer(
  re: Float64Array,
  im: Float64Array,
  layer: Layer,
  signs: Int8Array,
  part: 'real' | 'imaginary' = 'real',
): void {
  const strength = Math.sqrt(layer.share)
  for (let i = 0; i < layer.carriers.length; i++) {
    const { u, v } = layer.carriers[i]!
    const amplitude = layer.amplitudes[i]! * strength
    const a = amplitude * signs[2 * i]!
    const b = amplitude * signs[2 * i + 1]!
    const here = binOf(u, v)
    const mirror = binOf(-u, -v)
    if (part === 'real') {
      re[here] = re[here]! + a
      im[here] = im[here]! + b
      re[mirror] = re[mirror]! + a
      im[mirror] = im[mirror]! - b
    } else {
      re[here] = re[here]! - b
      im[here] = im[here]! + a
      re[mirror] = re[mirror]! + b
      im[mirror] = im[mirror]! + a
    }
  }
}

/** Index of a frequency in a tile's spectrum; negative ones count from its end. */
export function binOf(u: number, v: number): number {
  return ((v + tileSize) % tileSize) * tileSize + ((u + tileSize) % tileSize)
}

/** cos and sin of a tile's frequencies at whole pixels. */
export const tileRoots = rootsOfUnity(tileSize)

function shuffledCarriers(): Carrier[] {
  const carriers: Carrier[] = []
  for (let v = 1; v <= radiusMax; v++)
    for (let u = -radiusMax; u <= radiusMax; u++) {
      const squared = u * u + v * v
      if (u === 0 || squared < radiusMin * radiusMin || squared > radiusMax * radiusMax) continue
      carriers.push({ u, v, radius: Math.sqrt(squared) })
    }
  const chance = new FixedChance(0x1f2e3d4c)
  for (let i = carriers.length - 1; i > 0; i--) {
    const j = chance.next() % (i + 1)
    const carrier = carriers[i]!
    carriers[i] = carriers[j]!
    carriers[j] = carrier
  }
  return carriers
}

/** Lower frequencies are given more (r^−½): they outlive compression, and pictures have more there to hide it in. */
function layerOf(carriers: Carrier[], share: number): Layer {
  const total = carriers.reduce((sum, { radius }) => sum + 1 / radius, 0)
  const norm = 1 / Math.sqrt(4 * total)
  return { carriers, amplitudes: Float64Array.from(carriers, ({ radius }) => norm / Math.sqrt(radius)), share }
}
