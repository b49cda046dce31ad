import { readFileSync } from 'node:fs'
import { inflateSync } from 'node:zlib'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import { pageFontFile, pageFontPath, readFont } from '../adapters/page-font-file.ts'
import { letterPdf } from './letter.ts'
import { makePdf } from './pdf.ts'
import { TrueTypeFont } from './true-type.ts'

/** Big-endian 16-bit words. */
const words = (...values: number[]) => {
  const bytes = Buffer.alloc(2 * values.length)
  values.forEach((value, n) => void bytes.writeUInt16BE(value & 0xffff, 2 * n))
  return bytes
}
const long = (value: number) => [value >>> 16, value & 0xffff]

/** A triangle, `size` units wide. */
const triangle = (size: number) =>
  Buffer.concat([
    words(1, 0, 0, size, size, 2, 0),
    Buffer.from([1, 1, 1]),
    words(0, size, 0, 0, 0, size),
    Buffer.alloc(1),
  ])

interface Made {
  map?: 4 | 12
  embedding?: number
  change?: (tables: Record<string, Buffer>) => void
}

/**
 * A font of five glyphs: 0 empty, 1 あ, 2 い, 3 が (composed of 1 and 4), 4 a mark that no character has; and 〓 as 2.
 * With map 12 also U+20BB7 as 1.
 */
function font({ map = 4, embedding = 0, change }: Made = {}): Uint8Array {
  const composed = Buffer.concat([
    words(-1, 0, 0, 100, 100),
    words(0x0021, 1, 0, 0),
    words(0x0008, 4),
    Buffer.from([10, 10]),
    words(0x2000),
  ])
  const outlines = [Buffer.alloc(0), triangle(500), triangle(700), composed, triangle(90)].map((one) =>
    Buffer.concat([one, Buffer.alloc(-one.length & 3)]),
  )
  let end = 0
  const places = [0, ...outlines.map(({ length }) => (end += length))]
  const pairs = [
    [0x3013, 2],
    [0x3042, 1],
    [0x3044, 2],
    [0x304c, 3],
  ] as const
  const four = Buffer.concat([
    words(4, 16 + 8 * (pairs.length + 1), 0, 2 * (pairs.length + 1), 0, 0, 0),
    words(...pairs.map(([code]) => code), 0xffff),
    words(0),
    words(...pairs.map(([code]) => code), 0xffff),
    words(...pairs.map(([code, glyph]) => glyph - code), 1),
    words(...pairs.map(() => 0), 0),
  ])
  const groups = [...pairs, [0x20bb7, 1] as const]
  const twelve = words(
    12,
    0,
    ...long(16 + 12 * groups.length),
    0,
    0,
    ...long(groups.length),
    ...groups.flatMap(([code, glyph]) => [...long(code), ...long(code), ...long(glyph)]),
  )
  const name = Buffer.from('Small-Regular', 'utf16le').swap16()
  const tables: Record<string, Buffer> = {
    'OS/2': Buffer.concat([words(4, 0, 0, 0, embedding), Buffer.alloc(78), words(700), Buffer.alloc(6)]),
    cmap: Buffer.concat([words(0, 1, 3, map === 4 ? 1 : 10, ...long(12)), map === 4 ? four : twelve]),
    'cvt ': words(1, 2),
    glyf: Buffer.concat(outlines),
    head: Buffer.concat([
      words(1, 0, 0, 0, 0, 0, 0x5f0f, 0x3cf5, 0, 1000),
      Buffer.alloc(16),
      words(0, -120, 1000, 880, 0, 8, 2, 1, 0),
    ]),
    hhea: Buffer.concat([words(1, 0, 880, -120, 0), Buffer.alloc(24), words(4)]),
    hmtx: words(1000, 0, 1000, 1, 1000, 2, 1000, 3, 4),
    loca: words(...places.flatMap(long)),
    maxp: Buffer.concat([words(1, 0, 5), Buffer.alloc(26)]),
    name: Buffer.concat([words(0, 1, 18, 3, 1, 0x409, 6, name.length, 0), name]),
  }
  change?.(tables)
  const entries = Object.entries(tables)
  let at = 12 + 16 * entries.length
  const directory = entries.map(([tag, { length }]) => {
    const entry = Buffer.concat([Buffer.from(tag), words(0, 0, ...long(at), ...long(length))])
    at += length + (-length & 3)
    return entry
  })
  const contents = entries.map(([, content]) => Buffer.concat([content, Buffer.alloc(-content.length & 3)]))
  return new Uint8Array(Buffer.concat([words(1, 0, entries.length, 0, 0, 0), ...directory, ...contents]))
}

