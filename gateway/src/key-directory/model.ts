/** What stands in a site's key directory, decided from what its holders tell (ARCHITECTURE §3, decision 14). */
import { sameBytes } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import type { HeldKey } from '@azukari/protocol/contracts/keys'
import { type DirectoryKey, directoryLifeMs, type KeyDirectory } from '@azukari/protocol/key-directory'
import { parseCoseKey, thumbprint } from '@azukari/protocol/keys'

export const dataServerHolder = (id: string): string => `data-server/${id}`
const isDataServer = (holder: string): boolean => holder.startsWith('data-server/')

/** What the holders say now. */
export interface Told {
  /** Of services that keep their keys over time; one that did not answer is absent. */
  services: ReadonlyMap<string, readonly HeldKey[]>
  /** The one signing key of each data server in use. */
  dataServers: ReadonlyMap<string, Uint8Array>
  /** A key that counts for nothing from a time on. */
  revoked?: Revocation
}

export interface Revocation {
  holder: string
  /** Thumbprint of the key. */
  kid: Uint8Array
  fromMs: number
}

/**
 * The keys of the next directory. A service that did not answer keeps those it had; a data server that is not in use any
 * more has none. What nobody may be sealed to any more is left out; signing keys stay, to verify.
 */
export function nextKeys(before: readonly DirectoryKey[], told: Told, nowMs: number): DirectoryKey[] {
  const silent = before.filter(({ holder }) => !isDataServer(holder) && !told.services.has(holder))
  const services = [...told.services].flatMap(([holder, keys]) => keys.map((key) => ({ holder, ...key })))
  const dataServers = [...told.dataServers].flatMap(([id, key]) => {
    const holder = dataServerHolder(id)
    return succeed(
      holder,
      before.filter((row) => row.holder === holder),
      key,
      nowMs,
    )
  })
  return [...silent, ...services, ...dataServers]
    .map((row) => withRevocation(row, before, told.revoked))
    .filter(({ use, takenUntilMs }) => use === 'sign' || takenUntilMs === undefined || takenUntilMs > nowMs)
    .sort(inOrder)
}

/** What was revoked stays so, whatever its holder says; of two times the earlier one counts. */
function withRevocation(
  row: DirectoryKey,
  before: readonly DirectoryKey[],
  revoked: Revocation | undefined,
): DirectoryKey {
  const known = before.find(
    ({ holder, use, key }) => holder === row.holder && use === row.use && sameBytes(key, row.key),
  )?.revokedMs
  const isMeant = revoked?.holder === row.holder && sameBytes(thumbprint(parseCoseKey(row.key)), revoked.kid)
  const times = [known, isMeant ? revoked.fromMs : undefined].filter((ms) => ms !== undefined)
  return times.length === 0 ? row : { ...row, revokedMs: Math.min(...times) }
}

/** The keys of a data server, of which only the present one is told: another than before takes its place now. */
function succeed(holder: string, before: readonly DirectoryKey[], key: Uint8Array, nowMs: number): DirectoryKey[] {
  const present = before.find(({ untilMs }) => untilMs === undefined)
  if (present && sameBytes(present.key, key)) return [...before]
  const former = before.map((row) => (row === present ? { ...row, untilMs: nowMs } : row))
  return [...former, { holder, use: 'sign', key, fromMs: present ? nowMs : 0 }]
}

function inOrder(a: DirectoryKey, b: DirectoryKey): number {
  if (a.holder !== b.holder) return a.holder < b.holder ? -1 : 1
  if (a.use !== b.use) return a.use < b.use ? -1 : 1
  return a.fromMs - b.fromMs
}

/** A third of its life has passed: a device that is connected now and then never holds one that is about to end. */
export function isDue({ issuedMs, expiresMs }: KeyDirectory, nowMs: number): boolean {
  return nowMs >= issuedMs + (expiresMs - issuedMs) / 3
}

/** The directory that follows, or undefined when it would say the same and is not due. */
export function nextDirectory(
  site: string,
  before: KeyDirectory | undefined,
  told: Told,
  nowMs: number,
): KeyDirectory | undefined {
  const keys = nextKeys(before?.keys ?? [], told, nowMs)
  const same = before && sameBytes(encodeDeterministic(keys), encodeDeterministic(before.keys))
  if (same && !isDue(before, nowMs)) return undefined
  return {
    contract: 'key-directory@1',
    site,
    version: Math.max((before?.version ?? 0) + 1, nowMs),
    issuedMs: nowMs,
    expiresMs: nowMs + directoryLifeMs,
    keys,
  }
}

/** How a key is named to people: its thumbprint in hex. */
export function kidOf({ key }: Pick<DirectoryKey, 'key'>): string {
  return Buffer.from(thumbprint(parseCoseKey(key))).toString('hex')
}
