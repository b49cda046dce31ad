/** From a customer's files to the inputs of units (W2). */

export interface Split {
  lines?: number | undefined
  bytes?: number | undefined
}

/** The pieces of one file, in order; together they are the file. An empty file is one empty piece. */
export function* piecesOf(file: Uint8Array, { lines, bytes }: Split): Generator<Uint8Array> {
  if (file.length === 0 || (lines === undefined && bytes === undefined)) return yield file
  for (let at = 0; at < file.length; ) {
    const end = lines === undefined ? at + bytes! : afterLines(file, at, lines)
    yield file.subarray(at, end)
    at = end
  }
}

function afterLines(file: Uint8Array, from: number, lines: number): number {
  let at = from
  for (let n = 0; n < lines && at < file.length; n++) {
    const feed = file.indexOf(0x0a, at)
    at = feed < 0 ? file.length : feed + 1
  }
  return at
}
