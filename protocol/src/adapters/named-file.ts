/** Files that a person names in a call: what is wrong with one is told in words, naming it. */
import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { Problem } from '../problem.ts'

/** @throws {Problem} `command.invalid` when it is not there, a link to nothing, a folder, or nothing that can be read to an end */
export function readNamedFile(path: string): Uint8Array {
  const link = lstatSync(path, { throwIfNoEntry: false })
  if (!link) throw new Problem('command.invalid', `${path}: there is no such file`)
  const file = statSync(path, { throwIfNoEntry: false })
  if (!file) throw new Problem('command.invalid', `${path} is a link to ${readlinkSync(path)}, which is not there`)
  if (file.isDirectory()) throw new Problem('command.invalid', `${path} is a folder; a file is needed`)
  if (!file.isFile() && !file.isFIFO() && !file.isCharacterDevice())
    throw new Problem('command.invalid', `${path} is no file`)
  return new Uint8Array(readFileSync(path))
}

/** As text. @throws {Problem} `command.invalid`, also when it is written in another encoding than UTF-8, naming that */
export function readNamedText(path: string): string {
  return namedText(path, readNamedFile(path))
}

/** A file's bytes as text. @throws {Problem} `command.invalid` as `readNamedText` */
export function namedText(path: string, bytes: Uint8Array): string {
  checkUtf8(path, bytes)
  return new TextDecoder('utf-8').decode(bytes)
}

/** @throws {Problem} `command.invalid` when the bytes are UTF-16: of no format that is read here */
export function refuseUtf16(path: string, bytes: Uint8Array): void {
  const [first, second, third, fourth] = bytes
  const isMarked = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)
  const isPlain = bytes.length >= 4 && ((first === 0 && third === 0) || (second === 0 && fourth === 0))
  if (isMarked || isPlain) throw new Problem('command.invalid', `${path} is written in UTF-16; save it as UTF-8`)
}

function checkUtf8(path: string, bytes: Uint8Array): void {
  refuseUtf16(path, bytes)
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new Problem('command.invalid', `${path} is not UTF-8 text; save it as UTF-8`, { cause })
  }
}
