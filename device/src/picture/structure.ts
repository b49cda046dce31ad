/**
 * Walks a JPEG's markers (ITU-T T.81 §B) before it is decoded: the decoder behind believes the header and takes memory for
 * it, so what is cut off, too large, or built to keep it busy is refused here, at no cost. The same walk tells the
 * stripper where everything is (D8).
 */
import { Problem } from '@azukari/protocol/problem'

export interface JpegFrame {
  width: number
  height: number
  components: number
  progressive: boolean
  /** 8 × 8 blocks of all components. */
  blocks: number
}

export interface JpegStructure extends JpegFrame {
  /** Scans; a baseline picture has one to four. */
  scans: number
  /** Where the picture ends: cameras append further pictures and notes. */
  endBytes: number
  /** The picture itself, without application segments, comments and stray bytes: what a decoder needs. */
  essence: Uint8Array
  /** Adobe's colour transform (0 none, 1 YCbCr, 2 YCCK); undefined without its segment. */
  adobeTransform?: number
}

/** One marker with what belongs to it, as bytes of the file. */
export interface JpegPart {
  marker: number
  from: number
  to: number
  /** From here on there is entropy-coded data; only for a scan. */
  scanFrom?: number
}

/** Largest picture that a board decodes. */
export const pixelsMax = 64_000_000
/** Most scans of a progressive picture: encoders make some ten, and each is one pass over all coefficients. */
const scansMax = 64
/** Bytes that belong to nothing, before a marker: some cameras leave a few, decoders pass over them. */
const strayMax = 65_536
/** Markers that a decoder needs: tables, frames, scans, restart interval, number of lines. */
export const isPicture = (marker: number): boolean =>
  (marker >= 0xc0 && marker <= 0xcf) || (marker >= 0xda && marker <= 0xdd)

/**
 * The parts of one picture, from its begin to its end mark, each marker's segment whole; stray bytes belong to no part.
 * @throws {Problem} `photo.corrupt`
 */
export function* walkJpeg(jpeg: Uint8Array): Generator<JpegPart> {
  const corrupt = (why: string): Problem => new Problem('photo.corrupt', why)
  if (jpeg[0] !== 0xff || jpeg[1] !== 0xd8) throw corrupt('it does not begin as a JPEG')
  let at = 2
  for (let stray = 0; ; ) {
    const marker = jpeg[at + 1]
    if (marker === undefined) throw corrupt('it ends in the middle')
    if (jpeg[at] !== 0xff || marker === 0xff || marker === 0) {
      if (++stray > strayMax) throw corrupt(`no marker at byte ${at}`)
      at++
      continue
    }
    if (marker === 0xd9) return yield { marker, from: at, to: at + 2 }
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8))
      throw corrupt(`marker ${marker.toString(16)} at byte ${at}`)
    if (at + 4 > jpeg.length) throw corrupt('it ends in the middle')
    const length = (jpeg[at + 2]! << 8) | jpeg[at + 3]!
    const end = at + 2 + length
    if (length < 2 || end > jpeg.length) throw corrupt('a segment ends after the file')
    const to = marker === 0xda ? endOfScan(jpeg, end) : end
    yield marker === 0xda ? { marker, from: at, to, scanFrom: end } : { marker, from: at, to }
    at = to
  }
}

/** @throws {Problem} `photo.corrupt`, `photo.too-large`, `object.not-printable` */
export function readStructure(jpeg: Uint8Array): JpegStructure {
  const corrupt = (why: string): Problem => new Problem('photo.corrupt', why)
  let frame: JpegFrame | undefined
  let adobeTransform: number | undefined
  let scans = 0
  const essence: Uint8Array[] = [Uint8Array.of(0xff, 0xd8)]
  for (const { marker, from, to } of walkJpeg(jpeg)) {
    const body = jpeg.subarray(from + 4, to)
    if (marker === 0xd9) {
      if (!frame || scans === 0) throw corrupt('it ends before any picture')
      // Every block takes a bit at least: a small file that says it is huge is cut off, and costs no memory.
      if (frame.blocks > from * 8) throw corrupt('it has less data than its size needs')
      essence.push(jpeg.subarray(from, to))
      const structure = { ...frame, scans, endBytes: to, essence: Buffer.concat(essence) }
      return adobeTransform === undefined ? structure : { ...structure, adobeTransform }
    }
    if (isFrame(marker)) {
      if (frame) throw corrupt('two frames')
      if (marker > 0xc2) throw new Problem('object.not-printable', `JPEG process ${marker.toString(16)}`)
      frame = readFrame(body, marker === 0xc2)
    }
    if (marker === 0xda) {
      if (!frame) throw corrupt('a scan before its frame')
      if (++scans > scansMax) throw new Problem('photo.too-large', `more than ${scansMax} scans`)
    }
    const isAdobe = marker === 0xee && isAdobeSegment(body)
    if (isAdobe) adobeTransform = body[11]
    // How a decoder takes the colours hangs on JFIF's and Adobe's segments.
    if (isPicture(marker) || isAdobe || (marker === 0xe0 && isJfifSegment(body))) essence.push(jpeg.subarray(from, to))
  }
  throw corrupt('it ends in the middle')
}

export function isJfifSegment(body: Uint8Array): boolean {
  return body.length >= 14 && Buffer.from(body.subarray(0, 5)).toString('latin1') === 'JFIF\0'
}

export function isAdobeSegment(body: Uint8Array): boolean {
  return body.length >= 12 && Buffer.from(body.subarray(0, 5)).toString('latin1') === 'Adobe'
}

function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
}

function readFrame(body: Uint8Array, progressive: boolean): JpegFrame {
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
