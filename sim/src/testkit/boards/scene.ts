/** Draws scenes for the simulated camera: sky, sun, ranges of hills, water, trees and grain, never twice the same. */
import type { Raster } from '@azukari/device/drivers'
import type { Random } from '@azukari/protocol/ports'

type Colour = readonly [number, number, number]

const mix = (a: Colour, b: Colour, part: number): Colour => [
  a[0] + (b[0] - a[0]) * part,
  a[1] + (b[1] - a[1]) * part,
  a[2] + (b[2] - a[2]) * part,
]

/** Skies from top to horizon: noon, dusk, dawn, overcast, night. */
const skies: readonly (readonly [Colour, Colour])[] = [
  [
    [58, 123, 213],
    [196, 224, 250],
  ],
  [
    [43, 35, 84],
    [247, 140, 80],
  ],
  [
    [96, 108, 168],
    [255, 200, 170],
  ],
  [
    [130, 140, 150],
    [205, 208, 210],
  ],
  [
    [8, 12, 32],
    [40, 52, 92],
  ],
]

/** One scene. The same random numbers give the same picture. */
export function drawScene(random: Random, width: number, height: number): Raster {
  const pick = (low: number, high: number) => low + random.float() * (high - low)
  const [top, bottom] = skies[Math.floor(random.float() * skies.length)]!
  const rgba = new Uint8Array(width * height * 4)
  const horizon = Math.round(height * pick(0.45, 0.7))
  const sun = { x: pick(0.1, 0.9) * width, y: pick(0.1, 0.6) * horizon, radius: pick(0.03, 0.09) * height }
  const ranges = Array.from({ length: 3 }, (_, i) => ({
    base: horizon - height * pick(0.02, 0.16) * (3 - i) * 0.6,
    waves: Array.from({ length: 4 }, (_, k) => ({
      size: (height * pick(0.01, 0.06)) / (k + 1),
      turns: pick(1, 4) * (k + 1),
      shift: pick(0, 7),
    })),
    colour: mix(bottom, [pick(20, 70), pick(60, 110), pick(40, 80)], (i + 1) / 3),
  }))
  const tops = ranges.map(({ base, waves }) =>
    Array.from(
      { length: width },
      (_, x) =>
        base -
        waves.reduce((sum, { size, turns, shift }) => sum + size * Math.sin((x / width) * turns * Math.PI + shift), 0),
    ),
  )
  const water = random.float() < 0.5
  const ground: Colour = water ? mix(top, [20, 60, 90], 0.5) : [pick(60, 120), pick(100, 150), pick(40, 70)]
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let colour = mix(top, bottom, Math.min(1, y / horizon))
      const distance = Math.hypot(x - sun.x, y - sun.y) / sun.radius
      if (distance < 1) colour = [255, 250, 220]
      else if (distance < 4) colour = mix([255, 240, 200], colour, (distance - 1) / 3)
      for (let i = 0; i < ranges.length; i++) if (y > tops[i]![x]!) colour = ranges[i]!.colour
      if (y > horizon) {
        const depth = (y - horizon) / (height - horizon)
        colour = mix(bottom, ground, 0.4 + depth * 0.6)
        if (water && Math.sin(y * 0.9 + Math.sin(x * 0.05 + y) * 2) > 0.8)
          colour = mix(colour, [255, 255, 255], 0.35 * (1 - depth))
      }
      const grain = (random.float() - 0.5) * 6
      const at = (y * width + x) * 4
      rgba[at] = clamp(colour[0] + grain)
      rgba[at + 1] = clamp(colour[1] + grain)
      rgba[at + 2] = clamp(colour[2] + grain)
      rgba[at + 3] = 255
    }
  }
  for (let tree = Math.floor(pick(2, 9)); tree > 0; tree--)
    drawTree(rgba, width, height, pick(0, width), pick(horizon, height), pick(0.03, 0.1) * height)
  return { width, height, rgba }
}

function drawTree(rgba: Uint8Array, width: number, height: number, x: number, y: number, size: number): void {
  for (let row = 0; row < size * 2; row++) {
    const crown = row < size * 1.6
    const half = crown ? (row / (size * 1.6)) * size * 0.6 : size * 0.08
    for (let column = Math.ceil(x - half); column <= x + half; column++) {
      const line = Math.round(y - size * 2 + row)
      if (line < 0 || line >= height || column < 0 || column >= width) continue
      const shade = crown ? 0.6 + 0.4 * (1 - (column - x + half) / (2 * half + 1)) : 1
      rgba.set(crown ? [24 * shade, 82 * shade, 44 * shade] : [82, 58, 36], (line * width + column) * 4)
    }
  }
}

function clamp(value: number): number {
  return Math.max(0, Math.min(255, value))
}
