import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isProblem } from '@azukari/protocol/problem'
import fc from '@azukari/protocol/test-properties'
import sharp from 'sharp'
import t from 'tap'
import type { Raster } from './drivers.ts'
import { readStructure } from './picture/structure.ts'
import { decodePicture, decodeUpright, encodeJpeg, readExif, rotate, shrink, takenMsOf, thumbnail } from './picture.ts'

// In the repository's neighbour; a worktree lies one folder deeper.
const data =
  process.env.AZUKARI_DATA ??
  ['../../../shared/data', '../../../../shared/data'].map((path) => join(import.meta.dirname, path)).find(existsSync)
const photos = data ? join(data, 'photos') : ''
const skip = { skip: !existsSync(photos) && 'no photos on this machine' }

/** A picture that a JPEG keeps well: soft gradients. */
function gradient(width: number, height: number): Raster {
  const rgba = new Uint8Array(width * height * 4)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) rgba.set([(x * 255) / width, (y * 255) / height, 128, 255], (y * width + x) * 4)
  return { width, height, rgba }
}

function corruptCode(bytes: Uint8Array): string | undefined {
  try {
    decodePicture(bytes)
    return undefined
  } catch (error) {
    if (!isProblem(error)) throw error
    return error.code
  }
}

t.test('S10: every photo decodes, and the damaged one is refused', skip, (t) => {
  for (const name of readdirSync(photos).filter((name) => name.endsWith('.jpg'))) {
    const bytes = readFileSync(join(photos, name))
    if (name === 'corrupted.jpg') {
      t.throws(() => decodePicture(bytes), { code: 'photo.corrupt' }, name)
      continue
    }
    const { width, height, rgba } = decodePicture(bytes)
    const structure = readStructure(bytes)
    t.same(
      [width, height, rgba.length],
      [structure.width, structure.height, width * height * 4],
      `${name} ${width} × ${height}`,
    )
    const small = decodePicture(thumbnail(bytes))
    t.equal(Math.max(small.width, small.height), 160)
  }
  t.end()
})

/** Pixels as libvips decodes them: a decoder that is not ours. Colour values as they are stored. */
async function independently(bytes: Uint8Array): Promise<Buffer> {
  return sharp(bytes, { ignoreIcc: true, failOn: 'none' }).ensureAlpha().raw().toBuffer()
}

/** A JPEG with Adobe's segment, its frame's components renamed. */
function asAdobe(jpeg: Uint8Array, transform: number, ids?: string): Uint8Array {
  const adobe = Uint8Array.of(0xff, 0xee, 0, 14, ...Buffer.from('Adobe'), 0, 100, 0, 0, 0, 0, transform)
  const out = Uint8Array.from(jpeg)
  for (const [i, id] of [...(ids ?? '')].entries()) {
    const frame = Buffer.from(out).indexOf(Uint8Array.of(0xff, 0xc0))
    const scan = Buffer.from(out).indexOf(Uint8Array.of(0xff, 0xda))
    out[frame + 10 + 3 * i] = id.charCodeAt(0)
    out[scan + 5 + 2 * i] = id.charCodeAt(0)
  }
  // Without JFIF's segment, which would say that the colours are YCbCr.
  const from = out[3] === 0xe0 ? 4 + ((out[4]! << 8) | out[5]!) : 2
  return Buffer.concat([out.subarray(0, 2), adobe, out.subarray(from)])
}

t.test('S10: colours are those that an independent decoder sees, pixel by pixel', async (t) => {
  const plain = encodeJpeg(gradient(60, 40), 90)
  const pictures: Record<string, Uint8Array> = {
    'YCbCr as JFIF has it': plain,
    'YCbCr as Adobe says': asAdobe(plain, 1),
    'RGB as Adobe says': asAdobe(plain, 0),
    'RGB as its components are called': asAdobe(plain, 0, 'RGB'),
    'half the colours each way': await sharp(plain).jpeg({ chromaSubsampling: '4:2:0' }).toBuffer(),
    grey: await sharp(plain).greyscale().jpeg().toBuffer(),
    progressive: await sharp(plain).jpeg({ progressive: true }).toBuffer(),
  }
  for (const [name, bytes] of Object.entries(pictures)) {
    const { rgba, width, height } = decodePicture(bytes)
    t.same([width, height], [60, 40])
    t.ok(Buffer.from(rgba).equals(await independently(bytes)), name)
  }
  const red = decodePicture(pictures['RGB as its components are called']!).rgba
  t.notOk(Buffer.from(red).equals(Buffer.from(decodePicture(plain).rgba)), 'RGB is not taken for YCbCr')
})

