/**
 * What a card looks at before it signs: the to-be-signed bytes must be a COSE Sig_structure (RFC 9052 §4.4) whose
 * external_aad names a domain that the key is for, so that no device can have one key sign what is another's (S2).
 */
import { type CardKeyName, cardKeys } from './layout.ts'

const context = 'Signature1'

/** The external_aad of a Sig_structure for COSE_Sign1 as text; undefined when the bytes are anything else. */
export function signingDomain(toBeSigned: Uint8Array): string | undefined {
  let at = 0
  const head = (major: number): number | undefined => {
    const first = toBeSigned[at++]
    if (first === undefined || first >> 5 !== major) return undefined
    const info = first & 31
    if (info < 24) return info
    const bytes = info === 24 ? 1 : info === 25 ? 2 : info === 26 ? 4 : 0
    if (bytes === 0 || at + bytes > toBeSigned.length) return undefined
    let value = 0
    for (let i = 0; i < bytes; i++) value = value * 256 + toBeSigned[at++]!
    return value
  }
  const string = (major: number): Uint8Array | undefined => {
    const length = head(major)
    if (length === undefined || at + length > toBeSigned.length) return undefined
    at += length
    return toBeSigned.subarray(at - length, at)
  }
  if (head(4) !== 4) return undefined
  const kind = string(3)
  const protectedHeader = string(2)
  const aad = string(2)
  const payload = string(2)
  if (!kind || !protectedHeader || !aad || !payload || at !== toBeSigned.length) return undefined
  if (Buffer.from(kind).toString('latin1') !== context) return undefined
  return Buffer.from(aad).toString('latin1')
}

/** Whether a key of the card may sign these bytes. @param retired domains that it no longer signs */
export function maySign(key: CardKeyName, toBeSigned: Uint8Array, retired: readonly string[] = []): boolean {
  const domain = signingDomain(toBeSigned)
  return domain !== undefined && cardKeys[key].domain?.test(domain) === true && !retired.includes(domain)
}
