/** How a data server shows placement that it is itself, before a byte is sent to it and whenever it is audited (S7, S12). */
import type { KeyObject } from 'node:crypto'
import { sameBytes } from './bytes.ts'
import { decode, encodeDeterministic } from './codec.ts'
import { Bytes, checker, Slug, type Static, TimeMs, Type } from './contract.ts'
import { type DirectSigner, sign1, verify1 } from './cose.ts'
import { Problem } from './problem.ts'

const identifyDomain = new TextEncoder().encode('azukari/identify/1')

const Identification = Type.Object({
  domain: Type.Literal('azukari/identify/1'),
  nonce: Bytes(16, 64),
  /** Who asked (thumbprint of placement's key), so that an answer cannot be passed on to another. */
  verifier: Bytes(16, 64),
  server: Slug,
  atMs: TimeMs,
})
export type Identification = Static<typeof Identification>

const checkIdentification = checker(Identification, 'identification')

export function signIdentification(said: Omit<Identification, 'domain'>, signer: DirectSigner): Uint8Array {
  return sign1(
    encodeDeterministic(checkIdentification({ domain: 'azukari/identify/1', ...said })),
    signer,
    identifyDomain,
  )
}

/** @throws {Problem} `server.impostor` when the answer is not this server's, to this question */
export function openIdentification(
  signed: Uint8Array,
  serverKey: KeyObject,
  asked: { nonce: Uint8Array; verifier: Uint8Array; server: string },
): Identification {
  let said: Identification
  try {
    said = checkIdentification(decode(verify1(signed, () => serverKey, identifyDomain).payload))
  } catch (cause) {
    throw new Problem('server.impostor', `${asked.server} does not prove its key`, { cause })
  }
  if (!sameBytes(said.nonce, asked.nonce) || !sameBytes(said.verifier, asked.verifier) || said.server !== asked.server)
    throw new Problem('server.impostor', `${asked.server} answers another question`)
  return said
}
