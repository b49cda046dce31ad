/** Whose signature makes a member's token, as the site's folder says. */
import type { KeyObject } from 'node:crypto'
import { sameBytes } from '@azukari/protocol/bytes'
import { proveSession } from '@azukari/protocol/contracts/session'
import { parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import type { Clock } from '@azukari/protocol/ports'
import type { TokenKeys } from '../service/member-tokens.ts'
import type { SiteFolder } from '../site-folder.ts'

/** A key that is not known is looked for at most so often: anybody can make tokens up. */
const lookMs = 1_000

/** Reads placement's key when the first token comes, and again when one names another key. */
export function tokenKeysOf(folder: Pick<SiteFolder, 'publicKeys'>, clock: Pick<Clock, 'monotonicMs'>): TokenKeys {
  let known: { kid: Uint8Array; key: KeyObject } | undefined
  let lookedMs: number | undefined
  return async (kid) => {
    const nowMs = clock.monotonicMs()
    if (!(known && sameBytes(known.kid, kid)) && (lookedMs === undefined || nowMs - lookedMs >= lookMs)) {
      lookedMs = nowMs
      const key = parseCoseKey((await folder.publicKeys(proveSession.service)).key)
      known = { kid: thumbprint(key), key }
    }
    return known && sameBytes(known.kid, kid) ? known.key : undefined
  }
}
