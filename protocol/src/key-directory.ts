/**
 * The key directory (ARCHITECTURE §3, decision 14): one document, signed by the site's key, that says which public keys each
 * service and data server has, from when and until when. Whoever has the site's key can judge it alone, however it came.
 */
import type { KeyObject } from 'node:crypto'
import { sameBytes } from './bytes.ts'
import { decode, encodeDeterministic } from './codec.ts'
import { Bytes, Count, checker, Slug, type Static, TimeMs, Type } from './contract.ts'
import { type DirectSigner, sign1, verify1 } from './cose.ts'
import { kindOf, parseCoseKey, thumbprint } from './keys.ts'
import type { KeyFinder } from './manifest.ts'
import { isProblem, Problem } from './problem.ts'

export const keyDirectoryDomain = new TextEncoder().encode('azukari/key-directory/1')
/** A site of 1,000 data servers needs 125 KB; a message of this protocol has room for 256. */
export const keyDirectoryMaxBytes = 192 * 1024
const keysMax = 1_536

/** How long a directory can be used: a device that was connected some time in the last days can work so long without a line. */
export const directoryLifeMs = 45 * 86_400_000
/**
 * How long what was made for a former key is still taken. A device may seal by a directory until that expires, and what
 * it signed or sealed then is good for 30 days: 75 days, and some room.
 */
export const overlapMs = 90 * 86_400_000
/** How far the clocks of two holders may differ when a signature is judged by its time. */
const skewMs = 5 * 60_000

/** `sign`: signatures, and what acts are addressed to. `agree`: what others seal to. `card`: opens cards for writing. */
const Use = Type.Union([Type.Literal('sign'), Type.Literal('agree'), Type.Literal('card')])
export type KeyUse = Static<typeof Use>

/** A service by its name, or a data server as `data-server/ID`. */
const Holder = Type.String({ pattern: '^([a-z][a-z-]{0,23}|data-server/[a-z0-9-]{1,32})$' })

export const DirectoryKey = Type.Object({
  holder: Holder,
  use: Use,
  /** COSE_Key. */
  key: Bytes(32, 600),
  /** From when its holder uses it, and others seal to it. */
  fromMs: TimeMs,
  /** From when another one is used in its place; absent while none is known. */
  untilMs: Type.Optional(TimeMs),
  /** Until when what was sealed to it, or addressed to it, is still taken. Its signatures from before stay good. */
  takenUntilMs: Type.Optional(TimeMs),
  /** From when on it counts for nothing, also between its other times: somebody else may have it. For good. */
  revokedMs: Type.Optional(TimeMs),
})
export type DirectoryKey = Static<typeof DirectoryKey>

export const KeyDirectory = Type.Object({
  contract: Type.Literal('key-directory@1'),
  site: Slug,
  /** Only rises. Ms of its making, so that it rises also after an old copy of the gateway's database was put back. */
  version: Count,
  issuedMs: TimeMs,
  expiresMs: TimeMs,
  keys: Type.Array(DirectoryKey, { maxItems: keysMax }),
})
export type KeyDirectory = Static<typeof KeyDirectory>

/** What makes a directory believed: the site's name and its key, which were learnt at enrolment. */
export interface DirectoryTrust {
  site: string
  siteKey: KeyObject
}

const checkDirectory = checker(KeyDirectory, 'key directory')

/** COSE_Sign1 by the site's key. @throws {Problem} `message.invalid`, `message.too-large` */
export function signKeyDirectory(directory: KeyDirectory, signer: DirectSigner): Uint8Array {
  const signed = sign1(encodeDeterministic(checkWindows(checkDirectory(directory))), signer, keyDirectoryDomain)
  if (signed.length > keyDirectoryMaxBytes)
    throw new Problem('message.too-large', `a key directory of ${signed.length} bytes`)
  return signed
}

/** @throws {Problem} `keys.forged`, `keys.wrong-site`, `message.invalid`, `message.too-large`, `cbor.*`, `cose.malformed` */
export function openKeyDirectory(signed: Uint8Array, { site, siteKey }: DirectoryTrust): KeyDirectory {
  if (signed.length > keyDirectoryMaxBytes)
    throw new Problem('message.too-large', `a key directory of ${signed.length} bytes`)
  const kid = thumbprint(siteKey)
  const directory = checkWindows(checkDirectory(decode(verified())))
  if (directory.site !== site) throw new Problem('keys.wrong-site', `${directory.site} instead of ${site}`)
  return directory

  function verified(): Uint8Array {
    try {
      return verify1(signed, (asked) => (sameBytes(asked, kid) ? siteKey : undefined), keyDirectoryDomain).payload
    } catch (error) {
      if (isProblem(error, 'cose.unknown-key') || isProblem(error, 'cose.bad-signature'))
        throw new Problem('keys.forged', error.code)
      throw error
    }
  }
}

/**
 * Takes a directory in place of the one held. One with the same version must be the same.
 * @throws {Problem} as `openKeyDirectory`; `keys.stale` when it is not newer, `keys.expired`
 */
