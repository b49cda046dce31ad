/**
 * Ids of works (R1, R4): the first 24 bits come from the first signing key of the rights service that gave them, so that whoever reads
 * one finds that service in a key directory; the other 40 are chance. Whoever makes up an id can name any service: it looks
 * into its register, and a mark alone proves nothing.
 */

/** Hexadecimal digits of an id, and of those that name the service. */
export const workDigits = 16
const prefixDigits = 6
/** Bytes of chance in an id. */
export const workChanceBytes = 5

/** @param kid thumbprint of the service's first signing key. @param chance `workChanceBytes` bytes */
export function newWorkId(kid: Uint8Array, chance: Uint8Array): string {
  return Buffer.from(kid).toString('hex').slice(0, prefixDigits) + Buffer.from(chance).toString('hex')
}

/** Whether a service with this signing key gave an id. */
export function isWorkOf(work: string, kid: Uint8Array): boolean {
  return work.length === workDigits && Buffer.from(kid).toString('hex').startsWith(work.slice(0, prefixDigits))
}
