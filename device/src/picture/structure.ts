/**
 * Walks a JPEG's markers (ITU-T T.81 §B) before it is decoded: the decoder behind believes the header and takes memory for
 * it, so what is cut off, too large, or built to keep it busy is refused here, at no cost.
 */
import { Problem } from '@azukari/protocol/problem'

export interface JpegStructure {
  width: number
  height: number
  components: number
  progressive: boolean
  /** 8 × 8 blocks of all components. */
  blocks: number
  /** Scans; a baseline picture has one to four. */
  scans: number
  /** Where the picture ends: cameras append further pictures and notes. */
  endBytes: number
}

/** Largest picture that a board decodes. */
export const pixelsMax = 64_000_000
/** Most scans of a progressive picture: encoders make some ten, and each is one pass over all coefficients. */
const scansMax = 64

/** @throws {Problem} `photo.corrupt`, `photo.too-large` */
export function readStructure(jpeg: Uint8Array): JpegStructure {
  const corrupt = (why: string): Problem => new Problem('photo.corrupt', why)
  if (jpeg[0] !== 0xff || jpeg[1] !== 0xd8) throw corrupt('it does not begin as a JPEG')
  let frame: Omit<JpegStructure, 'scans' | 'endBytes'> | undefined
  let scans = 0
  let at = 2
  for (;;) {
    if (at + 1 >= jpeg.length) throw corrupt('it ends in the middle')
    if (jpeg[at] !== 0xff) throw corrupt(`no marker at byte ${at}`)
    const marker = jpeg[at + 1]!
    if (marker === 0xff) {
      at++
      continue
    }
    if (marker === 0xd9) {
      if (!frame || scans === 0) throw corrupt('it ends before any picture')
      // Every block takes a bit at least: a small file that says it is huge is cut off, and costs no memory.
      if (frame.blocks > at * 8) throw corrupt('it has less data than its size needs')
      return { ...frame, scans, endBytes: at + 2 }
    }
    if (marker === 0 || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8))
      throw corrupt(`marker ${marker.toString(16)} at byte ${at}`)
    if (at + 4 > jpeg.length) throw corrupt('it ends in the middle')
    const length = (jpeg[at + 2]! << 8) | jpeg[at + 3]!
    const body = at + 4
    at += 2 + length
    if (length < 2 || at > jpeg.length) throw corrupt('a segment ends after the file')
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      if (frame) throw corrupt('two frames')
      if (marker > 0xc2) throw new Problem('object.not-printable', `JPEG process ${marker.toString(16)}`)
      frame = readFrame(jpeg.subarray(body, at), marker === 0xc2)
    }
    if (marker !== 0xda) continue
    if (!frame) throw corrupt('a scan before its frame')
    if (++scans > scansMax) throw new Problem('photo.too-large', `more than ${scansMax} scans`)
    at = endOfScan(jpeg, at)
  }
}

function readFrame(body: Uint8Array, progressive: boolean): Omit<JpegStructure, 'scans' | 'endBytes'> {
  const [precision, h1, h2, w1, w2, components] = body
  if (components === undefined || body.length !== 6 + 3 * components)
    throw new Problem('photo.corrupt', 'the frame has a wrong length')
  const height = (h1! << 8) | h2!
  const width = (w1! << 8) | w2!
  if (precision !== 8 || (components !== 1 && components !== 3 && components !== 4))
    throw new Problem('object.not-printable', `${components} components of ${precision} bits`)
  if (width === 0 || height === 0) throw new Problem('photo.corrupt', 'it has no extent')
  if (width * height > pixelsMax) throw new Problem('photo.too-large', `${width} × ${height}`)
  const sampling = Array.from({ length: components }, (_, i) => ({
    h: body[7 + 3 * i]! >> 4,
    v: body[7 + 3 * i]! & 15,
  }))
  if (sampling.some(({ h, v }) => h < 1 || h > 4 || v < 1 || v > 4))
    throw new Problem('photo.corrupt', 'the sampling is not possible')
  const hMax = Math.max(...sampling.map(({ h }) => h))
  const vMax = Math.max(...sampling.map(({ v }) => v))
  const blocks = sampling.reduce(
    (sum, { h, v }) => sum + Math.ceil((width * h) / hMax / 8) * Math.ceil((height * v) / vMax / 8),
    0,
  )
  return { width, height, components, progressive, blocks }
}

/** The next marker after entropy-coded data that is no restart and no stuffed FF. */
function endOfScan(jpeg: Uint8Array, from: number): number {
  for (let at = jpeg.indexOf(0xff, from); at !== -1 && at + 1 < jpeg.length; at = jpeg.indexOf(0xff, at)) {
    const next = jpeg[at + 1]!
    if (next === 0xff) at += 1
    else if (next === 0 || (next >= 0xd0 && next <= 0xd7)) at += 2
    else return at
  }
  throw new Problem('photo.corrupt', 'it ends in the middle of the picture')
}
