/**
 * A picture as a page of PDF 1.7 (ISO 32000-1): on paper of its size, upright or across as the picture is, within margins,
 * in its proportions.
 */
import type { Raster } from '@azukari/device/drivers'
import { encodeJpeg } from '@azukari/device/picture'

/** Paper by its PWG 5101.1 name, in mm, the usual one first. */
export const papers: Readonly<Record<string, readonly [widthMm: number, heightMm: number]>> = {
  iso_a4_210x297mm: [210, 297],
  iso_a5_148x210mm: [148, 210],
  jis_b5_182x257mm: [182, 257],
  jpn_hagaki_100x148mm: [100, 148],
  na_letter_8_5x11in: [215.9, 279.4],
}

export const marginMm = 10
const pointsPerMm = 72 / 25.4
const quality = 95

/** @param paper a name of `papers` */
export function encodePdf(page: Raster, title: string, paper: string): Uint8Array {
  const [narrow, long] = papers[paper]!.map((mm) => mm * pointsPerMm) as [number, number]
  const [width, height] = page.width > page.height ? [long, narrow] : [narrow, long]
  const margin = marginMm * pointsPerMm
  const scale = Math.min((width - 2 * margin) / page.width, (height - 2 * margin) / page.height)
  const [w, h] = [page.width * scale, page.height * scale]
  const place = [w, 0, 0, h, (width - w) / 2, (height - h) / 2].map((value) => value.toFixed(3)).join(' ')
  const picture = encodeJpeg(page, quality)
  const drawing = `q ${place} cm /P Do Q`
  const box = `[0 0 ${width.toFixed(3)} ${height.toFixed(3)}]`
  const size = `/Width ${page.width} /Height ${page.height}`
  return assemble([
    ['<< /Type /Catalog /Pages 2 0 R >>'],
    ['<< /Type /Pages /Kids [3 0 R] /Count 1 >>'],
    [`<< /Type /Page /Parent 2 0 R /MediaBox ${box} /Contents 4 0 R /Resources << /XObject << /P 5 0 R >> >> >>`],
    [`<< /Length ${drawing.length} >>\nstream\n${drawing}\nendstream`],
    [
      `<< /Type /XObject /Subtype /Image ${size} /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode /Length ${picture.length} >>\nstream\n`,
      picture,
      '\nendstream',
    ],
    [`<< /Title <${utf16(title)}> /Producer (Azukari) >>`],
  ])
}

/** Objects from number 1 on, the catalogue first and the information last, with the table of where they are. */
function assemble(objects: readonly (readonly (string | Uint8Array)[])[]): Uint8Array {
  const parts: Buffer[] = []
  let length = 0
  const add = (part: string | Uint8Array) => {
    const bytes = Buffer.from(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
    parts.push(bytes)
    length += bytes.length
  }
  // The second line says that there are bytes beyond ASCII (§7.5.2).
  add('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n')
  const at = objects.map((object, i) => {
    const start = length
    add(`${i + 1} 0 obj\n`)
    object.forEach(add)
    add('\nendobj\n')
    return start
  })
  const table = length
  const rows = at.map((start) => `${String(start).padStart(10, '0')} 00000 n \n`).join('')
  add(`xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}`)
  add(
    `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info ${objects.length} 0 R >>\nstartxref\n${table}\n%%EOF\n`,
  )
  return Uint8Array.from(Buffer.concat(parts))
}

/** A text string as PDF has them: UTF-16, the high byte first, with its mark (§7.9.2.2). */
function utf16(text: string): string {
  return `feff${[...Array(text.length).keys()].map((i) => text.charCodeAt(i).toString(16).padStart(4, '0')).join('')}`
}
