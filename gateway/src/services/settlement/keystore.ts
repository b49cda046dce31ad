/**
 * Settlement's keys: with which it signs, to which others seal, and the key of personal data at rest. On disk they lie in
 * one box under a passphrase (argon2id).
 */
import { hkdfSync, type KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, checker, Type } from '@azukari/protocol/contract'
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import { generateKey, parseCoseKey, privateCoseKey, type RandomSource, thumbprint } from '@azukari/protocol/keys'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { argon2id, type PassphraseKdf } from '../../passphrase-key.ts'
import type { Database } from '../../storage/database.ts'

export interface SettlementKeys {
  signing: KeyObject
  agreement: KeyObject
  /** 32 bytes: seals personal data, letters and statements in the database. */
  atRest: Uint8Array
}

export const registerKeysTables = `
CREATE TABLE register_keys (id INTEGER PRIMARY KEY CHECK (id = 1), kid BLOB NOT NULL) STRICT;
`

/**
 * Every process that works in a register has the same keys, or members' messages would open in one alone. The first one enters them.
 * @throws {Problem} `config.invalid` for others
 */
export async function requireSameKeys(database: Database, { signing }: SettlementKeys): Promise<void> {
  const kid = thumbprint(signing)
  const known = await database.transaction(async (sql) => {
    await sql.run('INSERT INTO register_keys (id, kid) VALUES (1, ?) ON CONFLICT (id) DO NOTHING', kid)
    return (await sql.get<{ kid: Uint8Array }>('SELECT kid FROM register_keys WHERE id = 1'))!.kid
  })
  if (Buffer.compare(known, kid) !== 0)
    throw new Problem(
      'config.invalid',
      'settlement/keystore.cose is not that of the register: copy it, and its passphrase, from a process that runs',
    )
}

const boxDomain = new TextEncoder().encode('azukari/settlement-keystore/1')
const checkKeys = checker(
  Type.Object({ signing: Bytes(32, 4096), agreement: Bytes(32, 4096), atRest: Bytes(32) }),
  'keystore',
)
const checkBox = checker(Type.Object({ format: Type.Literal(1), salt: Bytes(16), box: Bytes(32, 65_536) }), 'keystore')

export function createSettlementKeys(random: RandomSource): SettlementKeys {
  return {
    signing: generateKey('ed25519', random),
    agreement: generateKey('x25519', random),
    atRest: random.bytes(32),
  }
}

export function sealSettlementKeys(
  { signing, agreement, atRest }: SettlementKeys,
  passphrase: string,
  random: RandomSource,
  kdf: PassphraseKdf = argon2id,
): Uint8Array {
  const salt = random.bytes(16)
  const keys = { signing: privateCoseKey(signing), agreement: privateCoseKey(agreement), atRest }
  const box = encrypt0(encodeDeterministic(keys), kdf(passphrase, salt), random.bytes(12), boxDomain)
  return encodeDeterministic({ format: 1, salt, box })
}

/** @throws {Problem} `config.invalid` when the passphrase is wrong or the file damaged */
export function openSettlementKeys(
  bytes: Uint8Array,
  passphrase: string,
  kdf: PassphraseKdf = argon2id,
): SettlementKeys {
  const { salt, box } = checkBox(decode(bytes))
  try {
    const { signing, agreement, atRest } = checkKeys(decode(decrypt0(box, kdf(passphrase, salt), boxDomain)))
    return { signing: parseCoseKey(signing), agreement: parseCoseKey(agreement), atRest }
  } catch (error) {
    if (isProblem(error, 'cose.decrypt-failed'))
      throw new Problem(
        'config.invalid',
        'settlement’s keystore does not open: wrong passphrase, or the file is damaged',
      )
    throw error
  }
}

/** Keys that were derived: every payment opens or seals something. They live as long as the keys they come from. */
const derived = new WeakMap<Uint8Array, Map<string, Uint8Array>>()

/** A key for one kind of content at rest, so that a box can never be read as another kind. */
export function atRestKey({ atRest }: SettlementKeys, use: string): Uint8Array {
  const keys = derived.get(atRest) ?? new Map<string, Uint8Array>()
  derived.set(atRest, keys)
  const known = keys.get(use)
  if (known) return known
  const key = new Uint8Array(hkdfSync('sha256', atRest, new Uint8Array(0), `azukari/settlement-at-rest/${use}`, 32))
  keys.set(use, key)
  return key
}