t.test('S10: CMYK and YCCK come out as the light that their inks leave', async (t) => {
  const cmyk = await sharp(encodeJpeg(gradient(64, 48), 95))
    .toColourspace('cmyk')
    .jpeg({ quality: 95 })
    .toBuffer()
  const transformAt = cmyk.indexOf('Adobe') + 11
  const ycck = Buffer.from(cmyk)
  ycck[transformAt] = 2
  for (const [name, bytes] of Object.entries({ CMYK: cmyk, YCCK: ycck })) {
    const inks = await sharp(bytes, { ignoreIcc: true })
      .pipelineColourspace('cmyk')
      .toColourspace('cmyk')
      .raw()
      .toBuffer()
    const { rgba } = decodePicture(bytes)
    t.equal(rgba.length, inks.length)
    let sum = 0
    for (let at = 0; at < inks.length; at += 4)
      for (let i = 0; i < 3; i++) {
        const light = ((255 - inks[at + i]!) * (255 - inks[at + 3]!)) / 255
        sum += Math.abs(rgba[at + i]! - light)
      }
    t.ok(sum / ((inks.length / 4) * 3) < 2, `${name}: ${(sum / ((inks.length / 4) * 3)).toFixed(2)} of 255`)
  }
  const nameless = Buffer.from(cmyk)
  nameless.write('Nobod', nameless.indexOf('Adobe'), 'latin1')
  t.equal(corruptCode(nameless), 'object.not-printable', 'four inks that do not say how they are meant')
})

t.test('S10: stray bytes before a marker do not matter, arithmetic coding is told', async (t) => {
  const plain = encodeJpeg(gradient(40, 30))
  const stray = Buffer.concat([plain.subarray(0, 2), Uint8Array.of(0, 0x42), plain.subarray(2)])
  t.same(decodePicture(stray), decodePicture(plain))
  t.ok(Buffer.from(decodePicture(stray).rgba).equals(await independently(stray)))
  const scanEnd = Buffer.concat([plain.subarray(0, -2), Uint8Array.of(0x11), plain.subarray(-2)])
  t.same(decodePicture(scanEnd), decodePicture(plain), 'nor does a byte too many at the end of the scan')
  const endless = Buffer.concat([plain.subarray(0, 2), Buffer.alloc(70_000), plain.subarray(2)])
  t.equal(corruptCode(endless), 'photo.corrupt', 'but not any number of them')
  for (const marker of [0xc9, 0xca]) {
    const coded = Buffer.from(plain)
    coded[coded.indexOf(Uint8Array.of(0xff, 0xc0)) + 1] = marker
    t.equal(corruptCode(coded), 'object.not-printable', `arithmetic coding, ${marker.toString(16)}`)
  }
})

const faults = data ? join(data, 'faults/photos') : ''
t.test('S10: photos that came out wrong', { skip: !existsSync(faults) && 'no photos on this machine' }, async (t) => {
  const bytes = (name: string) => readFileSync(join(faults, name))
  t.same([...decodePicture(bytes('i-rgb-red.jpg')).rgba.subarray(0, 4)], [255, 0, 0, 255])
  for (const name of readdirSync(faults))
    t.ok(Buffer.from(decodePicture(bytes(name)).rgba).equals(await independently(bytes(name))), name)
  for (const name of readdirSync(photos).filter((name) => name.endsWith('.jpg') && name !== 'corrupted.jpg')) {
    const photo = readFileSync(join(photos, name))
    t.ok(Buffer.from(decodePicture(photo).rgba).equals(await independently(photo)), name)
  }
})

t.test('S10: a photo cut off anywhere is refused', skip, (t) => {
  const bytes = readFileSync(join(photos, 'DSCN0010.jpg'))
  for (const part of [0.001, 0.05, 0.3, 0.6, 0.9, 0.999]) {
    const cut = bytes.subarray(0, Math.floor(bytes.length * part))
    t.equal(corruptCode(cut), 'photo.corrupt', `${part} of it`)
    t.equal(
      corruptCode(Buffer.concat([cut, Uint8Array.of(0xff, 0xd9)])),
      'photo.corrupt',
      `${part} of it, with an end mark`,
    )
  }
  t.end()
})

