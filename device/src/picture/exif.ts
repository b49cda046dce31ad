/**
 * Reads the few EXIF facts that the apps use (CIPA DC-008): orientation, date, model, position. Pictures come from
 * anywhere, so every offset is checked, nothing is followed twice, and what cannot be read is simply not there.
 */

export interface Exif {
  /** 1 to 8, TIFF's Orientation; 1 when absent or out of range. */
  orientation: number
  /** `YYYY:MM:DD HH:MM:SS`, local time of the camera, as the camera wrote it. */
  takenAt?: string
  /** Like `+09:00`. */
  offset?: string
  make?: string
  model?: string
  /** WGS 84 degrees, north and east positive. Personal data: only with consent (D8). */
  position?: { latitude: number; longitude: number }
}

/** Entries of one directory that are looked at; real ones have some dozens. */
const entriesMax = 512
const textMaxBytes = 256

const tags = {
  make: 0x010f,
  model: 0x0110,
  orientation: 0x0112,
  exif: 0x8769,
  gps: 0x8825,
  dateOriginal: 0x9003,
  offsetOriginal: 0x9011,
  date: 0x0132,
} as const
const gpsTags = { latitudeRef: 1, latitude: 2, longitudeRef: 3, longitude: 4 } as const
/** Bytes per value of the TIFF types 1 to 10. */
const typeBytes = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8]

/** The EXIF facts of a JPEG; `{ orientation: 1 }` when there are none. Never throws. */
export function readExif(jpeg: Uint8Array): Exif {
  const tiff = exifSegment(jpeg)
  return tiff ? readTiff(tiff) : { orientation: 1 }
}

/**
 * The same JPEG without the place where it was taken (D8): EXIF's GPS directory emptied, XMP that names one blanked. The
 * picture itself and all other facts stay as they are.
 */
export function withoutPosition(jpeg: Uint8Array): Uint8Array {
  const copy = jpeg.slice()
  const exif = exifSegment(copy)
  const tiff = exif && tiffOf(exif)
  const at = tiff?.number(tiff.entries(tiff.u32(4)), tags.gps)
  const entries = at === undefined ? 0 : (tiff!.u16(at) ?? 0)
  if (exif && at !== undefined && entries > 0 && entries <= entriesMax) {
    for (const { at: value, type, count } of tiff!.entries(at).values())
      exif.fill(0, value, value + (typeBytes[type] ?? 0) * count)
    exif.fill(0, at, Math.min(exif.length, at + 2 + entries * 12))
  }
  for (const { marker, content } of segments(copy)) {
    const isXmp = marker === 0xe1 && startsWith(content, 'http://ns.adobe.com/')
    if (isXmp && Buffer.from(content.buffer, content.byteOffset, content.length).includes('GPS'))
      content.fill(0x20, content.indexOf(0) + 1)
  }
  return copy
}

/** The TIFF structure in the first APP1 segment that is EXIF. */
function exifSegment(jpeg: Uint8Array): Uint8Array | undefined {
  for (const { marker, content } of segments(jpeg))
    if (marker === 0xe1 && startsWith(content, 'Exif\0\0')) return content.subarray(6)
  return undefined
}

/** What stands before the picture's own data: markers with what they hold. */
function* segments(jpeg: Uint8Array): Generator<{ marker: number; content: Uint8Array }> {
  if (jpeg[0] !== 0xff || jpeg[1] !== 0xd8) return
  for (let at = 2; at + 4 <= jpeg.length && jpeg[at] === 0xff; ) {
    const marker = jpeg[at + 1]!
    if (marker === 0xff) {
      at++
      continue
    }
    if (marker === 0xda || marker === 0xd9) return
    const length = (jpeg[at + 2]! << 8) | jpeg[at + 3]!
    const end = at + 2 + length
    if (length < 2 || end > jpeg.length) return
    yield { marker, content: jpeg.subarray(at + 4, end) }
    at = end
  }
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return bytes.length >= text.length && [...text].every((letter, i) => bytes[i] === letter.charCodeAt(0))
}

type Entries = Map<number, { type: number; count: number; at: number }>

class Tiff {
  readonly #view: DataView
  readonly #little: boolean

