/** Files with places in them, made here: what cameras, phones and programs write, each in its own way. */
import { deflateSync } from 'node:zlib'

/** What must not be found in any form. */
export const city = 'Ginowan'
export const position = { latitude: 26.281111, longitude: 127.778333 }
/** The same position as TIFF has it: degrees, minutes, hundredths of seconds. */
export const latitudeRatios = Uint8Array.of(
  0,
  0,
  0,
  26,
  0,
  0,
  0,
  1,
  0,
  0,
  0,
  16,
  0,
  0,
  0,
  1,
  0,
  0,
  20,
  80,
  0,
  0,
  0,
  100,
)

export const u16 = (number: number) => Uint8Array.of(number >> 8, number & 255)
export const u32 = (number: number) =>
  Uint8Array.of(number >>> 24, (number >> 16) & 255, (number >> 8) & 255, number & 255)

/** A TIFF structure with a position whose latitude has the type that is asked for, a place's name, and an orientation. */
export function exifWithPlace(orientation = 6, latitudeType = 5): Uint8Array {
  const text = Buffer.from(`${city}\0`, 'latin1')
  const mainAt = 8
  const gpsAt = mainAt + 2 + 3 * 12 + 4
  const textAt = gpsAt + 2 + 2 * 12 + 4
  const latitudeAt = textAt + text.length
  const entry = (tag: number, type: number, count: number, value: Uint8Array) =>
    Buffer.concat([u16(tag), u16(type), u32(count), value])
  return Buffer.concat([
    Buffer.from('MM\0*'),
    u32(mainAt),
    u16(3),
    entry(0x010e, 2, text.length, u32(textAt)),
    entry(0x0112, 3, 1, Buffer.concat([u16(orientation), u16(0)])),
    entry(0x8825, latitudeType === 13 ? 13 : 4, 1, u32(gpsAt)),
    u32(0),
    u16(2),
    entry(1, 2, 2, Buffer.from('N\0\0\0')),
    entry(2, latitudeType, 3, u32(latitudeAt)),
    u32(0),
    text,
    latitudeRatios,
  ])
}

export function segment(marker: number, ...content: Uint8Array[]): Uint8Array {
  const body = Buffer.concat(content)
  return Buffer.concat([Uint8Array.of(0xff, marker), u16(body.length + 2), body])
}

export const exifSegment = (tiff: Uint8Array) => segment(0xe1, Buffer.from('Exif\0\0'), tiff)

const xmp = `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description photoshop:City="${city}" exif:GPSLatitude="26,16.8666N"/></x:xmpmeta>`

/** Everything that a JPEG may have beside its picture. @param jpeg without segments of its own */
export function jpegsWithPlace(jpeg: Uint8Array): Record<string, Uint8Array> {
  const behind = (...segments: Uint8Array[]) => Buffer.concat([jpeg.subarray(0, 2), ...segments, jpeg.subarray(2)])
  const adobe = Buffer.from('http://ns.adobe.com/xap/1.0/\0', 'latin1')
  const iptc = Buffer.concat([Uint8Array.of(0x1c, 2, 90), u16(city.length), Buffer.from(city)])
  const resource = Buffer.concat([Buffer.from('8BIM\x04\x04\0\0', 'latin1'), u32(iptc.length), iptc])
  const withExif = behind(exifSegment(exifWithPlace()))
  return {
    exif: withExif,
    'exif with a directory of type 13': behind(exifSegment(exifWithPlace(6, 13))),
    'exif with a latitude of signed ratios': behind(exifSegment(exifWithPlace(6, 10))),
    'exif with a latitude of bytes': behind(exifSegment(exifWithPlace(6, 7))),
    'two exif segments': behind(exifSegment(exifWithPlace(6, 12)), exifSegment(exifWithPlace())),
    xmp: behind(segment(0xe1, adobe, Buffer.from(xmp))),
    'extended xmp': behind(
      segment(0xe1, Buffer.from('http://ns.adobe.com/xmp/extension/\0', 'latin1'), Buffer.alloc(40), Buffer.from(xmp)),
    ),
    iptc: behind(segment(0xed, Buffer.from('Photoshop 3.0\0', 'latin1'), resource)),
    comment: behind(segment(0xfe, Buffer.from(`taken at ${city}`))),
    'JFIF with more than it should have': behind(
      segment(0xe0, Buffer.from('JFIF\0\x01\x02\x01\0\x48\0\x48\0\0', 'latin1'), Buffer.from(city)),
    ),
    'a profile that names it': behind(segment(0xe2, Buffer.from('ICC_PROFILE\0\x01\x01', 'latin1'), Buffer.from(city))),
    provenance: behind(segment(0xeb, Buffer.from(`JP\0\x01\0\0\0\x01\0\0\0\x40jumbjumdc2pa ${city}`, 'latin1'))),
    'stray bytes': behind(Buffer.from(city), exifSegment(exifWithPlace())),
    'a second picture behind it': Buffer.concat([jpeg, withExif]),
    'a film behind it': Buffer.concat([withExif, movieWithPlace()]),
    'tables that are longer than they should be': behind(segment(0xdb, new Uint8Array(65), Buffer.from(city))),
  }
}

