import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, inflateSync } from 'node:zlib'
import sharp from 'sharp'
import t from 'tap'
import { readExif } from '../picture.ts'
import * as files from './test-files.ts'
import { frame } from './test-files.ts'
import { type LeftOut, type Source, sourceOf, withoutPlace } from './without-place.ts'

const data =
  process.env.AZUKARI_DATA ??
  ['../../../../shared/data', '../../../../../shared/data']
    .map((path) => join(import.meta.dirname, path))
    .find(existsSync)
const isThere = spawnSync('exiftool', ['-ver']).status === 0
const withExifTool = { skip: !isThere && 'no exiftool on this machine' }

/** A small picture with colours of its own, without anything beside it. */
const picture = sharp({ create: { width: 48, height: 32, channels: 3, background: { r: 200, g: 90, b: 40 } } })
const jpeg = new Uint8Array(await picture.clone().jpeg().toBuffer())
const png = new Uint8Array(await picture.clone().png().toBuffer())

async function cleaned(source: Uint8Array | Source): Promise<{ bytes: Buffer; leftOut: ReadonlySet<LeftOut> }> {
  const { pieces, leftOut } = await withoutPlace('read' in source ? source : sourceOf(source))
  const parts: Uint8Array[] = []
  for await (const piece of pieces) parts.push(Uint8Array.from(piece))
  return { bytes: Buffer.concat(parts), leftOut }
}

/** Pixels as an independent decoder sees them. */
const pixelsOf = (bytes: Uint8Array) => sharp(bytes, { failOn: 'none' }).raw().toBuffer()

/** The bytes, and whatever is packed in them. */
function opened(bytes: Buffer<ArrayBufferLike>): string {
  const texts = [bytes.toString('latin1')]
  for (let at = bytes.indexOf(0x78); at >= 0; at = bytes.indexOf(0x78, at + 1)) {
    try {
      texts.push(inflateSync(bytes.subarray(at), { finishFlush: 2 }).toString('latin1'))
    } catch {
      // Not everything that begins so is packed.
    }
  }
  return texts.join('\n')
}

function holdsPlace(bytes: Buffer): boolean {
  const text = opened(bytes)
  return /Ginowan|127\.77|GPSLatitude/.test(text) || bytes.includes(Buffer.from(files.latitudeRatios))
}

t.test('D8: nothing of a place is left in a JPEG, wherever it was, and it is the same picture', async (t) => {
  const before = await pixelsOf(jpeg)
  for (const [name, bytes] of Object.entries(files.jpegsWithPlace(jpeg))) {
    if (name.startsWith('tables')) {
      await t.rejects(cleaned(bytes), { code: 'place.not-removable' }, name)
      continue
    }
    t.ok(holdsPlace(Buffer.from(bytes)), `${name}: there is a place`)
    const { bytes: after, leftOut } = await cleaned(bytes)
    t.notOk(holdsPlace(after), `${name}: there is none`)
    t.ok((await pixelsOf(after)).equals(before), `${name}: the picture is the same`)
    t.equal(leftOut.has('provenance'), name === 'provenance', `${name}: it is said when the proof of origin went`)
    if (name === 'exif') t.equal(readExif(after).orientation, 6, 'it stands as it stood')
    t.same((await cleaned(after)).bytes, after, `${name}: doing it again changes nothing`)
  }
})