export function takeKeyDirectory(
  signed: Uint8Array,
  trust: DirectoryTrust,
  held: KeyDirectory | undefined,
  nowMs: number,
): KeyDirectory {
  const directory = openKeyDirectory(signed, trust)
  if (held && directory.version <= held.version)
    throw new Problem('keys.stale', `version ${directory.version} where ${held.version} is known`)
  requireCurrent(directory, nowMs)
  return directory
}

/** @throws {Problem} `keys.expired` */
export function requireCurrent({ version, expiresMs }: KeyDirectory, nowMs: number): void {
  if (nowMs >= expiresMs)
    throw new Problem('keys.expired', `version ${version} ended at ${new Date(expiresMs).toISOString()}`)
}

/**
 * The key of a holder that is in use at a time. A clock that stands before the directory was made is behind.
 * @throws {Problem} `keys.missing`, `keys.revoked`
 */
export function keyInUse(
  { keys, issuedMs }: Pick<KeyDirectory, 'keys' | 'issuedMs'>,
  holder: string,
  use: KeyUse,
  nowMs: number,
): KeyObject {
  const atMs = Math.max(nowMs, issuedMs)
  const found = keys.find(
    (row) =>
      row.holder === holder &&
      row.use === use &&
      row.fromMs <= atMs &&
      (row.untilMs === undefined || atMs < row.untilMs),
  )
  if (!found) throw new Problem('keys.missing', `${holder}: none to ${use} at ${new Date(atMs).toISOString()}`)
  if (isRevokedAt(found, atMs)) throw new Problem('keys.revoked', `${holder} to ${use}`)
  return keyFor(found)
}

/** The key to seal to at a time. @throws {Problem} `keys.expired`, `keys.missing`, `keys.revoked` */
export function sealingKey(directory: KeyDirectory, holder: string, nowMs: number): KeyObject {
  requireCurrent(directory, nowMs)
  return keyInUse(directory, holder, 'agree', nowMs)
}

/**
 * Finds a holder's key by the name in a signature, if it was in use when the signature says that it was made. Not a key
 * before its time or after it: who stole a former key signs nothing new with it.
 * @param atMs the time that the signed message states; the clocks may differ by five minutes
 */
export function signersAt({ keys }: Pick<KeyDirectory, 'keys'>, holder: string, atMs: number): KeyFinder {
  return finder(
    keys.filter(
      (row) =>
        row.holder === holder &&
        row.use === 'sign' &&
        row.fromMs - skewMs <= atMs &&
        (row.untilMs === undefined || atMs < row.untilMs + skewMs) &&
        !isRevokedAt(row, atMs),
    ),
  )
}

/** Whether a key that a signature names was revoked by the time that the signature states. */
export function isRevoked(
  { keys }: Pick<KeyDirectory, 'keys'>,
  holder: string,
  kid: Uint8Array,
  atMs: number,
): boolean {
  const rows = keys.filter((row) => row.holder === holder && row.use === 'sign' && isRevokedAt(row, atMs))
  return finder(rows)(kid) !== undefined
}

function isRevokedAt({ revokedMs }: DirectoryKey, atMs: number): boolean {
  return revokedMs !== undefined && atMs >= revokedMs
}

/**
 * Finds a holder's key by the name in a signature, whenever it was in use: for documents that are judged long after. Not one
 * that is revoked from its first day on.
 */
export function signersEver({ keys }: Pick<KeyDirectory, 'keys'>, holder: string): KeyFinder {
  return finder(keys.filter((row) => row.holder === holder && row.use === 'sign' && !isRevokedAt(row, row.fromMs)))
}

function finder(rows: readonly DirectoryKey[]): KeyFinder {
  return (kid) => {
    for (const row of rows) {
      const key = keyFor(row)
      if (sameBytes(thumbprint(key), kid)) return key
    }
    return undefined
  }
}

const kinds: Record<KeyUse, readonly string[]> = { sign: ['ed25519', 'p256'], agree: ['x25519'], card: ['ed25519'] }

/** @throws {Problem} `cose.*` */
function keyFor({ key, use, holder }: DirectoryKey): KeyObject {
  const found = parseCoseKey(key)
  if (found.type === 'private' || !kinds[use].includes(kindOf(found)))
    throw new Problem('cose.wrong-algorithm', `the key of ${holder} to ${use}`)
  return found
}

/** At no time are there two keys of one holder for one use. @throws {Problem} `message.invalid` */
function checkWindows(directory: KeyDirectory): KeyDirectory {
  if (directory.expiresMs <= directory.issuedMs) throw new Problem('message.invalid', 'a key directory without a life')
  const last = new Map<string, number>()
  const sorted = [...directory.keys].sort((a, b) => a.fromMs - b.fromMs)
  for (const { holder, use, fromMs, untilMs = Number.POSITIVE_INFINITY } of sorted) {
    const name = `${holder} ${use}`
    if (untilMs <= fromMs || fromMs < (last.get(name) ?? 0))
      throw new Problem('message.invalid', `two keys at once of ${holder} to ${use}`)
    last.set(name, untilMs)
  }
  return directory
}
