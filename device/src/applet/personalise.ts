/** What a person says of a card to be issued, checked, and the card made of it (S15): for the commands that issue cards. */
import { type CardKind, cardAlgorithms } from '@azukari/protocol/card/layout'
import { coseKey, kindOf, parseCoseKey, publicOf } from '@azukari/protocol/keys'
import type { Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { type CardRegistration, issueCard } from './issue.ts'
import type { CardMemory } from './memory.ts'

export interface PersonaliseArgs {
  kind: string
  name: string
  level: number | string
  /** Region, such as `JP-13`. */
  home: string
  pin: string
  /** Made up when absent, and then told. */
  puk?: string
  /** Member number; made up when absent. */
  number?: string
  /** 32 hex digits; a new member when absent. */
  memberId?: string
  /** Placement's public COSE_Key in hex: only it may write the card. */
  providerKey: string
  /** The member has said that places of pictures may be kept (D8). */
  location?: boolean
  /** Whether the card takes short APDUs only. */
  short?: boolean
}

/** A registration record as JSON: bytes in hex. */
export type CardRecord = {
  [K in keyof CardRegistration]: CardRegistration[K] extends Uint8Array ? string : CardRegistration[K]
} & { kind: CardKind }

/**
 * Makes a card. The PUK is in the answer only here.
 * @throws {Problem} `config.invalid` for arguments that do not fit
 */
export function personalise(
  args: PersonaliseArgs,
  random: Random,
): { memory: CardMemory; puk: string; record: CardRecord } {
  const { kind } = args
  if (!isCardKind(kind))
    throw new Problem('config.invalid', `--kind is one of ${Object.keys(cardAlgorithms).join(', ')}`)
  if (!args.name.trim()) throw new Problem('config.invalid', '--name is empty')
  const id = args.memberId === undefined ? random.bytes(16) : hexBytes(args.memberId, '--member')
  if (id.length !== 16) throw new Problem('config.invalid', '--member has 32 hex digits')
  const puk = args.puk ?? digits(random, 8)
  const number = args.number ?? `M-${digits(random, 8)}`
  try {
    const { memory, registration } = issueCard({
      kind,
      member: { id, number, name: args.name },
      level: Number(args.level),
      homeRegion: args.home,
      pin: args.pin,
      puk,
      providerKey: providerKeyOf(args.providerKey),
      random,
      location: args.location === true,
      extended: !args.short,
    })
    return { memory, puk, record: recordOf(kind, registration) }
  } catch (error) {
    if (isProblem(error, 'message.invalid')) throw new Problem('config.invalid', error.detail, { cause: error })
    throw error
  }
}

function isCardKind(kind: string): kind is CardKind {
  return Object.hasOwn(cardAlgorithms, kind)
}

function recordOf(kind: CardKind, registration: CardRegistration): CardRecord {
  const entries = Object.entries(registration).map(([name, value]) => [
    name,
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
  ])
  return { kind, ...Object.fromEntries(entries) } as CardRecord
}

function providerKeyOf(text: string): Uint8Array {
  const key = parseCoseKey(hexBytes(text, '--provider-key'))
  const kind = kindOf(key)
  if (kind !== 'ed25519' && kind !== 'p256')
    throw new Problem('config.invalid', `--provider-key is a ${kind} key; cards check Ed25519 and P-256`)
  return coseKey(publicOf(key))
}

function digits(random: Random, count: number): string {
  let text = ''
  // Bytes from 250 on are left out, so that every digit is as likely.
  while (text.length < count)
    for (const byte of random.bytes(count)) if (byte < 250 && text.length < count) text += byte % 10
  return text
}

function hexBytes(text: string, option: string): Uint8Array {
  if (!/^([0-9a-f]{2})+$/i.test(text)) throw new Problem('config.invalid', `${option} is not in hex`)
  return new Uint8Array(Buffer.from(text, 'hex'))
}
