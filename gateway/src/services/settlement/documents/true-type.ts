/**
 * A reader and subsetter of TrueType fonts (OpenType with `glyf` outlines, ISO/IEC 14496-22): what a page needs of a font and
 * nothing else. The file is the operator's, and is read as carefully as anything from outside.
 */
import { Problem } from '@azukari/protocol/problem'

export interface FontMetrics {
  /** PostScript name, as PDF wants it. */
  name: string
  /** In thousandths of an em, from the base line. */
  ascent: number
  descent: number
  capHeight: number
  box: [number, number, number, number]
}

/** Tables that the outlines need beside themselves: hints. They are copied as they are. */
const copied = ['cvt ', 'fpgm', 'prep'] as const
// Flags of composite glyphs.
const argsAreWords = 0x1
const haveScale = 0x8
const moreComponents = 0x20
const haveTwoScales = 0x40
const haveMatrix = 0x80

export class TrueTypeFont {
  readonly metrics: FontMetrics
  readonly #bytes: DataView
  readonly #tables = new Map<string, { at: number; length: number }>()
  readonly #unitsPerEm: number
  readonly #glyphs: number
  readonly #longOffsets: boolean
  readonly #metricsOf: number
  readonly #glyphOf: (code: number) => number

  /** @throws {Problem} `config.invalid` when it is no such font, is damaged, or must not be embedded */
  constructor(bytes: Uint8Array) {
    this.#bytes = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    try {
      const version = this.#u32(0)
      if (version !== 0x0001_0000 && version !== 0x7472_7565)
        throw unfit('it has no TrueType outlines (a .ttf is needed)')
      const count = this.#u16(4)
      for (let n = 0; n < count; n++) {
        const at = 12 + 16 * n
        const [place, length] = [this.#u32(at + 8), this.#u32(at + 12)]
        if (place + length > bytes.length) throw unfit('a table ends beyond the file')
        this.#tables.set(latin(bytes.subarray(at, at + 4)), { at: place, length })
      }
      const head = this.#table('head')
      this.#unitsPerEm = this.#u16(head + 18)
      if (this.#unitsPerEm < 16 || this.#unitsPerEm > 16_384) throw unfit('its em')
      this.#longOffsets = this.#u16(head + 50) === 1
      this.#glyphs = this.#u16(this.#table('maxp') + 4)
      this.#metricsOf = this.#u16(this.#table('hhea') + 34)
      if (this.#glyphs === 0 || this.#metricsOf === 0) throw unfit('it has no glyphs')
      for (const table of ['loca', 'glyf', 'hmtx']) this.#table(table)
      this.#glyphOf = this.#characterMap()
      this.metrics = this.#readMetrics()
    } catch (error) {
      throw refusal(error)
    }
  }

  /** The glyph of a character; 0 when there is none. @throws {Problem} `config.invalid` where the font is damaged */
  glyphOf(code: number): number {
    const glyph = guarded(() => this.#glyphOf(code))
    return glyph < this.#glyphs ? glyph : 0
  }

  /** Width in thousandths of an em. @throws {Problem} as `glyphOf` */
  widthOf(glyph: number): number {
    return guarded(() => this.#scaled(this.#advance(glyph)))
  }

  /**
   * A font of these glyphs alone, in this order after the empty one: glyph `glyphs[i]` becomes `i + 1`. Parts of composed
   * glyphs follow.
   * @throws {Problem} as `glyphOf`
   */
  subset(glyphs: readonly number[]): Uint8Array {
    return guarded(() => this.#subset(glyphs))
  }

  #subset(glyphs: readonly number[]): Uint8Array {
    const order = [0, ...glyphs]
    const places = new Map(order.map((glyph, place) => [glyph, place]))
    const placeOf = (glyph: number) => {
      let place = places.get(glyph)
      if (place === undefined) {
        place = order.push(glyph) - 1
        places.set(glyph, place)
      }
      return place
    }
    const outlines: Uint8Array[] = []
    // Grows while it is walked: parts of parts.
    for (let n = 0; n < order.length && n < 65_535; n++) outlines.push(this.#outline(order[n]!, placeOf))

    const offsets = new DataView(new ArrayBuffer(4 * (outlines.length + 1)))
    let end = 0
    for (const [n, { length }] of outlines.entries()) {
      end += length + (-length & 3)
      offsets.setUint32(4 * (n + 1), end)
    }
    const glyf = new Uint8Array(end)
    for (const [n, outline] of outlines.entries()) glyf.set(outline, offsets.getUint32(4 * n))
    const widths = new DataView(new ArrayBuffer(4 * order.length))
    for (const [n, glyph] of order.entries()) {
      widths.setUint16(4 * n, this.#advance(glyph))
      widths.setInt16(4 * n + 2, this.#bearing(glyph))
    }
    const head = this.#copy('head')
    head.setUint32(8, 0)
    head.setUint16(50, 1)
    const hhea = this.#copy('hhea')
    hhea.setUint16(34, order.length)
    const maxp = this.#copy('maxp')
    maxp.setUint16(4, order.length)
    return assembled([
      ...copied.filter((name) => this.#tables.has(name)).map((name) => [name, bytesOf(this.#copy(name))] as const),
      ['glyf', glyf],
      ['head', bytesOf(head)],
      ['hhea', bytesOf(hhea)],
      ['hmtx', bytesOf(widths)],
      ['loca', bytesOf(offsets)],
      ['maxp', bytesOf(maxp)],
    ])
  }

  #outline(glyph: number, placeOf: (glyph: number) => number): Uint8Array {
    const loca = this.#table('loca')
    const place = (n: number) => (this.#longOffsets ? this.#u32(loca + 4 * n) : 2 * this.#u16(loca + 2 * n))
    const [from, to] = [place(glyph), place(glyph + 1)]
    const { at, length } = this.#tables.get('glyf')!
    if (to <= from || to > length) return new Uint8Array(0)
    const copy = new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + at + from, to - from).slice()
    const view = new DataView(copy.buffer)
    if (copy.length < 10 || view.getInt16(0) >= 0) return copy
    for (let part = 10, more = true; more && part + 4 <= copy.length; ) {
      const flags = view.getUint16(part)
      const component = view.getUint16(part + 2)
      view.setUint16(part + 2, placeOf(component < this.#glyphs ? component : 0))
      part += 4 + (flags & argsAreWords ? 4 : 2)
      part += flags & haveScale ? 2 : flags & haveTwoScales ? 4 : flags & haveMatrix ? 8 : 0
      more = (flags & moreComponents) !== 0
    }
    return copy
  }

  #advance(glyph: number): number {
    return this.#u16(this.#table('hmtx') + 4 * Math.min(glyph, this.#metricsOf - 1))
  }

  #bearing(glyph: number): number {
    const { at, length } = this.#tables.get('hmtx')!
    const place = glyph < this.#metricsOf ? 4 * glyph + 2 : 4 * this.#metricsOf + 2 * (glyph - this.#metricsOf)
    return place + 2 <= length ? this.#i16(at + place) : 0
  }

  /** Format 12 for all of Unicode, else format 4 for its first plane: what fonts for Windows have. */
  #characterMap(): (code: number) => number {
    const cmap = this.#table('cmap')
    const found = new Map<number, number>()
    for (let n = this.#u16(cmap + 2); n > 0; n--) {
      const at = cmap + 4 + 8 * (n - 1)
      const [platform, encoding, sub] = [this.#u16(at), this.#u16(at + 2), cmap + this.#u32(at + 4)]
      if (platform === 3 ? encoding === 1 || encoding === 10 : platform === 0 && encoding !== 5)
        found.set(this.#u16(sub), sub)
    }
    const [wide, basic] = [found.get(12), found.get(4)]
    if (wide !== undefined) return (code) => this.#inGroups(wide, code)
    if (basic !== undefined) return (code) => this.#inSegments(basic, code)
    throw unfit('it has no map of characters')
  }

  #inGroups(at: number, code: number): number {
    let [low, high] = [0, this.#u32(at + 12)]
    while (low < high) {
      const middle = (low + high) >> 1
      const group = at + 16 + 12 * middle
      if (code > this.#u32(group + 4)) low = middle + 1
      else if (code < this.#u32(group)) high = middle
      else return this.#u32(group + 8) + code - this.#u32(group)
    }
    return 0
  }

  #inSegments(at: number, code: number): number {
    if (code > 0xffff) return 0
    const twice = this.#u16(at + 6)
    let [low, high] = [0, twice / 2]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#u16(at + 14 + 2 * middle) < code) low = middle + 1
      else high = middle
    }
    if (2 * low >= twice) return 0
    const start = at + 16 + twice + 2 * low
    if (this.#u16(start) > code) return 0
    const delta = this.#u16(start + twice)
    const range = this.#u16(start + 2 * twice)
    if (range === 0) return (code + delta) & 0xffff
    const glyph = this.#u16(start + 2 * twice + range + 2 * (code - this.#u16(start)))
    return glyph === 0 ? 0 : (glyph + delta) & 0xffff
  }

  #readMetrics(): FontMetrics {
    const head = this.#table('head')
    const hhea = this.#table('hhea')
    const os2 = this.#tables.get('OS/2')
    // Embedding licences of OS/2: only the value 2 forbids it altogether.
    if (os2 && (this.#u16(os2.at + 8) & 0xf) === 2) throw unfit('its licence forbids embedding')
    const ascent = this.#scaled(this.#i16(hhea + 4))
    return {
      name: this.#postScriptName(),
      ascent,
      descent: this.#scaled(this.#i16(hhea + 6)),
      capHeight: os2 && os2.length >= 90 ? this.#scaled(this.#i16(os2.at + 88)) : ascent,
      box: [36, 38, 40, 42].map((at) => this.#scaled(this.#i16(head + at))) as FontMetrics['box'],
    }
  }

  #postScriptName(): string {
    const table = this.#tables.get('name')
    if (!table) return 'Font'
    const strings = table.at + this.#u16(table.at + 4)
    for (let n = 0; n < this.#u16(table.at + 2); n++) {
      const at = table.at + 6 + 12 * n
      if (this.#u16(at) !== 3 || this.#u16(at + 6) !== 6) continue
      const [length, place] = [this.#u16(at + 8), strings + this.#u16(at + 10)]
      let name = ''
      for (let i = 0; i + 1 < length && name.length < 60; i += 2) name += String.fromCharCode(this.#u16(place + i))
      return name.replaceAll(/[^A-Za-z0-9-]/g, '') || 'Font'
    }
    return 'Font'
  }

  #copy(name: string): DataView {
    const { at, length } = this.#tables.get(name)!
    return new DataView(this.#bytes.buffer.slice(this.#bytes.byteOffset + at, this.#bytes.byteOffset + at + length))
  }

  #table(name: string): number {
    const table = this.#tables.get(name)
    if (!table) throw unfit(`it has no ${name.trim()}`)
    return table.at
  }

  #scaled(units: number): number {
    return Math.round((units * 1_000) / this.#unitsPerEm)
  }

  #u16(at: number): number {
    return this.#bytes.getUint16(at)
  }

  #i16(at: number): number {
    return this.#bytes.getInt16(at)
  }

  #u32(at: number): number {
    return this.#bytes.getUint32(at)
  }
}

/** A font file of tables, which come sorted by name. */
function assembled(tables: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const headBytes = 12 + 16 * tables.length
  const size = tables.reduce((sum, [, { length }]) => sum + length + (-length & 3), headBytes)
  const file = new Uint8Array(size)
  const view = new DataView(file.buffer)
  const power = Math.floor(Math.log2(tables.length))
  view.setUint32(0, 0x0001_0000)
  view.setUint16(4, tables.length)
  view.setUint16(6, 16 * 2 ** power)
  view.setUint16(8, power)
  view.setUint16(10, 16 * (tables.length - 2 ** power))
  let at = headBytes
  let head = 0
  for (const [n, [name, content]] of tables.entries()) {
    if (name === 'head') head = at
    const entry = 12 + 16 * n
    for (let i = 0; i < 4; i++) file[entry + i] = name.charCodeAt(i)
    file.set(content, at)
    view.setUint32(entry + 4, sumOf(view, at, content.length))
    view.setUint32(entry + 8, at)
    view.setUint32(entry + 12, content.length)
    at += content.length + (-content.length & 3)
  }
  view.setUint32(head + 8, (0xb1b0_afba - sumOf(view, 0, size)) >>> 0)
  return file
}

function sumOf(view: DataView, from: number, length: number): number {
  let sum = 0
  for (let at = from; at < from + length; at += 4) sum = (sum + view.getUint32(at)) >>> 0
  return sum
}

function bytesOf({ buffer, byteOffset, byteLength }: DataView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

function latin(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}

/** What reads beyond the file met a damaged font. */
function guarded<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw refusal(error)
  }
}

function refusal(error: unknown): unknown {
  return error instanceof RangeError ? unfit('it is cut off') : error
}

function unfit(why: string): Problem {
  return new Problem('config.invalid', `the font cannot be used: ${why}`)
}
