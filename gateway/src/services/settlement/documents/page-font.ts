/**
 * How pages write Japanese: with glyphs of a font that the page carries, or, without one, by the name of a character
 * collection that viewers have or substitute.
 */
import { hash } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import type { TrueTypeFont } from './true-type.ts'

/** The Japanese font of one page description. Objects 3 (font), 4, 5 (its parts), 7 (to Unicode) and, if any, 8 (its file). */
export interface PageFont {
  /** The codes of a text, in hex, as `Tj` takes them. */
  codes(text: string): string
  /** How wide the text is drawn, ems; half-width kana half an em, all else one. */
  natural(text: string): number
  /** Objects by number; asked for when all text is written. */
  objects(): ReadonlyMap<number, string>
}

/** U+3013, the geta mark: what printers put where a character is missing. */
const geta = 0x3013

export function pageFont(font: TrueTypeFont | undefined): PageFont {
  return font ? new EmbeddedFont(font) : namedFont
}

/** Codes are Unicode already: so that text can be searched and copied. */
const ucs2Map = toUnicode('1 beginbfrange <0000> <ffff> <0000> endbfrange')

const namedFont: PageFont = {
  codes: (text) => {
    let hex = ''
    for (const character of text) {
      const code = character.codePointAt(0)!
      hex += hex4(code > 0xffff ? geta : code)
    }
    return hex
  },
  natural: widthInEms,
  objects: () =>
    new Map([
      [
        3,
        '<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiKakuGo-W5-UniJIS-UCS2-HW-H /Encoding /UniJIS-UCS2-HW-H /DescendantFonts [4 0 R] /ToUnicode 7 0 R >>',
      ],
      [
        4,
        '<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiKakuGo-W5 /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) /Supplement 2 >> /DW 1000 /W [1 632 500] /FontDescriptor 5 0 R >>',
      ],
      [
        5,
        '<< /Type /FontDescriptor /FontName /HeiseiKakuGo-W5 /Flags 4 /FontBBox [-92 -250 1010 922] /ItalicAngle 0 /Ascent 752 /Descent -221 /CapHeight 737 /StemV 114 >>',
      ],
      [7, stream('', ucs2Map)],
    ]),
}

/** Only the glyphs that the page uses go into it: some tens of kilobytes of a font's megabytes. */
class EmbeddedFont implements PageFont {
  readonly #font: TrueTypeFont
  /** Glyphs of the font by the characters that need them; the n-th is glyph n + 1 of the page's own font. */
  readonly #glyphs: number[] = []
  readonly #codes = new Map<number, number>()
  readonly #characters: string[] = []

  constructor(font: TrueTypeFont) {
    this.#font = font
  }

  codes(text: string): string {
    let hex = ''
    for (const character of text) hex += hex4(this.#codeOf(character))
    return hex
  }

  natural(text: string): number {
    let width = 0
    for (const character of text) width += this.#font.widthOf(this.#glyphs[this.#codeOf(character) - 1] ?? 0)
    return width / 1_000
  }

  #codeOf(character: string): number {
    const wanted = character.codePointAt(0)!
    const own = this.#font.glyphOf(wanted)
    const glyph = own || this.#font.glyphOf(geta)
    // A font without even a geta mark: its empty glyph.
    if (glyph === 0) return 0
    let code = this.#codes.get(glyph)
    if (code === undefined) {
      code = this.#glyphs.push(glyph)
      this.#codes.set(glyph, code)
      // What is shown is what is copied.
      this.#characters.push(own ? character : String.fromCodePoint(geta))
    }
    return code
  }

  objects(): ReadonlyMap<number, string> {
    const { name, ascent, descent, capHeight, box } = this.#font.metrics
    const file = this.#font.subset(this.#glyphs)
    const tag = [...hash('sha256', file, 'buffer').subarray(0, 6)].map((byte) => String.fromCharCode(65 + (byte % 26)))
    const own = `${tag.join('')}+${name}`
    const widths = this.#glyphs.map((glyph, n) => `${n + 1} [${this.#font.widthOf(glyph)}]`)
    const packed = Buffer.from(deflateSync(file)).toString('latin1')
    return new Map([
      [
        3,
        `<< /Type /Font /Subtype /Type0 /BaseFont /${own} /Encoding /Identity-H /DescendantFonts [4 0 R] /ToUnicode 7 0 R >>`,
      ],
      [
        4,
        `<< /Type /Font /Subtype /CIDFontType2 /BaseFont /${own} /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /CIDToGIDMap /Identity /DW 1000 /W [${widths.join(' ')}] /FontDescriptor 5 0 R >>`,
      ],
      [
        5,
        `<< /Type /FontDescriptor /FontName /${own} /Flags 4 /FontBBox [${box.join(' ')}] /ItalicAngle 0 /Ascent ${ascent} /Descent ${descent} /CapHeight ${capHeight} /StemV 80 /FontFile2 8 0 R >>`,
      ],
      [7, stream('', toUnicode(this.#mappings()))],
      [8, stream(`/Filter /FlateDecode /Length1 ${file.length} `, packed)],
    ])
  }

  /** Which character each code is, a hundred to a block as PDF has it. */
  #mappings(): string {
    const lines = this.#characters.map((character, n) => `<${hex4(n + 1)}> <${utf16(character)}>`)
    const blocks: string[] = []
    for (let at = 0; at < lines.length; at += 100) {
      const block = lines.slice(at, at + 100)
      blocks.push(`${block.length} beginbfchar\n${block.join('\n')}\nendbfchar`)
    }
    return blocks.join('\n')
  }
}

/** Half-width kana are half an em wide, all else that is not ASCII one. */
function widthInEms(text: string): number {
  let width = 0
  for (const character of text) width += /[\uff61-\uff9f]/.test(character) ? 0.5 : 1
  return width
}

function toUnicode(mappings: string): string {
  return `/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Ucs2 def /CMapType 2 def
1 begincodespacerange <0000> <ffff> endcodespacerange
${mappings}
endcmap end end`
}

/** @param content bytes, one per character */
export function stream(entries: string, content: string): string {
  return `<< ${entries}/Length ${content.length} >>\nstream\n${content}\nendstream`
}

function utf16(character: string): string {
  let hex = ''
  for (let i = 0; i < character.length; i++) hex += hex4(character.charCodeAt(i))
  return hex
}

function hex4(value: number): string {
  return value.toString(16).padStart(4, '0')
}
