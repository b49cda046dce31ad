/** CONNECT's password is a token that the device signed for this site: nothing that could be stolen is stored (flow 1). */
import { Buffer } from 'node:buffer'
import type { KeyObject } from 'node:crypto'
import { base32 } from '@azukari/protocol/base32'
import { decodeMap } from '@azukari/protocol/codec'
import { peek1 } from '@azukari/protocol/cose'
import { verifyCwt } from '@azukari/protocol/cwt'
import { parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Admission, Credentials } from './admission.ts'

/** Longest life of a token, in seconds, and how far clocks may differ. */
const lifeS = 300
const skewMs = 120_000

export interface AdmitOptions {
  site: string
  clock: Clock
  /** The key of an enrolled device that is not shut out. @throws {Problem} `device.unknown`, `device.revoked` */
  keyOf: (device: string) => Promise<KeyObject>
  /** The key on record of any device, also one that is shut out; undefined when it was never enrolled. */
  knownKeyOf: (device: string) => Promise<KeyObject | undefined>
  /** Judges the name and password of a reader of telemetry; absent: there are none. @throws {Problem} `message.unauthorised` */
  checkReader?: (name: string, password: Uint8Array) => Promise<void>
}

/**
 * Judges credentials: `device` with the key on record, `claim` with the key inside the token, which must be the one that
 * the client id names, or the one on record of a device whose key was replaced; any other user name is a reader's (D6), with its password.
 *
 * A board without a clock cannot know the time before it is told. So the time of a claimant's token counts for nothing: it
 * lets its bearer enrol, beside the device and never in its place. A device whose token is too old may greet, which needs
 * its key anew and tells it the time, and do no more (D1). A token from the future would be good for years to whoever
 * steals it, so it counts like one that is too old.
 */
export function admission({
  site,
  clock,
  keyOf,
  knownKeyOf,
  checkReader,
}: AdmitOptions): (credentials: Credentials) => Promise<Admission> {
  return async ({ clientId, username, password }) => {
    if (username !== 'device' && username !== 'claim') {
      if (!checkReader) throw new Problem('message.unauthorised', 'the user name is neither device nor claim')
      await checkReader(username, password)
      return { standing: 'reader' }
    }
    const token = tokenOf(password)
    const key = username === 'device' ? await keyOf(clientId) : claimantKey(token, clientId, await knownKeyOf(clientId))
    const nowMs = clock.now()
    const claims = verifyCwt(token, () => key, { aud: site, nowMs, skewMs: Number.POSITIVE_INFINITY })
    if (claims.iss !== clientId) throw new Problem('cose.wrong-audience', 'the token is another device’s')
    if (claims.exp === undefined || claims.iat === undefined || claims.exp - claims.iat > lifeS)
      throw new Problem('cose.expired', 'the token lives too long')
    const issuedMs = claims.iat * 1000
    if (username === 'claim') return { standing: 'claim', issuedMs }
    const fresh = issuedMs <= nowMs + skewMs && nowMs - skewMs < claims.exp * 1000
    return { standing: fresh ? 'device' : 'late', issuedMs }
  }
}

/** Tools that cannot send bytes send base64url. */
function tokenOf(password: Uint8Array): Uint8Array {
  const text = password.length > 0 && password.every((byte) => byte > 0x20 && byte < 0x7f)
  return text ? new Uint8Array(Buffer.from(Buffer.from(password).toString('latin1'), 'base64url')) : password
}

function claimantKey(token: Uint8Array, clientId: string, known: KeyObject | undefined): KeyObject {
  const tagged = token[0] === 0xd8 && token[1] === 0x3d
  const confirmation = decodeMap(peek1(tagged ? token.subarray(2) : token).payload).get(8)
  const bytes = confirmation instanceof Map ? confirmation.get(1) : undefined
  if (!(bytes instanceof Uint8Array)) throw new Problem('cose.unknown-key', 'the token brings no key')
  const key = parseCoseKey(bytes)
  if (base32(thumbprint(key).subarray(0, 15)) !== clientId && !known?.equals(key))
    throw new Problem('cose.unknown-key', 'the client id is not this key’s')
  return key
}
