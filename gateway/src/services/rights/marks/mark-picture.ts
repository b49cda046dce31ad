/** Marks a picture file so that what is written can be read: looks for a mark before, reads the new file after (R1–R3). */
import { checkSize, embedMarks, type Marks } from '@azukari/protocol/marks/embed'
import { type Fingerprint, fingerprintOf } from '@azukari/protocol/marks/fingerprint'
import { readPublicMark } from '@azukari/protocol/marks/read'
import { Problem } from '@azukari/protocol/problem'
import { encodePicture, openPicture } from './picture-file.ts'
import { derivation, gridOf, saleKey, saleSigns, signsByTile } from './sale-key.ts'
import { type Tracing, trace } from './trace.ts'

/** A copy for one buyer. */
export interface Sale {
  sale: bigint
  master: Uint8Array
}

export interface MarkedFile {
  bytes: Uint8Array
  width: number
  height: number
  /** Peak signal-to-noise ratio of the marked pixels, dB. */
  psnrDb: number
  /** How the sale's key was derived. */
  derivation?: string
}

/**
 * @param isUnmarked it is known to carry no mark, and none is looked for
 * @throws {Problem} `mark.unreadable`, `mark.unsuitable` (also when the marks cannot be read from the new file, as of a flat
 * picture), `mark.present`
 */
export async function markPicture(
  bytes: Uint8Array,
  work: bigint,
  sale?: Sale,
  isUnmarked = false,
): Promise<MarkedFile> {
  const picture = await openPicture(bytes)
  if (picture.unsuitable !== undefined) throw new Problem('mark.unsuitable', picture.unsuitable)
  checkSize(picture)
  const present = isUnmarked ? undefined : readPublicMark(picture)
  if (present)
    throw new Problem('mark.present', `work ${hex(present.work, 16)}`, { data: { work: hex(present.work, 16) } })
  const marks: Marks = { work }
  if (sale) {
    const grid = gridOf(picture)
    marks.keyed = signsByTile(saleSigns(saleKey(sale.master, work, sale.sale), sale.sale, grid), grid)
  }
  const marked = embedMarks(picture, marks)
  const file = await encodePicture(marked, picture)
  const again = await openPicture(file)
  const read = readPublicMark(again)
  if (read?.work !== work) throw new Problem('mark.unsuitable', 'it is too flat: its mark could not be read again')
  if (sale) {
    const suspicion = { original: picture, suspect: again, geometry: read.geometry, work }
    const { accused } = trace({ ...suspicion, master: sale.master, sales: [sale.sale] })
    if (accused.length === 0) throw new Problem('mark.unsuitable', 'it is too flat: its sale could not be read again')
  }
  const done = { bytes: file, width: picture.width, height: picture.height, psnrDb: psnr(picture.rgba, marked.rgba) }
  return sale ? { ...done, derivation } : done
}

/** @throws {Problem} as `openPicture` */
export async function readFingerprint(bytes: Uint8Array): Promise<Fingerprint> {
  return fingerprintOf(await openPicture(bytes))
}

/** @throws {Problem} as `openPicture` */
export async function readMark(bytes: Uint8Array): Promise<bigint | undefined> {
  return readPublicMark(await openPicture(bytes))?.work
}

/** The files of a case, and what is known of it. */
export interface Case {
  suspect: Uint8Array
  original: Uint8Array
  master: Uint8Array
  sales: readonly bigint[]
  /** Where the public mark was removed: whose work it is. */
  work?: bigint | undefined
}

/** @throws {Problem} as `openPicture`, and `mark.no-match` when no public mark is read and `work` is not given */
export async function tracePicture({
  suspect,
  original,
  master,
  sales,
  work,
}: Case): Promise<Tracing & { work: bigint; isWorkRead: boolean }> {
  const copy = await openPicture(suspect)
  const read = readPublicMark(copy)
  const whose = work ?? read?.work
  if (whose === undefined) throw new Problem('mark.no-match', 'it has no public mark; say with --work whose work it is')
  // Another work's mark says nothing of where this one's tiles lie.
  const geometry = read?.work === whose ? read.geometry : undefined
  const suspicion = { original: await openPicture(original), suspect: copy, geometry, master, work: whose, sales }
  return { ...trace(suspicion), work: whose, isWorkRead: geometry !== undefined }
}

export function hex(id: bigint, digits: number): string {
  return id.toString(16).padStart(digits, '0')
}

function psnr(before: Uint8Array, after: Uint8Array): number {
  let squares = 0
  let count = 0
  for (let i = 0; i < before.length; i++) {
    if (i % 4 === 3) continue
    const difference = before[i]! - after[i]!
    squares += difference * difference
    count++
  }
  return squares === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10((255 * 255 * count) / squares)
}