export function pngChunk(type: string, body: Uint8Array, crc32: (bytes: Uint8Array) => number): Uint8Array {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), body])
  return Buffer.concat([u32(body.length), named, u32(crc32(named))])
}

/** @param png a picture as a writer makes it */
export function pngsWithPlace(png: Uint8Array, crc32: (bytes: Uint8Array) => number): Record<string, Uint8Array> {
  const headEnd = 8 + 25
  const behind = (type: string, body: Uint8Array) =>
    Buffer.concat([png.subarray(0, headEnd), pngChunk(type, body, crc32), png.subarray(headEnd)])
  const packed = deflateSync(Buffer.from(city))
  return {
    eXIf: behind('eXIf', exifWithPlace()),
    tEXt: behind('tEXt', Buffer.from(`Location\0${city}`, 'latin1')),
    zTXt: behind('zTXt', Buffer.concat([Buffer.from('Location\0\0', 'latin1'), packed])),
    iTXt: behind('iTXt', Buffer.from(`XML:com.adobe.xmp\0\0\0\0\0${xmp}`, 'latin1')),
    'a private chunk': behind('plAc', Buffer.from(city)),
    'a profile': behind('iCCP', Buffer.concat([Buffer.from(`${city}\0\0`, 'latin1'), packed])),
    'behind the end': Buffer.concat([png, Buffer.from(city)]),
  }
}

export function box(type: string, ...content: Uint8Array[]): Uint8Array {
  const body = Buffer.concat(content)
  return Buffer.concat([u32(body.length + 8), Buffer.from(type, 'latin1'), body])
}

const full = (...numbers: number[]) => Buffer.concat([u32(0), ...numbers.map(u32)])

/** One frame of H.264: a message with a place, and a picture. */
export const frame = Buffer.concat(
  [
    Buffer.concat([Uint8Array.of(6, 5, 16 + city.length), new Uint8Array(16), Buffer.from(city), Uint8Array.of(0x80)]),
    Uint8Array.of(0x65, 0x88, 0x84, 1, 2, 3, 4, 5),
  ].flatMap((unit) => [u32(unit.length), unit]),
)