t.test('S17: EXIF of real cameras', skip, (t) => {
  const exif = (name: string) => readExif(readFileSync(join(photos, name)))
  t.match(exif('DSCN0010.jpg'), {
    orientation: 1,
    make: 'NIKON',
    model: 'COOLPIX P6000',
    takenAt: '2008:10:22 16:28:39',
  })
  const { latitude, longitude } = exif('DSCN0010.jpg').position!
  t.ok(Math.abs(latitude - 43.46745) < 0.001 && Math.abs(longitude - 11.88513) < 0.001, `${latitude}, ${longitude}`)
  t.equal(exif('portrait_6.jpg').orientation, 6)
  t.ok(Object.keys(exif('corrupted.jpg')).length >= 1)
  const upright = decodeUpright(readFileSync(join(photos, 'portrait_6.jpg')))
  t.ok(upright.height > upright.width, 'a portrait stands')
  t.end()
})

t.test('S10: all eight orientations stand upright', (t) => {
  // 3 × 2 pixels, numbered; what TIFF says each orientation looks like when it is put right.
  const stored = {
    width: 3,
    height: 2,
    rgba: Uint8Array.from({ length: 24 }, (_, i) => (i % 4 === 3 ? 255 : Math.floor(i / 4))),
  }
  const rows = ({ width, height, rgba }: Raster) =>
    Array.from({ length: height }, (_, y) =>
      Array.from({ length: width }, (_, x) => rgba[(y * width + x) * 4]).join(''),
    ).join('/')
  const upright = ['012/345', '210/543', '543/210', '345/012', '03/14/25', '30/41/52', '52/41/30', '25/14/03']
  for (let orientation = 1; orientation <= 8; orientation++)
    t.equal(rows(rotate(stored, orientation)), upright[orientation - 1], `orientation ${orientation}`)
  for (const odd of [0, 9, -1, Number.NaN]) t.equal(rotate(stored, odd), stored)
  const view = {
    ...stored,
    rgba: new Uint8Array(Buffer.concat([Buffer.alloc(1), stored.rgba]).buffer, 1).subarray(0, 0),
  }
  t.ok(view)
  const shifted = new Uint8Array(25)
  shifted.set(stored.rgba, 1)
  t.equal(
    rows(rotate({ ...stored, rgba: shifted.subarray(1) }, 3)),
    '543/210',
    'pixels that begin anywhere in a buffer',
  )
  t.end()
})

t.test('S10: pictures made here decode, shrink and keep their colours', (t) => {
  for (const [width, height] of [
    [1, 1],
    [7, 3],
    [64, 48],
    [401, 33],
  ] as const) {
    const original = gradient(width, height)
    const back = decodePicture(encodeJpeg(original, 95))
    t.same([back.width, back.height], [width, height])
    let difference = 0
    for (let i = 0; i < original.rgba.length; i++) difference += Math.abs(original.rgba[i]! - back.rgba[i]!)
    if (width >= 64) t.ok(difference / original.rgba.length < 4, `${difference / original.rgba.length}`)
  }
  const small = shrink(gradient(400, 200), 160)
  t.same([small.width, small.height], [160, 80])
  t.ok(Math.abs(small.rgba[80 * 4]! - 128) < 3 && small.rgba[3] === 255)
  t.equal(shrink(small, 160), small, 'never larger')
  t.same(shrink({ width: 1000, height: 1, rgba: new Uint8Array(4000) }, 10).height, 1)
  t.end()
})