t.test('D8: what is kept of a JPEG: orientation, time, camera, exposure, colours', async (t) => {
  const exif = {
    IFD0: { Make: 'Azukari', Model: 'A1', Orientation: '8' },
    IFD2: {
      DateTimeOriginal: '2026:11:29 10:00:00',
      OffsetTimeOriginal: '+09:00',
      ExposureTime: '1/250',
      FNumber: '28/10',
    },
    IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '26/1 16/1 52/1' },
  }
  const original = await picture.clone().withExif(exif).withIccProfile('p3').jpeg().toBuffer()
  const { bytes } = await cleaned(new Uint8Array(original))
  t.match(readExif(bytes), { make: 'Azukari', model: 'A1', takenAt: '2026:11:29 10:00:00', offset: '+09:00' })
  const text = bytes.toString('latin1')
  t.ok(text.includes('\0\0\0\x01\0\0\0\xfa'), '1/250')
  const [before, after] = await Promise.all([original, bytes].map((one) => sharp(one).metadata()))
  t.equal(after!.orientation, before!.orientation)
  t.ok(before!.icc && after!.icc, 'the colour profile')
  const colours = (one: Uint8Array) => sharp(one).toColourspace('srgb').raw().toBuffer()
  t.same(await colours(bytes), await colours(original), 'its colours mean the same')
})

t.test('D8: nothing of a place is left in a PNG, WebP, AVIF, PDF, film or sound', async (t) => {
  for (const [name, bytes] of Object.entries(files.pngsWithPlace(png, crc32))) {
    t.ok(holdsPlace(Buffer.from(bytes)), `${name}: there is a place`)
    const { bytes: after } = await cleaned(bytes)
    t.notOk(holdsPlace(after), `${name}: there is none`)
    t.ok((await pixelsOf(after)).equals(await pixelsOf(png)), `${name}: the same picture`)
  }
  const tiff = { IFD0: { ImageDescription: files.city, Make: 'Azukari' }, IFD3: { GPSLatitude: '26/1 16/1 52/1' } }
  const xmp = `<x:xmpmeta xmlns:x="adobe:ns:meta/"><City>${files.city}</City></x:xmpmeta>`
  for (const kind of ['webp', 'avif'] as const) {
    const original = await picture.clone().withExif(tiff).withXmp(xmp).withIccProfile('p3')[kind]().toBuffer()
    t.ok(holdsPlace(original), `${kind}: there is a place`)
    const { bytes: after } = await cleaned(new Uint8Array(original))
    t.notOk(holdsPlace(after), `${kind}: there is none`)
    t.ok((await pixelsOf(after)).equals(await pixelsOf(original)), `${kind}: the same picture`)
    t.ok((await sharp(after).metadata()).icc, `${kind}: the colour profile`)
    t.match((await sharp(after).metadata()).exif?.toString('latin1'), /Azukari/, `${kind}: the camera`)
  }
  for (const [name, bytes] of [
    ['webp', files.webpWithPlace()],
    ['heic', files.heifWithPlace()],
  ] as const) {
    t.ok(holdsPlace(Buffer.from(bytes)), `${name}: there is a place`)
    t.notOk(holdsPlace((await cleaned(bytes)).bytes), `${name}: there is none`)
  }
  const pdf = files.pdfWithPlace(jpeg, { width: 48, height: 32 })
  const { bytes: pages } = await cleaned(pdf)
  t.notOk(holdsPlace(pages), 'pdf: there is none')
  for (const kept of ['/Kids [ 3 0 R ]', '/DCTDecode', '(Hello \\(there\\)) Tj', '/BaseFont /Helvetica'])
    t.ok(pages.includes(kept), `pdf: the page with ${kept}`)
  const sound = (...chunks: [string, Uint8Array][]) => {
    const body = Buffer.concat(
      chunks.flatMap(([type, content]) => {
        const size = Buffer.alloc(4)
        size.writeUInt32LE(content.length)
        return [Buffer.from(type), size, content, Buffer.alloc(content.length % 2)]
      }),
    )
    const size = Buffer.alloc(4)
    size.writeUInt32LE(body.length + 4)
    return Buffer.concat([Buffer.from('RIFF'), size, Buffer.from('WAVE'), body])
  }
  const format = Buffer.alloc(16, 1)
  const wave = sound(['fmt ', format], ['LIST', Buffer.from(files.city)], ['data', Buffer.alloc(9)])
  t.same((await cleaned(wave)).bytes, sound(['fmt ', format], ['data', Buffer.alloc(9)]))
})