/** The font file within a PDF. */
function carried(pdf: Uint8Array): Uint8Array {
  const text = Buffer.from(pdf).toString('latin1')
  const found = /\/Filter \/FlateDecode \/Length1 (\d+) \/Length (\d+) >>\nstream\n/.exec(text)!
  const from = found.index + found[0].length
  const file = inflateSync(Buffer.from(pdf.subarray(from, from + Number(found[2]))))
  if (file.length !== Number(found[1])) throw new Error('Length1 is wrong')
  return new Uint8Array(file)
}

/** Offsets and checksums of a font file are right: the file as a whole sums to the magic number. */
function sums(file: Uint8Array): number {
  const view = new DataView(file.buffer, file.byteOffset)
  let sum = 0
  for (let at = 0; at < file.length; at += 4) sum = (sum + view.getUint32(at)) >>> 0
  return sum
}

function table(file: Uint8Array, wanted: string): Buffer {
  const bytes = Buffer.from(file)
  for (let n = 0; n < bytes.readUInt16BE(4); n++) {
    const at = 12 + 16 * n
    if (bytes.toString('latin1', at, at + 4) === wanted)
      return bytes.subarray(bytes.readUInt32BE(at + 8), bytes.readUInt32BE(at + 8) + bytes.readUInt32BE(at + 12))
  }
  throw new Error(`no ${wanted}`)
}

t.test('S13 P1 characters find their glyphs, by either map; a subset holds them and their parts alone', (t) => {
  for (const map of [4, 12] as const) {
    const made = new TrueTypeFont(font({ map }))
    t.strictSame(
      [0x3042, 0x3044, 0x304c, 0x3043, 0x41, 0xffff].map((code) => made.glyphOf(code)),
      [1, 2, 3, 0, 0, 0],
      `map ${map}`,
    )
    t.equal(made.glyphOf(0x20bb7), map === 4 ? 0 : 1)
  }
  const made = new TrueTypeFont(font())
  t.match(made.metrics, {
    name: 'Small-Regular',
    ascent: 880,
    descent: -120,
    capHeight: 700,
    box: [0, -120, 1000, 880],
  })
  const subset = made.subset([3, 2])
  const starts = (n: number, shape: Buffer) => outline(n).subarray(0, shape.length).equals(shape)
  t.equal(sums(subset), 0xb1b0afba)
  t.equal(table(subset, 'maxp').readUInt16BE(4), 5, 'empty, the two, and the two parts of the composed one')
  const loca = table(subset, 'loca')
  const outline = (n: number) => table(subset, 'glyf').subarray(loca.readUInt32BE(4 * n), loca.readUInt32BE(4 * n + 4))
  t.strictSame(
    [outline(1).readUInt16BE(12), outline(1).readUInt16BE(20)],
    [3, 4],
    'the composed one names its parts anew',
  )
  t.ok(starts(2, triangle(700)), 'the outline is the font’s own')
  t.ok(starts(3, triangle(500)))
  t.ok(starts(4, triangle(90)))
  t.strictSame([...table(subset, 'hmtx')], [...words(1000, 0, 1000, 3, 1000, 2, 1000, 1, 1000, 4)])
  t.ok(table(subset, 'cvt ').equals(words(1, 2)))
  t.end()
})