/** A film of one frame, a track of positions, user data, and bytes that belong to nothing. */
export function movieWithPlace(handler = 'mdir'): Uint8Array {
  const kind = box('ftyp', Buffer.from('isom\0\0\x02\0isommp42', 'latin1'))
  const telemetry = Buffer.from(`GPS5 ${city}`)
  const head = box(
    'moov',
    box('mvhd', full(0, 0, 1000, 1000, 0x10000), new Uint8Array(80)),
    track('vide', 'avc1', kind.length + 8, frame.length),
    track('meta', 'gpmd', kind.length + 8 + frame.length, telemetry.length),
    box(
      'udta',
      box('\xa9xyz', u16(18), u16(0x15c7), Buffer.from('+26.2811+127.7783/')),
      box('loci', full(), Buffer.from(`${city}\0`), new Uint8Array(16)),
      box('meta', full(), box('hdlr', full(0), Buffer.from(handler), new Uint8Array(12)), Buffer.from(city)),
    ),
    box('meta', box('hdlr', full(0), Buffer.from('mdta'), new Uint8Array(12)), box('keys', Buffer.from(city))),
  )
  const id = Buffer.from('be7acfcb97a942e89c71999491e3afac', 'hex')
  return Buffer.concat([
    kind,
    box('mdat', frame, telemetry, Buffer.from(city)),
    head,
    box('uuid', id, Buffer.from(xmp)),
    box('XYZ ', Buffer.from(city)),
  ])
}

function track(handler: string, codec: string, at: number, size: number): Uint8Array {
  const isVideo = handler === 'vide'
  const entry = isVideo
    ? box(
        codec,
        new Uint8Array(6),
        u16(1),
        new Uint8Array(34),
        Buffer.from(city.padEnd(32, '\0')),
        new Uint8Array(4),
        avcC,
      )
    : box(codec, new Uint8Array(6), u16(1), Buffer.from(city))
  return box(
    'trak',
    box('tkhd', full(0, 0, isVideo ? 1 : 2, 0, 1000), new Uint8Array(60)),
    box('udta', box('name', Buffer.from(city))),
    box(
      'mdia',
      box('mdhd', full(0, 0, 1000, 1000), new Uint8Array(4)),
      box('hdlr', full(0), Buffer.from(handler), new Uint8Array(12), Buffer.from(`${city}\0`)),
      box(
        'minf',
        isVideo ? box('vmhd', Uint8Array.of(0, 0, 0, 1), new Uint8Array(8)) : box('nmhd', full()),
        box('dinf', box('dref', full(1), box('url ', Uint8Array.of(0, 0, 0, 1)))),
        box(
          'stbl',
          box('stsd', full(1), entry),
          box('stts', full(1, 1, 1000)),
          box('stsc', full(1, 1, 1, 1)),
          box('stsz', full(0, 1, size)),
          box('stco', full(1, at)),
        ),
      ),
    ),
  )
}

const avcC = box('avcC', Uint8Array.of(1, 66, 0, 10, 0xff, 0xe0, 0))

