/** The font of pages: a file of the operator's, else the package that comes with the gateway. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Problem } from '@azukari/protocol/problem'
import { TrueTypeFont } from '../documents/true-type.ts'

/** BIZ UDGothic (Morisawa; SIL Open Font License 1.1): a legible font whose letters and kana stand in columns. */
const packaged = '@expo-google-fonts/biz-udgothic/400Regular/BIZUDGothic_400Regular.ttf'

/** Where a page's font lies; undefined when there is none. @param given a path of the operator's */
export function pageFontPath(given?: string): string | undefined {
  if (given !== undefined) return given
  try {
    return fileURLToPath(import.meta.resolve(packaged))
  } catch {
    return undefined
  }
}

/**
 * The font, read when a page first needs it: it takes some megabytes.
 * @throws {Problem} `config.invalid` for a file of the operator's that is absent or cannot be used: at once
 */
export function pageFontFile(given?: string): () => TrueTypeFont | undefined {
  let font: TrueTypeFont | undefined
  let read = false
  const load = () => {
    if (read) return font
    const path = pageFontPath(given)
    font = path === undefined ? undefined : readFont(path)
    read = true
    return font
  }
  if (given !== undefined) load()
  return load
}

/** @throws {Problem} `config.invalid` */
export function readFont(path: string): TrueTypeFont {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    throw new Problem(
      'config.invalid',
      `the font of pages, ${path}: ${cause instanceof Error ? cause.message : cause}`,
      {
        cause,
      },
    )
  }
  return new TrueTypeFont(bytes)
}
