/** Film looks for photos (W8): what the user app `film-look` does to a picture. Pure. */
import type { Raster } from '../drivers.ts'

export const looks = ['warm', 'mono', 'fade'] as const
export type Look = (typeof looks)[number]

/** A curve for each channel: 256 values. */
type Curve = Uint8Array

const curve = (of: (x: number) => number): Curve =>
  Uint8Array.from({ length: 256 }, (_, i) => Math.round(255 * Math.min(1, Math.max(0, of(i / 255)))))

/** Darker shadows, brighter lights: the shape of a film's response. */
const contrast = (x: number): number => x + 0.12 * Math.sin(2 * Math.PI * (x - 0.5))
/** Blacks that are grey, whites that are not quite white. */
const faded = (x: number): number => 0.12 + 0.8 * x

const curves: Readonly<Record<Look, readonly [Curve, Curve, Curve]>> = {
  warm: [curve((x) => contrast(x) * 1.04 + 0.01), curve(contrast), curve((x) => contrast(x) * 0.9)],
  mono: [curve(contrast), curve(contrast), curve(contrast)],
  fade: [curve(faded), curve((x) => faded(x) * 0.99), curve((x) => faded(x) * 0.96 + 0.03)],
}

/** A picture of the same size in that look; what is transparent stays so. */
export function withLook({ width, height, rgba }: Raster, look: Look): Raster {
  const [red, green, blue] = curves[look]
  const out = new Uint8Array(rgba.length)
  for (let at = 0; at < rgba.length; at += 4) {
    let [r, g, b] = [rgba[at]!, rgba[at + 1]!, rgba[at + 2]!]
    // Luma of ITU-R BT.601, as JPEG has it.
    if (look === 'mono') r = g = b = Math.round(0.299 * r + 0.587 * g + 0.114 * b)
    out[at] = red[r]!
    out[at + 1] = green[g]!
    out[at + 2] = blue[b]!
    out[at + 3] = rgba[at + 3]!
  }
  return { width, height, rgba: out }
}