/** A PDF of one page with a photo, information, XMP, an attachment, a map's measure, and an earlier state. */
export function pdfWithPlace(jpeg: Uint8Array, size: { width: number; height: number }): Uint8Array {
  const photo = Buffer.concat([jpeg.subarray(0, 2), exifSegment(exifWithPlace()), jpeg.subarray(2)])
  const stream = (dictionary: string, data: Uint8Array) =>
    Buffer.concat([
      Buffer.from(`<< ${dictionary} /Length ${data.length} >>\nstream\n`),
      data,
      Buffer.from('\nendstream'),
    ])
  const packed = Buffer.from(`<< /Title (${city}) >> << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>`)
  const fontAt = packed.indexOf('<< /Type /Font')
  const objects: [number, string | Uint8Array][] = [
    [7, `<< /Author (${city}) >>`],
    [1, `<< /Type /Catalog /Pages 2 0 R /Metadata 6 0 R /Names << /EmbeddedFiles 8 0 R >> >>`],
    [2, '<< /Type /Pages /Kids [3 0 R] /Count 1 >>'],
    [
      3,
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /LastModified (D:2026) /VP [<< /Name (${city}) /Measure << /GPTS [26.28 127.77] >> >>]
       /Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (https://maps.example/${city}) >> >>]
       /Resources << /Font << /F 10 0 R >> /XObject << /P 5 0 R >> >> /PieceInfo << /X (${city}) >> >>`,
    ],
    [4, stream('', Buffer.from('q 200 0 0 200 0 0 cm /P Do Q BT /F 12 Tf (Hello \\(there\\)) Tj ET'))],
    [
      5,
      stream(
        `/Type /XObject /Subtype /Image /Width ${size.width} /Height ${size.height} /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode /Metadata 6 0 R`,
        photo,
      ),
    ],
    [6, stream('/Type /Metadata /Subtype /XML', Buffer.from(xmp))],
    [8, `<< /Names [(${city}) 7 0 R] >>`],
    [
      11,
      stream(
        `/Type /ObjStm /N 2 /First ${`9 0 10 ${fontAt} `.length} /Filter /FlateDecode`,
        deflateSync(Buffer.concat([Buffer.from(`9 0 10 ${fontAt} `), packed])),
      ),
    ],
  ]
  return Buffer.concat([
    Buffer.from(`%PDF-1.7\n% ${city}\n`),
    ...objects.flatMap(([number, object]) => [
      Buffer.from(`${number} 0 obj\n`),
      Buffer.from(object),
      Buffer.from('\nendobj\n'),
    ]),
    Buffer.from(`trailer\n<< /Size 12 /Root 1 0 R /Info 7 0 R >>\nstartxref\n0\n%%EOF\n`),
  ])
}

/** A WebP whose picture nobody decodes, with EXIF, XMP and an unknown chunk. */
export function webpWithPlace(): Uint8Array {
  const little = (number: number) => Uint8Array.from(u32(number)).reverse()
  const chunk = (type: string, body: Uint8Array) =>
    Buffer.concat([Buffer.from(type, 'latin1'), little(body.length), body, new Uint8Array(body.length % 2)])
  const body = Buffer.concat([
    Buffer.from('WEBP'),
    chunk('VP8X', Uint8Array.of(0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    chunk('VP8L', Uint8Array.of(0x2f, 0, 0, 0, 0)),
    chunk('EXIF', exifWithPlace()),
    chunk('XMP ', Buffer.from(xmp)),
    chunk('plac', Buffer.from(city)),
  ])
  return Buffer.concat([Buffer.from('RIFF'), little(body.length), body])
}

/** A HEIC whose picture nobody decodes, with EXIF and XMP as items. */
export function heifWithPlace(): Uint8Array {
  const kind = box('ftyp', Buffer.from('heic\0\0\0\0mif1heic', 'latin1'))
  const picture = Buffer.alloc(40, 7)
  const exif = Buffer.concat([u32(0), exifWithPlace(), new Uint8Array(200)])
  const items: [string, Uint8Array][] = [
    ['hvc1', picture],
    ['Exif', exif],
    ['mime', Buffer.from(xmp)],
  ]
  const meta = (dataAt: number) => {
    let at = dataAt
    const places = items.map(([, { length }], i) => {
      at += length
      return Buffer.concat([u16(i + 1), u16(0), u16(1), u32(at - length), u32(length)])
    })
    const entries = items.map(([type], i) =>
      box('infe', Uint8Array.of(2, 0, 0, 0), u16(i + 1), u16(0), Buffer.from(`${type}${city}\0`)),
    )
    return box(
      'meta',
      u32(0),
      box('hdlr', full(0), Buffer.from('pict'), new Uint8Array(12), Buffer.from(`${city}\0`)),
      box('pitm', u32(0), u16(1)),
      box('iloc', u32(0), u16(0x4400), u16(items.length), ...places),
      box('iinf', u32(0), u16(items.length), ...entries),
      box('iprp', box('ipco', box('ispe', full(8, 8)), box('udes', u32(0), Buffer.from(city)))),
    )
  }
  const dataAt = kind.length + meta(0).length + 8
  return Buffer.concat([kind, meta(dataAt), box('mdat', ...items.map(([, content]) => content), Buffer.from(city))])
}
