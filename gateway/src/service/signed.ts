/**
 * What is signed reaches a handler only when the signature holds (ARCHITECTURE §3): the host opens the message, finds the
 * key that it names and verifies it. What the signer may do is the handler's to judge.
 */
import type { KeyObject } from 'node:crypto'
import { sameBytes } from '@azukari/protocol/bytes'
import { decode } from '@azukari/protocol/codec'
import type { Contract } from '@azukari/protocol/contract'
import { peek1, verify1, verify1By } from '@azukari/protocol/cose'
import { kindOf, parseCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { InternalError, Problem } from '@azukari/protocol/problem'
import { openSealed } from '@azukari/protocol/signed-sealed'
import type { Sql } from '../storage/database.ts'
import type { Checked, SignatureChecks } from './checks.ts'

/** A key that may sign, as the service's register has it. */
export interface Signer {
  /** COSE_Key, public. */
  key: Uint8Array
}

/** What a host verifies signatures with. */
export interface Signers {
  /** The registered key of that thumbprint, in the act's own transaction; what else the row says is the handler's. */
  find(sql: Sql, kid: Uint8Array): Promise<Signer | undefined>
  /** The private key that messages are sealed to, where some are. */
  agreement?: KeyObject
  /** Other threads that check sealed messages ahead of their acts; without them, each act does so itself. */
  checks?: SignatureChecks | undefined
}

/** A message whose signature holds. */
export interface SignedContent<Body = unknown> {
  body: Body
  payload: Uint8Array
  /** The COSE_Sign1. */
  message: Uint8Array
  /** Thumbprint of the key that signed. */
  kid: Uint8Array
  /** What `find` gave; undefined when the key came with the message. */
  signer: Signer | undefined
}

/** Begins to look at a sealed message on another thread. @throws {Problem} `service.busy` at once */
export function checkAhead(
  { signed }: Contract,
  body: unknown,
  signers: Signers | undefined,
): Promise<Checked | undefined> | undefined {
  if (!signed?.sealed || signed.keyIn || !signers?.checks) return undefined
  const sealed = (body as Record<string, unknown> | undefined)?.[signed.in]
  return sealed instanceof Uint8Array ? signers.checks.check(sealed, signed.domain) : undefined
}

/**
 * @param request checked against the contract
 * @param found what another thread found out already
 * @throws {Problem} `cose.*`, `cbor.*`, `message.invalid`
 */
export async function verifySigned(
  { signed: part, id }: Contract,
  request: unknown,
  signers: Signers,
  sql: Sql,
  found?: Checked,
): Promise<SignedContent> {
  if (!part) throw new InternalError(`${id} is not signed`)
  if (found?.is === 'refused') throw new Problem(found.code, found.detail)
  const given = (request as Record<string, unknown>)[part.in] as Uint8Array
  const message = found?.signed ?? (part.sealed ? opened(id, given, part.domain, signers) : given)
  if (part.keyIn) {
    const body = part.check(decode(peek1(message).payload))
    const key = signingKey((body as Record<string, unknown>)[part.keyIn] as Uint8Array)
    const { payload, kid } = verify1(message, (kid) => (sameBytes(kid, thumbprint(key)) ? key : undefined), part.domain)
    return { body, payload, message, kid, signer: undefined }
  }
  if (found?.is === 'proven') {
    // A register's key lies under its own thumbprint, so who holds that kid is who signed.
    const signer = await signers.find(sql, found.kid)
    if (!signer) throw new Problem('cose.unknown-key')
    return { body: part.check(decode(found.payload)), payload: found.payload, message, kid: found.kid, signer }
  }
  let signer: Signer | undefined
  const { payload, kid } = await verify1By(
    message,
    async (kid) => {
      signer = await signers.find(sql, kid)
      if (signer && found) signers.checks?.learn(signer.key)
      return signer && parseCoseKey(signer.key)
    },
    part.domain,
  )
  return { body: part.check(decode(payload)), payload, message, kid, signer }
}

function opened(id: string, sealed: Uint8Array, domain: Uint8Array, { agreement }: Signers): Uint8Array {
  if (!agreement) throw new InternalError(`${id} is sealed, and there is no key to open it`)
  return openSealed(sealed, agreement, domain)
}

/** @throws {Problem} `cose.wrong-algorithm` for keys that cannot sign */
function signingKey(bytes: Uint8Array): KeyObject {
  const key = publicOf(parseCoseKey(bytes))
  if (kindOf(key) === 'x25519') throw new Problem('cose.wrong-algorithm', 'this key cannot sign')
  return key
}
