/** Files that a person names in a command for the running site: read and sent along, or written from what comes back. */
import { accessSync, constants, lstatSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Values } from '@azukari/protocol/adapters/command'
import { readNamedFile } from '@azukari/protocol/adapters/named-file'
import { Problem } from '@azukari/protocol/problem'
import { partName, pathsOf } from '../operator-api/file-names.ts'

/** As the operators' socket takes it. */
const fileMaxBytes = 64 << 20

export interface NamedFile {
  name: string
  bytes: Uint8Array
}

/** The files that the call names. @throws {Problem} `command.invalid` naming the one that cannot be read */
export function readCallFiles(names: readonly string[], values: Values, positionals: readonly string[]): NamedFile[] {
  return names.flatMap((name) =>
    pathsOf(name, values, positionals).map((path, at) => ({ name: partName(name, at), bytes: readCallFile(path) })),
  )
}

function readCallFile(path: string): Uint8Array {
  // Looked at first: a disk's image must not fill the memory before it is refused.
  checkSize(path, statSync(path, { throwIfNoEntry: false })?.size ?? 0)
  const bytes = readNamedFile(path)
  checkSize(path, bytes.length)
  return bytes
}

/** @throws {Problem} `message.too-large` */
function checkSize(path: string, bytes: number): void {
  if (bytes > fileMaxBytes)
    throw new Problem('message.too-large', `${path} has ${bytes} bytes, ${fileMaxBytes} are taken`)
}

/** A name that a site may give a file which the call does not name: in this folder, and over nothing. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

/**
 * Writes what the site gives to the files that the call names, and to no other, whole or not at all.
 * @throws {Problem} `command.invalid` before the call when one of them cannot be written
 */
export class CallOutputs {
  readonly #paths = new Map<string, string | undefined>()

  constructor(options: readonly string[], values: Values) {
    for (const option of options) {
      const path = values[option]
      if (typeof path === 'string') checkWritable(path)
      this.#paths.set(option, typeof path === 'string' ? path : undefined)
    }
  }

  /** The file that the call names for an option. */
  pathOf(option: string): string | undefined {
    return this.#paths.get(option)
  }

  write({ option, suffix = '', name, bytes }: { option: string; suffix?: string; name?: string; bytes: Uint8Array }) {
    if (!this.#paths.has(option))
      throw new Problem('message.invalid', `a file for --${option}, which was not asked for`)
    const path = this.#paths.get(option)
    if (path !== undefined) return replaceFile(`${path}${suffix}`, bytes)
    if (name === undefined || !plainName.test(name)) throw new Problem('command.invalid', `--${option} is needed`)
    // Nothing that stands here is written over unless it was named.
    if (lstatSync(name, { throwIfNoEntry: false }))
      throw new Problem('command.invalid', `${name} is here already: name a file with --${option}`)
    writeFileSync(name, bytes, { mode: 0o600, flag: 'wx' })
  }
}

function replaceFile(path: string, bytes: Uint8Array): void {
  if (!(statSync(path, { throwIfNoEntry: false })?.isFile() ?? true)) {
    // A device or pipe is written to; it cannot be replaced.
    writeFileSync(path, bytes)
    return
  }
  const part = `${path}.part`
  try {
    // Never into what somebody else has laid there, such as a link.
    rmSync(part, { force: true })
    writeFileSync(part, bytes, { mode: 0o600, flag: 'wx' })
    renameSync(part, path)
  } catch (error) {
    rmSync(part, { force: true })
    throw error
  }
}

function checkWritable(path: string): void {
  const stands = statSync(path, { throwIfNoEntry: false })
  if (stands?.isDirectory()) throw new Problem('command.invalid', `${path} is a folder; a file is needed`)
  if (stands && !stands.isFile()) return
  const folder = dirname(path)
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new Problem('command.invalid', `${basename(path)} cannot be written in ${folder}`, { cause })
  }
}
