/** Writes an EXIF segment (CIPA DC-008, big-endian TIFF) as a camera does, so that the reader meets the real thing. */
import { ascii, directory, type Entry, long, short, u32 } from '@azukari/device/place/tiff'

export interface ExifFacts {
  orientation: number
  /** Local time of the camera. */
  takenAtMs: number
  /** Minutes east of UTC. */
  offsetMinutes: number
  make: string
  model: string
  position?: { latitude: number; longitude: number }
}

/** The JPEG with an EXIF APP1 segment behind its first marker. */
export function withExif(jpeg: Uint8Array, facts: ExifFacts): Uint8Array {
  const tiff = tiffOf(facts)
  const length = tiff.length + 8
  const segment = Buffer.concat([
    Uint8Array.of(0xff, 0xe1, length >> 8, length & 255),
    Buffer.from('Exif\0\0', 'latin1'),
    tiff,
  ])
  return new Uint8Array(Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)]))
}

function tiffOf(facts: ExifFacts): Uint8Array {
  const local = new Date(facts.takenAtMs + facts.offsetMinutes * 60_000).toISOString()
  const taken = `${local.slice(0, 10).replaceAll('-', ':')} ${local.slice(11, 19)}`
  const sign = facts.offsetMinutes < 0 ? '-' : '+'
  const minutes = Math.abs(facts.offsetMinutes)
  const offset = `${sign}${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
  const details = [ascii(0x9003, taken), ascii(0x9011, offset)]
  const gps = facts.position ? gpsEntries(facts.position) : []
  const main = (detailsAt: number, gpsAt: number) => [
    ascii(0x010f, facts.make),
    ascii(0x0110, facts.model),
    short(0x0112, facts.orientation),
    ascii(0x0132, taken),
    long(0x8769, detailsAt),
    ...(gps.length ? [long(0x8825, gpsAt)] : []),
  ]
  // Sizes do not depend on the pointers, so one pass with zeros gives the places.
  const header = Buffer.concat([Buffer.from('MM', 'latin1'), Uint8Array.of(0, 42), u32(8)])
  const mainBytes = directory(main(0, 0), 8).length
  const detailsBytes = directory(details, 0).length
  const detailsAt = 8 + mainBytes
  const gpsAt = detailsAt + detailsBytes
  return Buffer.concat([
    header,
    directory(main(detailsAt, gpsAt), 8),
    directory(details, detailsAt),
    ...(gps.length ? [directory(gps, gpsAt)] : []),
  ])
}

function gpsEntries({ latitude, longitude }: { latitude: number; longitude: number }): Entry[] {
  const degrees = (tag: number, angle: number): Entry => {
    const seconds = Math.round(Math.abs(angle) * 3_600_000)
    const value = Buffer.concat([
      u32(Math.floor(seconds / 3_600_000)),
      u32(1),
      u32(Math.floor(seconds / 60_000) % 60),
      u32(1),
      u32(seconds % 60_000),
      u32(1000),
    ])
    return { tag, type: 5, count: 3, value }
  }
  return [
    ascii(1, latitude < 0 ? 'S' : 'N'),
    degrees(2, latitude),
    ascii(3, longitude < 0 ? 'W' : 'E'),
    degrees(4, longitude),
  ]
}
