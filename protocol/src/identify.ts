/** How a data server shows placement that it is itself, before a byte is sent to it and whenever it is audited (S7, S12). */
import type { KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from './codec.ts'
import { Bytes, checker, Slug, type Static, Text, TimeMs, Type } from './contract.ts'
import { type Signer, sign1, verify1 } from './cose.ts'
import { sameBytes } from './manifest.ts'
import { Problem } from './problem.ts'

const identifyDomain = new TextEncoder().encode('azukari/identify/1')

const Identification = Type.Object({
  domain: Type.Literal('azukari/identify/1'),
  nonce: Bytes(16, 64),
  /** Who asked, so that an answer cannot be passed on to another. */
  verifier: Text(64),
  server: Slug,
  atMs: TimeMs,
})
export type Identification = Static<typeof Identification>

const checkIdentification = checker(Identification, 'identification')

export function signIdentification(
  said: Omit<Identification, 'domain'>,
  signer: Signer & { sign(tbs: Uint8Array): Uint8Array },
): Uint8Array {
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
  asked: { nonce: Uint8Array; verifier: string; server: string },
): Identification {
  let said: Identification
  try {
    said = checkIdentification(decode(verify1(signed, () => serverKey, identifyDomain).payload))
  } catch (cause) {
    throw new Problem('server.impostor', `${asked.server} does not prove its key`, { cause })
  }
  if (!sameBytes(said.nonce, asked.nonce) || said.verifier !== asked.verifier || said.server !== asked.server)
    throw new Problem('server.impostor', `${asked.server} answers another question`)
  return said
}