t.test('S13 P1 a page carries what it shows and no more; text can be copied; what a font lacks is a geta mark', (t) => {
  const pdf = makePdf('見本', new TrueTypeFont(font()), [{ text: 'Aがい、あい' }, { text: '(1)' }])
  const text = Buffer.from(pdf).toString('latin1')
  t.match(text, /\/BaseFont \/[A-Z]{6}\+Small-Regular \/Encoding \/Identity-H/)
  t.ok(
    text.includes('<00010002000200030002> Tj'),
    'codes are places in the page’s own font; 、 is shown by 〓, which looks like い here',
  )
  t.match(text, /<0001> <304c>\n<0002> <3044>\n<0003> <3042>/)
  t.match(text, /\(A\) Tj/, 'letters stay in the font that every viewer has')
  t.notMatch(text, /Adobe-Japan1|Heisei/)
  t.equal(table(carried(pdf), 'maxp').readUInt16BE(4), 5)
  const places = [...text.matchAll(/(\d{10}) 00000 n/g)].map(([, at]) => Number(at))
  t.ok(
    places.length >= 11 && places.every((at, n) => text.startsWith(`${n + 1} 0 obj`, at)),
    'the table of places is right',
  )
  t.strictSame(
    makePdf('見本', new TrueTypeFont(font()), [{ text: 'Aがい、あい' }, { text: '(1)' }]),
    pdf,
    'the same page is the same bytes',
  )
  const without = Buffer.from(makePdf('見本', undefined, [{ text: 'あ' }])).toString('latin1')
  t.match(without, /HeiseiKakuGo-W5-UniJIS-UCS2-HW-H[\s\S]*<3042> Tj/)
  t.end()
})

t.test('S13 P1 fonts that cannot be used are refused with the reason, and damage never crashes', (t) => {
  const refused = (bytes: Uint8Array, why: RegExp) => {
    try {
      new TrueTypeFont(bytes)
      t.fail(`taken: ${why}`)
    } catch (error) {
      t.ok(isProblem(error, 'config.invalid') && why.test(String(error.detail)), `${why}, not ${error}`)
    }
  }
  refused(new Uint8Array(0), /cut off/)
  refused(new TextEncoder().encode('OTTO and more of it'), /outlines/)
  refused(font({ embedding: 2 }), /forbids embedding/)
  for (const name of ['cmap', 'glyf', 'head', 'hhea', 'hmtx', 'loca', 'maxp'])
    refused(font({ change: (tables) => void delete tables[name] }), new RegExp(`no ${name}`))
  refused(font({ change: (tables) => void tables['head']!.writeUInt16BE(0, 18) }), /em/)
  refused(font({ change: (tables) => void tables['cmap']!.writeUInt16BE(1, 4) }), /map of characters/)
  const whole = font()
  refused(whole.subarray(0, whole.length - 40), /beyond the file|cut off/)
  let crashed = 0
  for (let seed = 0; seed < 3_000; seed++) {
    const torn = whole.slice()
    for (let n = 0; n < 3; n++) torn[(seed * 7_919 + n * 104_729) % torn.length] = (seed * 31 + n * 17) & 0xff
    try {
      makePdf('x', new TrueTypeFont(torn), [{ text: 'あいが、' }])
    } catch (error) {
      if (!isProblem(error, 'config.invalid')) crashed++
    }
  }
  t.equal(crashed, 0)
  t.throws(() => pageFontFile('/no/such/font.ttf'), { code: 'config.invalid' }, 'a wrong setting is told at the start')
  t.end()
})

t.test(
  'S13 P1 the letter with the gateway’s own font, or, where it is not installed, by the collection’s name',
  (t) => {
    const path = pageFontPath()
    const pdf = letterPdf({
      person: { name: '髙橋 花子', postcode: '100-0001', address: '東京都千代田区' },
      number: '10000000000197',
      code: 'a'.repeat(16),
      blockCode: 'b'.repeat(16),
      until: '2027-01-01',
      issuer: '預かり',
      font: pageFontFile()(),
    })
    const text = Buffer.from(pdf).toString('latin1')
    if (path === undefined) t.match(text, /HeiseiKakuGo-W5/)
    else {
      t.match(text, /\+BIZUDGothic-Regular/)
      const whole = readFont(path)
      for (const character of '髙橋花子様東京都千代田区会員番号登録停止ｱﾞ〓')
        t.not(whole.glyphOf(character.codePointAt(0)!), 0, character)
      t.ok(
        carried(pdf).length < 100_000 && pdf.length < 80_000,
        `${pdf.length} bytes of a font of ${readFileSync(path).length}`,
      )
      t.equal(whole.widthOf(whole.glyphOf(0xff71)), 500, 'half-width kana stand in columns')
    }
    t.end()
  },
)