t.test('D8: a film keeps its pictures where they were, and nothing else that says where it was made', async (t) => {
  const film = files.movieWithPlace()
  t.ok(holdsPlace(Buffer.from(film)))
  const { bytes, leftOut } = await cleaned(film)
  t.notOk(holdsPlace(bytes))
  t.equal(bytes.length, film.length, 'every place in the file means what it meant')
  const shown = frame.subarray(-12)
  t.equal(bytes.indexOf(shown), Buffer.from(film).indexOf(shown), 'the picture')
  t.ok(leftOut.has('tracks'), 'it is said that a track went')
  t.notMatch(bytes.toString('latin1'), /gpmd|udta|uuid|keys/)
  let largest = 0
  const long = Buffer.concat([film, files.box('XYZ ', new Uint8Array(3_000_000))])
  await cleaned({
    sizeBytes: long.length,
    read: async (at, length) => {
      largest = Math.max(largest, length)
      return long.subarray(at, at + length)
    },
  })
  t.ok(largest <= 65_536, 'a film is not taken into memory whole')
})

t.test('D8: what cannot be made safe is told, not passed', async (t) => {
  const film = Buffer.from(files.movieWithPlace())
  const changed = (bytes: Buffer, from: string, to: string) => {
    const copy = Buffer.from(bytes)
    for (let at = copy.indexOf(from); at >= 0; at = copy.indexOf(from, at + 1)) copy.write(to, at, 'latin1')
    return copy
  }
  const pdf = Buffer.from(files.pdfWithPlace(jpeg, { width: 48, height: 32 }))
  const refused: Record<string, Uint8Array> = {
    'a cut off JPEG': jpeg.subarray(0, -20),
    'a JPEG of nothing': Uint8Array.of(0xff, 0xd8, 0xff, 0xd9),
    'a cut off PNG': png.subarray(0, -20),
    'a PNG with an unknown critical chunk': changed(Buffer.from(png), 'IDAT', 'JDAT'),
    'a film in fragments': changed(film, 'XYZ ', 'moof'),
    'a film of an unknown codec': changed(film, 'avc1', 'mjpa'),
    'a film whose samples lie outside': changed(film, 'mdat', 'free'),
    'a film cut off': film.subarray(0, -30),
    'a film without tracks': changed(film, 'vide', 'data'),
    'an encrypted PDF': changed(pdf, '/Info 7 0 R', '/Encrypt 7 0'),
    'a PDF with JPEG 2000': changed(pdf, '/DCTDecode', '/JPXDecode'),
    'a PDF without a catalogue': changed(pdf, '/Root', '/Ruut'),
    'a PDF whose catalogue is not there': changed(pdf, '/Root 1 0', '/Root 0 0'),
    'a track of positions': Buffer.from('<?xml version="1.0"?><gpx><trkpt lat="26.28" lon="127.77"/></gpx>'),
    GeoJSON: Buffer.from('{"type":"Point","coordinates":[127.77,26.28]}'),
    'a visiting card': Buffer.from('BEGIN:VCARD\nGEO:26.28;127.77\nEND:VCARD'),
    mail: Buffer.from('From: a\nMIME-Version: 1.0\n\nx'),
    'an archive': Buffer.from('PK\x03\x04 Ginowan', 'latin1'),
    TIFF: Buffer.from('II*\0\x08\0\0\0', 'latin1'),
  }
  for (const [name, bytes] of Object.entries(refused))
    await t.rejects(cleaned(bytes), { code: 'place.not-removable' }, name)
  const diary = Buffer.from('Rain all day.\nCalled at noon: the roof holds.\n雨\n')
  t.same((await cleaned(diary)).bytes, diary, 'plain text is what somebody wrote')
  t.equal((await cleaned(new Uint8Array(0))).bytes.length, 0)
})

