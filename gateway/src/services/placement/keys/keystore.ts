/**
 * Placement's keys (ARCHITECTURE §7 "Keys"): its signing and agreement keys, the versioned root keys that wrap members'
 * keys, and the public half of the recovery key. On disk they lie in one box under a passphrase (argon2id); the secret
 * half of the recovery key is printed once and kept offline.
 */
import type { KeyObject } from 'node:crypto'
import { base32, parseBase32 } from '@azukari/protocol/base32'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, Count, checker, TimeMs, Type } from '@azukari/protocol/contract'
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import { coseKey, generateKey, parseCoseKey, privateCoseKey, publicOf, type RandomSource } from '@azukari/protocol/keys'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { argon2id, type PassphraseKdf } from '../../../passphrase-key.ts'
import { type KeyPair, PlacementKeys, pairsMax } from './keys.ts'

const utf8 = new TextEncoder()
const boxDomain = utf8.encode('azukari/keystore/1')
const wrapDomain = utf8.encode('azukari/wrap/1')

const Pair = Type.Object({
  signing: Bytes(32, 4096),
  agreement: Bytes(32, 4096),
  fromMs: TimeMs,
  untilMs: Type.Optional(TimeMs),
  takenUntilMs: Type.Optional(TimeMs),
})
const Keys = Type.Object({
  /** Of the last pair. */
  signing: Bytes(32, 4096),
  agreement: Bytes(32, 4096),
  /** Absent in a keystore of the release before, which has one pair, and the key of its cards is the one that signs. */
  pairs: Type.Optional(Type.Array(Pair, { minItems: 1, maxItems: pairsMax })),
  card: Type.Optional(Bytes(32, 4096)),
  roots: Type.Array(Type.Object({ version: Count, key: Bytes(32) }), { minItems: 1, maxItems: 1000 }),
  recovery: Bytes(32, 600),
})
const checkKeys = checker(Keys, 'keystore')
const checkBox = checker(Type.Object({ format: Type.Literal(1), salt: Bytes(16), box: Bytes(32, 1 << 20) }), 'keystore')

/** Makes all keys anew; the recovery secret is returned once, as text to print. */
export function createKeys(random: RandomSource): { keys: PlacementKeys; recoverySecret: string } {
  const recovery = generateKey('x25519', random)
  const first = { ...newPair(random), fromMs: 0 }
  return {
    keys: new PlacementKeys({
      pairs: [first],
      card: first.signing,
      roots: [{ version: 1, key: random.bytes(32) }],
      recovery: publicOf(recovery),
    }),
    recoverySecret: base32(privateCoseKey(recovery)),
  }
}

/** Keys to sign and to be sealed to. */
export function newPair(random: RandomSource): Pick<KeyPair, 'signing' | 'agreement'> {
  return { signing: generateKey('ed25519', random), agreement: generateKey('x25519', random) }
}

/** The recovery key from its printed text. @throws {Problem} `config.invalid` */
export function parseRecoverySecret(text: string): KeyObject {
  const bytes = parseBase32(text.replace(/\s+/g, '').toLowerCase())
  if (!bytes) throw new Problem('config.invalid', 'the recovery key has letters that it cannot have')
  return parseCoseKey(bytes)
}

/** The keys as bytes, in the clear: only for a sealed journal entry or inside a box. */
export function keysToBytes({ pairs, card, roots, recovery }: PlacementKeys): Uint8Array {
  const stored = pairs.map(({ signing, agreement, ...times }) => ({
    signing: privateCoseKey(signing),
    agreement: privateCoseKey(agreement),
    ...times,
  }))
  const { signing, agreement } = stored.at(-1)!
  return encodeDeterministic({
    signing,
    agreement,
    pairs: stored,
    card: privateCoseKey(card),
    roots: roots.map(({ version, key }) => ({ version, key })),
    recovery: coseKey(recovery),
  })
}

export function keysFromBytes(bytes: Uint8Array): PlacementKeys {
  const { signing, agreement, pairs, card, roots, recovery } = checkKeys(decode(bytes))
  const stored = pairs ?? [{ signing, agreement, fromMs: 0 }]
  return new PlacementKeys({
    pairs: stored.map((pair) => ({
      ...pair,
      signing: parseCoseKey(pair.signing),
      agreement: parseCoseKey(pair.agreement),
    })),
    card: parseCoseKey(card ?? stored[0]!.signing),
    roots,
    recovery: parseCoseKey(recovery),
  })
}

/** Seals the keys under a passphrase. */
export function sealKeystore(
  keys: PlacementKeys,
  passphrase: string,
  random: RandomSource,
  kdf: PassphraseKdf = argon2id,
): Uint8Array {
  const salt = random.bytes(16)
  return encodeDeterministic({
    format: 1,
    salt,
    box: encrypt0(keysToBytes(keys), kdf(passphrase, salt), random.bytes(12), boxDomain),
  })
}

/** @throws {Problem} `config.invalid` when the passphrase is wrong or the file damaged */
export function openKeystore(bytes: Uint8Array, passphrase: string, kdf: PassphraseKdf = argon2id): PlacementKeys {
  const { salt, box } = checkBox(decode(bytes))
  try {
    return keysFromBytes(decrypt0(box, kdf(passphrase, salt), boxDomain))
  } catch (error) {
    if (isProblem(error, 'cose.decrypt-failed'))
      throw new Problem('config.invalid', 'the keystore does not open: wrong passphrase, or the file is damaged')
    throw error
  }
}

/** Wraps a member's key under the newest root key; the root's version travels as key id. */
export function wrapMemberKey(keys: Pick<PlacementKeys, 'roots'>, key: Uint8Array, random: RandomSource): Uint8Array {
  const root = keys.roots.at(-1)!
  return encrypt0(key, root.key, random.bytes(12), wrapDomain, { kid: versionBytes(root.version) })
}

/** @throws {Problem} `cose.unknown-key` when the root key of that version is gone */
export function unwrapMemberKey(keys: Pick<PlacementKeys, 'roots'>, wrapped: Uint8Array): Uint8Array {
  return decrypt0(
    wrapped,
    (kid) => {
      const root = keys.roots.find(({ version }) => kid && Buffer.from(kid).equals(versionBytes(version)))
      if (!root) throw new Problem('cose.unknown-key', 'the root key of this version is not in the keystore')
      return root.key
    },
    wrapDomain,
  )
}

/** Wraps a replica's data key under its member's key. */
export function wrapDataKey(memberKey: Uint8Array, dataKey: Uint8Array, random: RandomSource): Uint8Array {
  return encrypt0(dataKey, memberKey, random.bytes(12), wrapDomain)
}

export function unwrapDataKey(memberKey: Uint8Array, wrapped: Uint8Array): Uint8Array {
  return decrypt0(wrapped, memberKey, wrapDomain)
}

function versionBytes(version: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(version))
  return bytes
}
