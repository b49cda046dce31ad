/**
 * The two boxes of the vault (P2, P10): AES-256-GCM under argon2id of a password, with key commitment. GCM alone would let one
 * ciphertext open under two keys; here HKDF splits the password's key into one that seals and a tag that is compared
 * first, so a box belongs to one password only.
 */
import { argon2, argon2Sync, createCipheriv, createDecipheriv, hkdfSync, timingSafeEqual } from 'node:crypto'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, type Static, Type } from '@azukari/protocol/contract'
import { Problem } from '@azukari/protocol/problem'

/** argon2id (RFC 9106): the second recommended option; boards with little memory take less and more passes. */
export const KdfCost = Type.Object({
  memoryKib: Type.Integer({ minimum: 64, maximum: 1_048_576 }),
  passes: Type.Integer({ minimum: 1, maximum: 64 }),
  lanes: Type.Integer({ minimum: 1, maximum: 16 }),
})
export type KdfCost = Static<typeof KdfCost>
export const standardCost: KdfCost = { memoryKib: 65_536, passes: 3, lanes: 4 }

export const Box = Type.Object({
  cost: KdfCost,
  salt: Bytes(16),
  nonce: Bytes(12),
  /** Compared before anything is opened. */
  commit: Bytes(32),
  sealed: Bytes(16, 8 << 20),
})
export type Box = Static<typeof Box>

/** What a box is bound to: terminal, algorithm, the key's fingerprint, and which of the boxes it is. */
export interface BoxPlace {
  layer: 'inner' | 'outer' | 'paper'
  terminal: string
  kid: Uint8Array
}

export interface BoxKey {
  cost: KdfCost
  salt: Uint8Array
  key: Uint8Array
  commit: Uint8Array
}

const utf8 = new TextEncoder()

/**
 * The key of a box from a password and, where one is mixed in, the card's secret. `password` is left as it is; whoever
 * made it wipes it.
 */
export async function deriveBoxKey(
  password: Uint8Array,
  salt: Uint8Array,
  cost: KdfCost,
  cardSecret: Uint8Array = new Uint8Array(0),
): Promise<BoxKey> {
  const stretched = await stretch(password, salt, cost)
  const secret = Buffer.concat([stretched, cardSecret])
  const part = (use: string) =>
    new Uint8Array(hkdfSync('sha256', secret, salt, utf8.encode(`azukari/vault/${use}/1`), 32))
  const made = { cost, salt, key: part('key'), commit: part('commit') }
  stretched.fill(0)
  secret.fill(0)
  return made
}

/** So little is done at once: to hand it to another thread would cost more. */
const atOnceKib = 256

function stretch(message: Uint8Array, nonce: Uint8Array, { memoryKib, passes, lanes }: KdfCost): Promise<Buffer> {
  const parameters = { message, nonce, parallelism: lanes, tagLength: 32, memory: memoryKib, passes }
  return new Promise((resolve, reject) => {
    if (memoryKib * passes <= atOnceKib) return resolve(argon2Sync('argon2id', parameters))
    argon2('argon2id', parameters, (error, key) => (error ? reject(error) : resolve(key)))
  })
}

/** @param nonce 12 bytes, never twice under one key */
export function sealBox(
  { cost, salt, key, commit }: BoxKey,
  nonce: Uint8Array,
  place: BoxPlace,
  content: Uint8Array,
): Box {
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(aad(place))
  const sealed = new Uint8Array(Buffer.concat([cipher.update(content), cipher.final(), cipher.getAuthTag()]))
  return { cost, salt, nonce, commit, sealed }
}

/** @throws {Problem} `vault.wrong` for another password or card, `vault.damaged` when the box itself was changed */
export function openBox(box: Box, { key, commit }: BoxKey, place: BoxPlace): Uint8Array {
  if (!timingSafeEqual(commit, box.commit)) throw new Problem('vault.wrong')
  const decipher = createDecipheriv('aes-256-gcm', key, box.nonce)
  decipher.setAAD(aad(place))
  decipher.setAuthTag(box.sealed.subarray(-16))
  try {
    return new Uint8Array(Buffer.concat([decipher.update(box.sealed.subarray(0, -16)), decipher.final()]))
  } catch {
    throw new Problem('vault.damaged', `${place.layer} box`)
  }
}

function aad({ layer, terminal, kid }: BoxPlace): Uint8Array {
  return encodeDeterministic(['azukari/vault/1', layer, terminal, 'A256GCM', kid])
}

/** Wipes what held a secret, as far as the platform lets us: strings and engine copies are out of reach. */
export function wipe(...secrets: (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0)
}