t.test('D8: exiftool finds no place in anything', withExifTool, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'place-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const film = files.movieWithPlace()
  const originals: Record<string, Uint8Array> = {
    'a.jpg': jpeg,
    'b.png': png,
    'c.webp': await picture.clone().webp().toBuffer(),
    'd.avif': await picture.clone().avif().toBuffer(),
    // With a table of where everything is, so that exiftool can add to it.
    'e.pdf': (await cleaned(files.pdfWithPlace(jpeg, { width: 48, height: 32 }))).bytes,
    'f.mp4': film,
    'g.mov': Buffer.concat([files.box('ftyp', Buffer.from('qt  \0\0\x02\0qt  qt  ')), film.subarray(24)]),
  }
  for (const [name, bytes] of Object.entries(originals)) writeFileSync(join(folder, name), bytes)
  const tags = [
    '-GPSLatitude=26.281111',
    '-GPSLatitudeRef=N',
    '-GPSLongitude=127.778333',
    '-GPSLongitudeRef=E',
    '-XMP:GPSLatitude=26.281111',
    '-XMP:GPSLongitude=127.778333',
    '-GPSCoordinates=26.281111, 127.778333',
    '-IPTC:City=Ginowan',
    '-IPTC:Sub-location=Ginowan',
    '-IPTC:Province-State=Ginowan',
    '-XMP:City=Ginowan',
    '-XMP:Location=Ginowan',
    '-XMP-iptcExt:LocationCreatedCity=Ginowan',
    '-XMP-iptcExt:LocationShownCity=Ginowan',
    '-Comment=Ginowan',
    '-PNG:Description=Ginowan',
    '-PDF:Subject=Ginowan',
    '-PDF:Keywords=Ginowan',
    '-Keys:GPSCoordinates=26.281111, 127.778333',
    '-UserData:GPSCoordinates=26.281111, 127.778333',
    '-UserData:LocationInformation=Ginowan',
    `-XMP-dc:Description=Ginowan ${'x'.repeat(70_000)}`,
    '-Photoshop:CaptionWriter=Ginowan',
    '-DateTimeOriginal=2026:11:29 10:00:00',
    '-Orientation#=6',
  ]
  const tool = (args: string[]) =>
    execFileSync('exiftool', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  // What one kind of file cannot hold is left out of it, and the rest is written.
  for (const name of Object.keys(originals))
    spawnSync('exiftool', ['-m', '-q', '-overwrite_original', ...tags, join(folder, name)], { stdio: 'ignore' })
  const shown = (name: string) => tool(['-a', '-u', '-ee', '-G1', '-s', join(folder, name)])
  for (const name of Object.keys(originals)) {
    t.match(shown(name), /GPS|Ginowan/, `${name}: there is a place`)
    const { bytes } = await cleaned(new Uint8Array(readFileSync(join(folder, name))))
    writeFileSync(join(folder, name), bytes)
    t.notMatch(shown(name), /GPS|Ginowan|26 deg|127\.77/, `${name}: there is none`)
    t.notOk(holdsPlace(bytes), `${name}: nor in its bytes`)
    t.notMatch(shown(name), /Warning|Error/, `${name}: it is a sound file`)
  }
  t.match(shown('a.jpg'), /DateTimeOriginal\s+: 2026:11:29 10:00:00/, 'the time stays')
})

t.test('D8: photos of real cameras lose their places', { skip: !(data && isThere) && 'no photos here' }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'place-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const kind of ['photos', 'faults/photos'])
    for (const name of readdirSync(join(data!, kind)).filter(
      (name) => name.endsWith('.jpg') && name !== 'corrupted.jpg',
    )) {
      const original = readFileSync(join(data!, kind, name))
      const { bytes } = await cleaned(new Uint8Array(original))
      writeFileSync(join(folder, name), bytes)
      t.ok((await pixelsOf(bytes)).equals(await pixelsOf(original)), `${name}: the same picture`)
    }
  const shown = execFileSync('exiftool', ['-a', '-u', '-ee', '-G1', '-s', folder], { encoding: 'utf8' })
  t.notMatch(
    shown,
    /\[(GPS|IPTC|XMP[^\]]*|Photoshop|MPF\d*|MakerNotes|Nikon|Canon|Apple)\]|City|Country/,
    'none has a place',
  )
})
