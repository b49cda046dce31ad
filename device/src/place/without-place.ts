/**
 * Files without the place where they were made (D8): for each kind a list of what is kept, and the file rebuilt from it.
 * The kind is told by the content, never by a name. What cannot be rebuilt is refused: no place passes.
 */
import { boxFileWithoutPlace } from './box-file.ts'
import { jpegWithoutPlace } from './jpeg.ts'
import { pdfWithoutPlace } from './pdf.ts'
import { pngWithoutPlace } from './png.ts'
import { waveWithoutPlace, webpWithoutPlace } from './riff.ts'
import {
  allPieces,
  fourCc,
  type LeftOut,
  notRemovable,
  type Placeless,
  piecesOf,
  readExactly,
  readWhole,
  type Source,
} from './source.ts'
import { checkPlainText, textMaxBytes } from './text.ts'

export { allPieces, type LeftOut, type Placeless, type Source, sourceOf } from './source.ts'

const headBytes = 16
/** What a file of boxes may begin with; QuickTime's older films have no `ftyp`. */
const firstBoxes: ReadonlySet<string> = new Set(['ftyp', 'moov', 'mdat', 'wide', 'free', 'skip', 'pnot'])

type Rebuild = (bytes: Uint8Array, leftOut: Set<LeftOut>) => Uint8Array

/**
 * @throws {Problem} `place.not-removable` when it cannot be made safe, also while its pieces are read; `memory.absent` when
 * the source ends early
 */
export async function withoutPlace(source: Source): Promise<Placeless> {
  const head = await readExactly(source, 0, Math.min(headBytes, source.sizeBytes))
  if (firstBoxes.has(fourCc(head, 4))) return boxFileWithoutPlace(source)
  const rebuild = rebuildOf(head)
  if (rebuild) {
    const leftOut = new Set<LeftOut>()
    return { pieces: piecesOf(rebuild(await readWhole(source), leftOut)), leftOut }
  }
  if (source.sizeBytes > textMaxBytes) throw notRemovable('a kind of file that is not known')
  checkPlainText(await readWhole(source))
  return { pieces: allPieces(source), leftOut: new Set() }
}

function rebuildOf(head: Uint8Array): Rebuild | undefined {
  if (head[0] === 0xff && head[1] === 0xd8) return jpegWithoutPlace
  if (fourCc(head, 1) === 'PNG\r') return pngWithoutPlace
  if (fourCc(head, 0) === '%PDF') return pdfWithoutPlace
  if (fourCc(head, 0) !== 'RIFF') return undefined
  return fourCc(head, 8) === 'WEBP' ? webpWithoutPlace : fourCc(head, 8) === 'WAVE' ? waveWithoutPlace : undefined
}