t.test('S10: what is no picture, too large, or made to keep a board busy is refused', (t) => {
  const good = encodeJpeg(gradient(40, 30))
  t.equal(corruptCode(good), undefined)
  t.equal(
    corruptCode(Buffer.concat([good, Buffer.from('a note behind the picture')])),
    undefined,
    'what follows the end does not matter',
  )
  t.equal(corruptCode(new Uint8Array(0)), 'photo.corrupt')
  t.equal(corruptCode(new TextEncoder().encode('GIF89a')), 'photo.corrupt')
  for (let length = 2; length < good.length; length += 7)
    if (corruptCode(good.subarray(0, length)) !== 'photo.corrupt') t.fail(`cut at ${length}`)
  const frame = good.findIndex((byte, i) => byte === 0xff && good[i + 1] === 0xc0)
  const changed = (at: number, ...bytes: number[]) => {
    const copy = good.slice()
    copy.set(bytes, at)
    return copy
  }
  t.equal(corruptCode(changed(frame + 5, 0xff, 0xff, 0xff, 0xff)), 'photo.too-large', '65,535 × 65,535')
  t.equal(corruptCode(changed(frame + 5, 0, 0)), 'photo.corrupt', 'no height')
  t.equal(corruptCode(changed(frame + 1, 0xc3)), 'object.not-printable', 'lossless JPEG')
  t.equal(corruptCode(changed(frame + 4, 12)), 'object.not-printable', '12 bits')
  t.equal(corruptCode(changed(frame + 5, 3, 0xe8)), 'photo.corrupt', 'more lines than there are')
  t.throws(
    () => readStructure(changed(frame + 5, 0x1f, 0x40, 0x1f, 0x40)),
    { code: 'photo.corrupt' },
    '8,000 × 8,000 in a thousand bytes: known before any memory is taken',
  )
  t.equal(corruptCode(changed(frame + 11, 0x05)), 'photo.corrupt', 'sampling')
  const scan = good.findIndex((byte, i) => byte === 0xff && good[i + 1] === 0xda)
  const scanHeader = good.subarray(scan, scan + 2 + ((good[scan + 2]! << 8) | good[scan + 3]!))
  const bomb = Buffer.concat([
    good.subarray(0, scan),
    ...Array.from({ length: 100 }, () => scanHeader),
    good.subarray(scan),
  ])
  t.equal(corruptCode(bomb), 'photo.too-large', 'a hundred scans')
  t.end()
})

t.test('S10: random damage gives a picture or a coded problem, never anything else', (t) => {
  const good = encodeJpeg(gradient(48, 32))
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 8 }),
      (damage) => {
        const copy = good.slice()
        for (const [at, value] of damage) copy[at] = value
        // Headers that say "huge" are refused or take memory in proportion; here they must only not crash.
        corruptCode(copy)
        readExif(copy)
        return true
      },
    ),
    { numRuns: 300 },
  )
  t.end()
})

t.test('S17: hostile EXIF gives nothing, and never more work than its bytes', (t) => {
  const segment = (tiff: Uint8Array) =>
    Buffer.concat([
      Uint8Array.of(0xff, 0xd8, 0xff, 0xe1, (tiff.length + 8) >> 8, (tiff.length + 8) & 255),
      Buffer.from('Exif\0\0'),
      tiff,
      Uint8Array.of(0xff, 0xd9),
    ])
  const tiff = (...bytes: number[]) => segment(Uint8Array.from([0x4d, 0x4d, 0, 42, 0, 0, 0, 8, ...bytes]))
  const none = { orientation: 1 }
  t.same(readExif(segment(Uint8Array.of(1, 2, 3))), none)
  t.same(readExif(tiff()), none, 'no directory')
  t.same(readExif(tiff(0xff, 0xff)), none, 'a directory of 65,535')
  t.same(readExif(tiff(0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 9, 0, 0)), none, 'orientation 9')
  t.same(readExif(tiff(0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0)), { orientation: 6 })
  t.same(readExif(tiff(0, 1, 0x01, 0x10, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 8)), none, 'a text of four gigabytes')
  t.same(readExif(tiff(0, 1, 0x01, 0x10, 0, 2, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xf0)), none, 'a text outside')
  t.same(readExif(tiff(0, 1, 0x87, 0x69, 0, 4, 0, 0, 0, 1, 0, 0, 0, 8)), none, 'a directory that points to itself')
  t.same(readExif(Uint8Array.of(0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff)), none, 'a segment that ends after the file')
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      (bytes) => readExif(segment(Buffer.concat([Buffer.from('II*\0\x08\0\0\0', 'latin1'), bytes]))).orientation >= 1,
    ),
    { numRuns: 2000 },
  )
  t.equal(takenMsOf({ orientation: 1 }), undefined)
  t.equal(takenMsOf({ orientation: 1, takenAt: '2024:02:30 25:61:00' }), undefined)
  t.equal(takenMsOf({ orientation: 1, takenAt: '2024:02:29 12:00:00', offset: '+09:00' }), Date.UTC(2024, 1, 29, 3))
  t.equal(takenMsOf({ orientation: 1, takenAt: '2024:02:29 12:00:00' }), new Date(2024, 1, 29, 12).getTime())
  t.end()
})

t.test('S10: decoding is the same each time', skip, (t) => {
  const bytes = readFileSync(join(photos, 'DSCN0042.jpg'))
  const hash = () => createHash('sha256').update(decodePicture(bytes).rgba).digest('hex')
  t.equal(hash(), hash())
  t.end()
})