  constructor(bytes: Uint8Array, little: boolean) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#little = little
  }

  u16(at: number): number | undefined {
    return at >= 0 && at + 2 <= this.#view.byteLength ? this.#view.getUint16(at, this.#little) : undefined
  }

  u32(at: number): number | undefined {
    return at >= 0 && at + 4 <= this.#view.byteLength ? this.#view.getUint32(at, this.#little) : undefined
  }

  entries(at: number | undefined): Entries {
    const entries: Entries = new Map()
    const count = at === undefined ? undefined : this.u16(at)
    if (at === undefined || count === undefined || count > entriesMax) return entries
    for (let i = 0; i < count; i++) {
      const entry = at + 2 + i * 12
      const tag = this.u16(entry)
      const type = this.u16(entry + 2)
      const values = this.u32(entry + 4)
      if (tag === undefined || type === undefined || values === undefined) break
      const bytes = (typeBytes[type] ?? 0) * values
      const where = bytes <= 4 ? entry + 8 : this.u32(entry + 8)
      if (bytes === 0 || where === undefined || where + bytes > this.#view.byteLength || entries.has(tag)) continue
      entries.set(tag, { type, count: values, at: where })
    }
    return entries
  }

  text(entries: Entries, tag: number): string | undefined {
    const entry = entries.get(tag)
    if (entry?.type !== 2) return undefined
    let text = ''
    for (let i = 0; i < Math.min(entry.count, textMaxBytes); i++) {
      const byte = this.#view.getUint8(entry.at + i)
      if (byte === 0) break
      if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte)
    }
    return text.trim() || undefined
  }

  number(entries: Entries, tag: number): number | undefined {
    const entry = entries.get(tag)
    if (entry?.type === 3) return this.u16(entry.at)
    return entry?.type === 4 ? this.u32(entry.at) : undefined
  }

  /** Degrees from three rationals and a reference letter. */
  degrees(
    entries: Entries,
    tag: number,
    refTag: number,
    positive: string,
    negative: string,
    limit: number,
  ): number | undefined {
    const entry = entries.get(tag)
    const ref = this.text(entries, refTag)
    if (entry?.type !== 5 || entry.count !== 3 || (ref !== positive && ref !== negative)) return undefined
    let degrees = 0
    for (let i = 0; i < 3; i++) {
      const above = this.u32(entry.at + i * 8)!
      const below = this.u32(entry.at + i * 8 + 4)!
      if (below === 0 && above !== 0) return undefined
      degrees += below === 0 ? 0 : above / below / 60 ** i
    }
    return degrees <= limit ? (ref === positive ? degrees : -degrees) : undefined
  }
}

function tiffOf(bytes: Uint8Array): Tiff | undefined {
  const order =
    bytes[0] === 0x49 && bytes[1] === 0x49 ? true : bytes[0] === 0x4d && bytes[1] === 0x4d ? false : undefined
  const tiff = order === undefined ? undefined : new Tiff(bytes, order)
  return tiff?.u16(2) === 42 ? tiff : undefined
}

function readTiff(bytes: Uint8Array): Exif {
  const tiff = tiffOf(bytes)
  if (!tiff) return { orientation: 1 }
  const main = tiff.entries(tiff.u32(4))
  const details = tiff.entries(tiff.number(main, tags.exif))
  const gps = tiff.entries(tiff.number(main, tags.gps))
  const orientation = tiff.number(main, tags.orientation) ?? 1
  const exif: Exif = { orientation: orientation >= 1 && orientation <= 8 ? orientation : 1 }
  const takenAt = tiff.text(details, tags.dateOriginal) ?? tiff.text(main, tags.date)
  if (takenAt && /^\d{4}:\d{2}:\d{2} \d{2}:\d{2}:\d{2}$/.test(takenAt)) exif.takenAt = takenAt
  const offset = tiff.text(details, tags.offsetOriginal)
  if (offset && /^[+-]\d{2}:\d{2}$/.test(offset)) exif.offset = offset
  const make = tiff.text(main, tags.make)
  if (make) exif.make = make
  const model = tiff.text(main, tags.model)
  if (model) exif.model = model
  const latitude = tiff.degrees(gps, gpsTags.latitude, gpsTags.latitudeRef, 'N', 'S', 90)
  const longitude = tiff.degrees(gps, gpsTags.longitude, gpsTags.longitudeRef, 'E', 'W', 180)
  if (latitude !== undefined && longitude !== undefined) exif.position = { latitude, longitude }
  return exif
}

/** When the picture was taken, as ms since the epoch: with the camera's own offset, else as if its clock showed UTC. */
export function takenMsOf(exif: Exif): number | undefined {
  if (!exif.takenAt) return undefined
  const [date, time] = exif.takenAt.split(' ') as [string, string]
  const ms = Date.parse(`${date.replaceAll(':', '-')}T${time}${exif.offset ?? 'Z'}`)
  return Number.isNaN(ms) || ms < 0 ? undefined : ms
}
