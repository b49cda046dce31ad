/**
 * The EXIF facts that the apps use, and those that stay with a picture without its place (CIPA DC-008; D8). exifreader reads
 * them out of the TIFF structure alone: pictures come from anywhere, and what cannot be read is simply not there.
 */
import ExifReader from 'exifreader'
import { walkJpeg } from './structure.ts'

/** A ratio as TIFF has them. */
export type Ratio = readonly [above: number, below: number]

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

/** How a picture was exposed. */
export interface Exposure {
  /** Seconds. */
  time?: Ratio
  fNumber?: Ratio
  /** ISO speed. */
  speed?: number
  /** Exposure compensation, EV. */
  bias?: Ratio
  /** mm. */
  focalLength?: Ratio
  focalLength35mm?: number
  program?: number
  metering?: number
  flash?: number
  whiteBalance?: number
}

/** A TIFF structure larger than this is no camera's EXIF: JPEG has room for 64 KiB, other files for a thumbnail beside. */
const tiffMaxBytes = 1 << 20
const textMaxBytes = 64
/** Names as exifreader has them. */
const read = [
  'Orientation',
  'Make',
  'Model',
  'DateTime',
  'DateTimeOriginal',
  'OffsetTimeOriginal',
  'ExposureTime',
  'FNumber',
  'ISOSpeedRatings',
  'ExposureBiasValue',
  'FocalLength',
  'FocalLengthIn35mmFilm',
  'ExposureProgram',
  'MeteringMode',
  'Flash',
  'WhiteBalance',
  'GPSLatitudeRef',
  'GPSLatitude',
  'GPSLongitudeRef',
  'GPSLongitude',
]

type Tags = Record<string, { value: unknown } | undefined>

/** The EXIF facts of a JPEG; `{ orientation: 1 }` when there are none. Never throws. */
export function readExif(jpeg: Uint8Array): Exif {
  const tiff = exifOfJpeg(jpeg)
  return tiff ? readTiff(tiff).exif : { orientation: 1 }
}

/** The TIFF structure of the first EXIF segment. */
export function exifOfJpeg(jpeg: Uint8Array): Uint8Array | undefined {
  try {
    for (const { marker, from, to } of walkJpeg(jpeg)) {
      if (marker === 0xda) return undefined
      const body = jpeg.subarray(from + 4, to)
      if (marker === 0xe1 && startsWith(body, 'Exif\0')) return body.subarray(6)
    }
  } catch {
    // A damaged picture has no facts.
  }
  return undefined
}

export function startsWith(bytes: Uint8Array, text: string): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, text.length)).toString('latin1') === text
}

/** Facts of a TIFF structure. Never throws. */
export function readTiff(tiff: Uint8Array): { exif: Exif; exposure: Exposure } {
  let tags: Tags = {}
  try {
    if (tiff.length <= tiffMaxBytes) {
      const bytes = Uint8Array.from(tiff).buffer
      tags = ExifReader.load(bytes, { expanded: true, includeTags: { exif: read } }).exif as unknown as Tags
    }
  } catch {
    // What is no TIFF structure has no facts.
  }
  tags ??= {}
  const exif: Exif = { orientation: whole(tags['Orientation'], 1, 8) ?? 1 }
  const takenAt = text(tags['DateTimeOriginal']) ?? text(tags['DateTime'])
  if (takenAt && /^\d{4}:\d{2}:\d{2} \d{2}:\d{2}:\d{2}$/.test(takenAt)) exif.takenAt = takenAt
  const offset = text(tags['OffsetTimeOriginal'])
  if (offset && /^[+-]\d{2}:\d{2}$/.test(offset)) exif.offset = offset
  const make = text(tags['Make'])
  if (make) exif.make = make
  const model = text(tags['Model'])
  if (model) exif.model = model
  const latitude = degrees(tags['GPSLatitude'], text(tags['GPSLatitudeRef']), 'N', 'S', 90)
  const longitude = degrees(tags['GPSLongitude'], text(tags['GPSLongitudeRef']), 'E', 'W', 180)
  if (latitude !== undefined && longitude !== undefined) exif.position = { latitude, longitude }
  return { exif, exposure: exposureOf(tags) }
}

function exposureOf(tags: Tags): Exposure {
  const found = {
    time: ratio(tags['ExposureTime']),
    fNumber: ratio(tags['FNumber']),
    speed: whole(tags['ISOSpeedRatings'], 1, 0xffff),
    bias: ratio(tags['ExposureBiasValue'], true),
    focalLength: ratio(tags['FocalLength']),
    focalLength35mm: whole(tags['FocalLengthIn35mmFilm'], 1, 10_000),
    program: whole(tags['ExposureProgram'], 0, 9),
    metering: whole(tags['MeteringMode'], 0, 255),
    flash: whole(tags['Flash'], 0, 127),
    whiteBalance: whole(tags['WhiteBalance'], 0, 1),
  }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined))
}

function whole(tag: Tags[string], min: number, max: number): number | undefined {
  const value = Array.isArray(tag?.value) ? tag.value[0] : tag?.value
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : undefined
}

function ratio(tag: Tags[string], signed = false): Ratio | undefined {
  const value = tag?.value
  if (!Array.isArray(value) || value.length !== 2) return undefined
  const [above, below] = value as unknown[]
  const min = signed ? -0x8000_0000 : 0
  const max = signed ? 0x7fff_ffff : 0xffff_ffff
  const fits = (part: unknown): part is number => Number.isInteger(part) && Number(part) >= min && Number(part) <= max
  return fits(above) && fits(below) && below !== 0 ? [above, below] : undefined
}

function text(tag: Tags[string]): string | undefined {
  const value: unknown = Array.isArray(tag?.value) ? tag.value[0] : tag?.value
  // What exifreader says of a text outside of the structure.
  if (typeof value !== 'string' || value === '<faulty value>') return undefined
  const clean = value.split('\0')[0]!.replaceAll(/[^\x20-\x7e]/g, '')
  return clean.slice(0, textMaxBytes).trim() || undefined
}

/** Degrees from three rationals and a reference letter. */
function degrees(
  tag: Tags[string],
  reference: string | undefined,
  positive: string,
  negative: string,
  limit: number,
): number | undefined {
  const parts = tag?.value
  if (!Array.isArray(parts) || parts.length !== 3 || (reference !== positive && reference !== negative))
    return undefined
  let sum = 0
  for (const [i, part] of parts.entries()) {
    const [above, below] = (Array.isArray(part) ? part : []) as unknown[]
    if (typeof above !== 'number' || typeof below !== 'number' || (below === 0 && above !== 0)) return undefined
    sum += below === 0 ? 0 : above / below / 60 ** i
  }
  if (!(sum <= limit && sum >= 0)) return undefined
  return reference === positive ? sum : -sum
}

/** When the picture was taken, as ms since the epoch: with the camera's own offset, else as if its clock showed the time of this board's zone. */
export function takenMsOf(exif: Exif): number | undefined {
  if (!exif.takenAt) return undefined
  const [date, time] = exif.takenAt.split(' ') as [string, string]
  const ms = Date.parse(`${date.replaceAll(':', '-')}T${time}${exif.offset ?? ''}`)
  return Number.isNaN(ms) || ms < 0 ? undefined : ms
}
