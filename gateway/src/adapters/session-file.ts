/** Where a signed-in operator's token is kept: a file of that user's alone, one for each site. */
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

export interface KeptSession {
  token: string
  /** PEM of the authority by which the site is known, where it is on another machine. */
  authority?: string
}

/** @param place a site's folder, or its address on another machine */
function pathOf(place: string): string {
  const state = process.env['XDG_STATE_HOME'] || join(homedir(), '.local/state')
  const plain = place.startsWith('https://') ? place : realpathSync(place)
  return join(state, 'azukari', `session-${createHash('sha256').update(plain).digest('hex').slice(0, 32)}`)
}

/** Undefined when nobody is signed in. */
export function readSession(place: string): KeptSession | undefined {
  try {
    const [token = '', ...authority] = readFileSync(pathOf(place), 'utf8').trim().split('\n')
    return authority.length > 0 ? { token, authority: authority.join('\n') } : { token }
  } catch {
    return undefined
  }
}

export function writeSession(place: string, { token, authority }: KeptSession): void {
  const path = pathOf(place)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // Not written into a file that had wider rights.
  rmSync(path, { force: true })
  writeFileSync(path, `${[token, authority ?? ''].join('\n').trim()}\n`, { mode: 0o600, flag: 'wx' })
  chmodSync(path, 0o600)
}

export function removeSession(place: string): void {
  rmSync(pathOf(place), { force: true })
}
