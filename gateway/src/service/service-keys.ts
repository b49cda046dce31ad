/**
 * The keys of a service: with which it signs, to which others seal, and the key of what it keeps secret. On disk they lie in
 * one box under a passphrase (argon2id), in the service's folder of the site's.
 */
import { hkdfSync, type KeyObject } from 'node:crypto'
import { base32 } from '@azukari/protocol/base32'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, checker, Type } from '@azukari/protocol/contract'
import type { HeldKey } from '@azukari/protocol/contracts/keys'
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import {
  coseKey,
  generateKey,
  parseCoseKey,
  privateCoseKey,
  publicOf,
  type RandomSource,
  thumbprint,
} from '@azukari/protocol/keys'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { machineOf } from '../adapters/system-machine.ts'
import { argon2id, type PassphraseKdf } from '../passphrase-key.ts'
import type { SiteFolder, SitePorts } from '../site-folder.ts'
import type { Database } from '../storage/database.ts'

export interface ServiceKeys {
  signing: KeyObject
  agreement: KeyObject
  /** 32 bytes: seals what the service keeps secret. */
  atRest: Uint8Array
}

export const registerKeysTables = `
CREATE TABLE register_keys (id INTEGER PRIMARY KEY CHECK (id = 1), kid BLOB NOT NULL) STRICT;
`

/**
 * Every process that works in a register has the same keys, or what one sealed would open in it alone. The first one enters them.
 * @throws {Problem} `config.invalid` for others
 */
export async function requireSameKeys(name: string, database: Database, { signing }: ServiceKeys): Promise<void> {
  const kid = thumbprint(signing)
  const known = await database.transaction(async (sql) => {
    await sql.run('INSERT INTO register_keys (id, kid) VALUES (1, ?) ON CONFLICT (id) DO NOTHING', kid)
    return (await sql.get<{ kid: Uint8Array }>('SELECT kid FROM register_keys WHERE id = 1'))!.kid
  })
  if (Buffer.compare(known, kid) !== 0)
    throw new Problem(
      'config.invalid',
      `${keystoreOf(name)} is not that of the register: copy it, and its passphrase, from where they are`,
    )
}

const keystoreOf = (name: string) => `${name}/keystore.cose`
const boxDomain = (name: string) => new TextEncoder().encode(`azukari/${name}-keystore/1`)
const checkKeys = checker(
  Type.Object({ signing: Bytes(32, 4096), agreement: Bytes(32, 4096), atRest: Bytes(32) }),
  'keystore',
)
const checkBox = checker(Type.Object({ format: Type.Literal(1), salt: Bytes(16), box: Bytes(32, 65_536) }), 'keystore')

export function createServiceKeys(random: RandomSource): ServiceKeys {
  return {
    signing: generateKey('ed25519', random),
    agreement: generateKey('x25519', random),
    atRest: random.bytes(32),
  }
}

/** @param name of the service: its box opens as no other's */
export function sealServiceKeys(
  name: string,
  { signing, agreement, atRest }: ServiceKeys,
  passphrase: string,
  random: RandomSource,
  kdf: PassphraseKdf = argon2id,
): Uint8Array {
  const salt = random.bytes(16)
  const keys = { signing: privateCoseKey(signing), agreement: privateCoseKey(agreement), atRest }
  const box = encrypt0(encodeDeterministic(keys), kdf(passphrase, salt), random.bytes(12), boxDomain(name))
  return encodeDeterministic({ format: 1, salt, box })
}

/** @throws {Problem} `config.invalid` when the passphrase is wrong or the file damaged */
export function openServiceKeys(
  name: string,
  bytes: Uint8Array,
  passphrase: string,
  kdf: PassphraseKdf = argon2id,
): ServiceKeys {
  const { salt, box } = checkBox(decode(bytes))
  try {
    const { signing, agreement, atRest } = checkKeys(decode(decrypt0(box, kdf(passphrase, salt), boxDomain(name))))
    return { signing: parseCoseKey(signing), agreement: parseCoseKey(agreement), atRest }
  } catch (error) {
    if (isProblem(error, 'cose.decrypt-failed'))
      throw new Problem('config.invalid', `${name}’s keystore does not open: wrong passphrase, or the file is damaged`)
    throw error
  }
}

/**
 * The keys in a site's folder, made on first use. Without a passphrase of the operator's one is made and kept beside them.
 * @param isShared other processes work in the register: what is missing must not be made anew
 * @throws {Problem} `config.invalid`
 */
export async function serviceKeysIn(
  name: string,
  folder: SiteFolder,
  ports: SitePorts,
  passphrase: string | undefined,
  isShared = false,
): Promise<ServiceKeys> {
  const { random } = ports
  const { passphraseKey } = machineOf(folder, ports)
  const keystore = keystoreOf(name)
  const box = await folder.read(keystore)
  const kept = passphrase ? undefined : await folder.read(`${name}/passphrase`)
  if (box) {
    const secret = passphrase ?? (kept && new TextDecoder().decode(kept).trim())
    if (!secret) throw new Problem('config.invalid', `${name}’s keystore needs its passphrase: set AZUKARI_PASSPHRASE`)
    return openServiceKeys(name, box, secret, passphraseKey)
  }
  if (isShared)
    throw new Problem('config.invalid', `${keystore} is missing: copy it, and its passphrase, from a process that runs`)
  const secret = passphrase ?? base32(random.bytes(20))
  const keys = createServiceKeys(random)
  if (!passphrase) await folder.write(`${name}/passphrase`, new TextEncoder().encode(secret))
  await folder.write(keystore, sealServiceKeys(name, keys, secret, random, passphraseKey))
  return keys
}

/** What the key directory says of them. */
export function heldKeys({ signing, agreement }: ServiceKeys): HeldKey[] {
  return [
    { use: 'sign', key: coseKey(publicOf(signing)), fromMs: 0 },
    { use: 'agree', key: coseKey(publicOf(agreement)), fromMs: 0 },
  ]
}

/** Keys that were derived: every payment opens or seals something. They live as long as the keys they come from. */
const derived = new WeakMap<Uint8Array, Map<string, Uint8Array>>()

/** A key for one kind of content at rest, so that a box can never be read as another kind. */
export function atRestKeyOf(name: string, { atRest }: Pick<ServiceKeys, 'atRest'>, use: string): Uint8Array {
  const info = `azukari/${name}-at-rest/${use}`
  const keys = derived.get(atRest) ?? new Map<string, Uint8Array>()
  derived.set(atRest, keys)
  const known = keys.get(info)
  if (known) return known
  const key = new Uint8Array(hkdfSync('sha256', atRest, new Uint8Array(0), info, 32))
  keys.set(info, key)
  return key
}
