/** Issues and personalises cards (S15): makes the three keys, writes the files, and gives the record for placement's register. */
import type { KeyObject } from 'node:crypto'
import {
  type CardContentName,
  type CardFileName,
  type CardKeyName,
  type CardKind,
  cardFiles,
  directoryContent,
  encodeContent,
  pinBlock,
  pinRules,
} from '@azukari/protocol/card/layout'
import { encodeSlot, fileBytes } from '@azukari/protocol/card/slots'
import { coseKey, generateKey, generateRsaKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { CardMemory, secretHash } from './memory.ts'

export interface IssueOptions {
  kind: CardKind
  member: { id: Uint8Array; number: string; name: string }
  level: number
  homeRegion: string
  /** 4 to 12 digits, as is `puk`. */
  pin: string
  puk: string
  /** Public COSE_Key (Ed25519 or P-256) of the provider that may write the card. */
  providerKey: Uint8Array
  random: Random
  /** D8: the member has agreed, at the issuing office, that places of pictures are kept; not, without a word. */
  location?: boolean
  /** Whether the card takes extended APDUs; true by default. */
  extended?: boolean
  /** Private keys to use instead of fresh ones: RSA keys take a second to make. */
  keys?: Record<CardKeyName, KeyObject>
}

/** What placement registers of a card: the member, level, home region, and the public halves of the card's keys. */
export interface CardRegistration {
  memberId: Uint8Array
  number: string
  name: string
  level: number
  homeRegion: string
  /** Thumbprint of the authentication key: what a device calls the card by. */
  card: Uint8Array
  authKey: Uint8Array
  actsKey: Uint8Array
  agreementKey: Uint8Array
  /** D8: what the member said at the issuing office. */
  location: boolean
}

/** @throws {Problem} `message.invalid` for a PIN, level or region that is none */
export function issueCard(options: IssueOptions): { memory: CardMemory; registration: CardRegistration } {
  const { kind, member, level, homeRegion, random } = options
  const pin = pinBlock(options.pin)
  const puk = pinBlock(options.puk)
  if (!pin || !puk)
    throw new Problem('message.invalid', `a PIN has ${pinRules.minDigits} to ${pinRules.maxDigits} digits`)
  const keys = options.keys ?? freshKeys(kind, random)
  const pkcs8 = (key: KeyObject) => new Uint8Array(key.export({ format: 'der', type: 'pkcs8' }))
  const cose = (name: CardKeyName) => coseKey(publicOf(keys[name]))
  const extended = options.extended ?? true
  const contents: Partial<Record<CardContentName, Uint8Array>> = {
    directory: encodeContent('directory', directoryContent(extended)),
    serial: encodeContent('serial', { serial: random.bytes(16) }),
    member: encodeContent('member', member),
    keys: encodeContent('keys', {
      authentication: cose('authentication'),
      acts: cose('acts'),
      agreement: cose('agreement'),
    }),
    providerKey: encodeContent('providerKey', { key: options.providerKey }),
    level: encodeContent('level', { level, home: homeRegion }),
    root: encodeContent('root', {}),
  }
  const files: Record<string, Uint8Array> = {}
  let counter = 0
  for (const name of Object.keys(cardFiles) as CardFileName[]) {
    files[name] = new Uint8Array(fileBytes(cardFiles[name]))
    const payload = contents[name as CardContentName]
    if (payload) files[name].set(encodeSlot(cardFiles[name], { counter: ++counter, payload }))
  }
  const salt = pkcs8(keys.acts)
  const memory = new CardMemory({
    v: 1,
    kind,
    extended,
    keys: { authentication: pkcs8(keys.authentication), acts: salt, agreement: pkcs8(keys.agreement) },
    files,
    pin: { hash: secretHash(salt, pin), triesLeft: pinRules.tries },
    puk: { hash: secretHash(salt, puk), triesLeft: pinRules.pukTries },
  })
  const registration = {
    memberId: member.id,
    number: member.number,
    name: member.name,
    level,
    homeRegion,
    card: thumbprint(publicOf(keys.authentication)),
    authKey: cose('authentication'),
    actsKey: cose('acts'),
    agreementKey: cose('agreement'),
    location: options.location === true,
  }
  return { memory, registration }
}

function freshKeys(kind: CardKind, random: Random): Record<CardKeyName, KeyObject> {
  if (kind === 'rsa') return { authentication: generateRsaKey(), acts: generateRsaKey(), agreement: generateRsaKey() }
  const signing = kind === 'ed25519' ? 'ed25519' : 'p256'
  const agreement = kind === 'ed25519' ? 'x25519' : 'p256'
  return {
    authentication: generateKey(signing, random),
    acts: generateKey(signing, random),
    agreement: generateKey(agreement, random),
  }
}
