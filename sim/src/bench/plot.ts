/** The plot beside the figures: for each row that has a peer, how it stands to it; a bar to 1 is as good as the peer. */
import type { Row } from './row.ts'

const line = 26
const left = 520
const width = 380
/** Ratios are drawn on a logarithmic scale between these. */
const least = 0.02
const most = 50

export function plot(rows: readonly Row[]): string {
  const shown = rows.filter((row) => row.ratio !== null && row.ratio > 0)
  const height = (shown.length + 3) * line
  const x = (ratio: number) =>
    left + (width * Math.log(Math.min(most, Math.max(least, ratio)) / least)) / Math.log(most / least)
  const bars = shown.map((row, at) => {
    const y = (at + 1) * line
    const from = Math.min(x(1), x(row.ratio!))
    const length = Math.max(1, Math.abs(x(row.ratio!) - x(1)))
    const colour = row.met === null ? '#8a8f98' : row.met ? '#2f7d5b' : '#b3541e'
    return [
      `<text x="${left - 10}" y="${y + 15}" text-anchor="end">${escaped(`${row.row}  ${row.what}`)}</text>`,
      `<rect x="${from}" y="${y + 4}" width="${length}" height="14" fill="${colour}"/>`,
      `<text x="${left + width + 14}" y="${y + 15}">${Number(row.ratio!.toPrecision(3))}${row.target ? `  (${escaped(row.target)})` : ''}</text>`,
    ].join('\n')
  })
  const ticks = [0.1, 1, 10].map(
    (tick) =>
      `<line x1="${x(tick)}" y1="${line}" x2="${x(tick)}" y2="${height - 1.5 * line}" stroke="${tick === 1 ? '#333' : '#ddd'}"/>` +
      `<text x="${x(tick)}" y="${height - line}" text-anchor="middle">${tick}</text>`,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 260}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...ticks,
    ...bars,
    `<text x="${x(1)}" y="${height - 6}" text-anchor="middle">value ÷ what was measured beside it in the same run (logarithmic)</text>`,
    '</svg>\n',
  ].join('\n')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
