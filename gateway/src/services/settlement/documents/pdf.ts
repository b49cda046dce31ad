/**
 * A small writer of PDF 1.4 (ISO 32000) for letters, statements and receipts: A4 pages of text, columns and rules. Letters
 * and digits are in Courier, which every viewer has; Japanese is in a font that the page carries, or names the character
 * collection Adobe-Japan1, which viewers have or substitute. Letters and digits are half an em wide, so that columns stand.
 */
import { InternalError } from '@azukari/protocol/problem'
import { type PageFont, pageFont, stream } from './page-font.ts'
import type { TrueTypeFont } from './true-type.ts'

/** One thing on a page. `right`: the text ends at `x`. Units are points from the left, sizes in points. */
export type Block =
  | { text: string; size?: number; x?: number; right?: boolean }
  | { row: readonly { text: string; x: number; right?: boolean }[]; size?: number }
  | { rule: true }
  | { gap: number }
  | { newPage: true }

const page = { width: 595, height: 842, left: 57, right: 538, top: 780, bottom: 64 } as const
const standardSize = 10

/**
 * Lays blocks out from top to bottom, on as many pages as needed, each with its number.
 * @param font whose glyphs the pages carry for Japanese; without one the viewer's own is named
 */
export function makePdf(title: string, font: TrueTypeFont | undefined, blocks: readonly Block[]): Uint8Array {
  const japanese = pageFont(font)
  const show = (text: string, x: number, y: number, size: number) => shown(japanese, text, x, y, size)
  const pages: string[][] = [[]]
  let y: number = page.top
  const need = (height: number) => {
    if (y - height >= page.bottom) return
    pages.push([])
    y = page.top
  }
  for (const block of blocks) {
    if ('gap' in block) y -= block.gap
    else if ('newPage' in block) need(Number.POSITIVE_INFINITY)
    else if ('rule' in block) {
      need(8)
      pages.at(-1)!.push(`0.5 w ${page.left} ${y - 3} m ${page.right} ${y - 3} l S`)
      y -= 8
    } else {
      const size = block.size ?? standardSize
      const cells = 'row' in block ? block.row : wrapped(block, size)
      if ('row' in block) {
        need(size * 1.5)
        y -= size * 1.5
        for (const cell of cells)
          pages.at(-1)!.push(show(cell.text, cell.right ? cell.x - widthOf(cell.text, size) : cell.x, y, size))
      } else
        for (const line of cells) {
          need(size * 1.5)
          y -= size * 1.5
          pages.at(-1)!.push(show(line.text, line.right ? line.x - widthOf(line.text, size) : line.x, y, size))
        }
    }
  }
  return assemble(
    title,
    pages.map((content, i) =>
      [...content, show(`${i + 1} / ${pages.length}`, page.right - 30, page.bottom - 24, 8)].join('\n'),
    ),
    japanese,
  )
}

/** Width in points: half an em for ASCII and half-width kana, one em for all else. */
export function widthOf(text: string, size: number): number {
  let halves = 0
  for (const character of text) halves += isHalf(character) ? 1 : 2
  return (halves * size) / 2
}

function isHalf(character: string): boolean {
  return /[ -~\uff61-\uff9f]/.test(character)
}

function wrapped({ text, x = page.left, right = false }: { text: string; x?: number; right?: boolean }, size: number) {
  const limit = right ? x - page.left : page.right - x
  const lines: { text: string; x: number; right: boolean }[] = []
  for (const paragraph of text.split('\n')) {
    let line = ''
    for (const piece of paragraph.split(/(?<= )|(?=[^ -~])/)) {
      if (line && widthOf(line + piece.trimEnd(), size) > limit) {
        lines.push({ text: line, x, right })
        line = ''
      }
      line += piece
    }
    lines.push({ text: line, x, right })
  }
  return lines
}

/** Letters and digits in a font that every viewer has, narrowed to half an em; all else in the Japanese one. */
function shown(japanese: PageFont, text: string, x: number, y: number, size: number): string {
  let at = x
  return (text.match(/[ -~]+|[^ -~]+/g) ?? [])
    .map((run) => {
      const latin = run.charCodeAt(0) < 0x7f
      const width = widthOf(run, size)
      // Whatever the font's own widths, a run takes the room that the columns give it.
      const scale = latin ? 83.33 : (100 * width) / (size * japanese.natural(run) || width)
      const codes = latin ? `(${run.replace(/[\\()]/g, '\\$&')})` : `<${japanese.codes(run)}>`
      const place = `${round(at)} ${round(y)}`
      at += width
      return `BT /${latin ? 'C' : 'F'} ${size} Tf ${round(scale)} Tz ${place} Td ${codes} Tj ET`
    })
    .join('\n')
}

function round(value: number): string {
  return value.toFixed(2).replace(/\.?0+$/, '')
}

/** UTF-16 in hex, as titles are written. */
function utf16(text: string): string {
  let hex = ''
  for (let i = 0; i < text.length; i++) hex += text.charCodeAt(i).toString(16).padStart(4, '0')
  return hex
}

function assemble(title: string, contents: readonly string[], japanese: PageFont): Uint8Array {
  const font = japanese.objects()
  const first = 8 + (font.has(8) ? 1 : 0)
  const pageIds = contents.map((_, i) => first + i * 2)
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R /Lang (ja) >>',
    `<< /Type /Pages /Kids [${pageIds.map((id) => `${id} 0 R`).join(' ')}] /Count ${contents.length} >>`,
    ...[3, 4, 5].map((id) => font.get(id)!),
    '<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>',
    ...[7, 8].flatMap((id) => font.get(id) ?? []),
    ...contents.flatMap((content, i) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${page.width} ${page.height}] /Resources << /Font << /F 3 0 R /C 6 0 R >> >> /Contents ${pageIds[i]! + 1} 0 R >>`,
      stream('', content),
    ]),
    `<< /Title <feff${utf16(title)}> /Producer (Azukari) >>`,
  ]
  let text = '%PDF-1.4\n%\u00e2\u00e3\u00cf\u00d3\n'
  const places: number[] = []
  for (const [i, object] of objects.entries()) {
    places.push(text.length)
    text += `${i + 1} 0 obj\n${object}\nendobj\n`
  }
  const start = text.length
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n`
  for (const place of places) text += `${String(place).padStart(10, '0')} 00000 n \n`
  text += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info ${objects.length} 0 R >>\nstartxref\n${start}\n%%EOF\n`
  if (Buffer.from(text, 'latin1').toString('latin1') !== text) throw new InternalError('a PDF is written in bytes')
  return new Uint8Array(Buffer.from(text, 'latin1'))
}
