/** Where a signed-in operator's token is kept: a file of that user's alone, one for each site. */
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

function pathOf(folder: string): string {
  const state = process.env['XDG_STATE_HOME'] || join(homedir(), '.local/state')
  const name = createHash('sha256').update(realpathSync(folder)).digest('hex').slice(0, 32)
  return join(state, 'azukari', `session-${name}`)
}

/** Undefined when nobody is signed in. */
export function readSession(folder: string): string | undefined {
  try {
    return readFileSync(pathOf(folder), 'utf8').trim()
  } catch {
    return undefined
  }
}

export function writeSession(folder: string, token: string): void {
  const path = pathOf(folder)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // Not written into a file that had wider rights.
  rmSync(path, { force: true })
  writeFileSync(path, `${token}\n`, { mode: 0o600, flag: 'wx' })
  chmodSync(path, 0o600)
}

export function removeSession(folder: string): void {
  rmSync(pathOf(folder), { force: true })
}
