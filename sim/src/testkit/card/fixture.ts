/** What the tests of cards share: a card for a member, a channel to it, a client that may write. */
import { type KeyObject, randomBytes } from 'node:crypto'
import type { CardRegistration } from '@azukari/device/applet/issue'
import { CardClient } from '@azukari/device/card'
import type { CardChannel } from '@azukari/device/drivers'
import { decodeResponse, encodeCommand, instructions as ins } from '@azukari/protocol/card/apdu'
import {
  type CardKeyName,
  type CardKind,
  cardFiles,
  cardFolders,
  providerProofMessage,
} from '@azukari/protocol/card/layout'
import { signerOf } from '@azukari/protocol/cose'
import { coseKey, generateKey, generateRsaKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Random } from '@azukari/protocol/ports'
import { isProblem, type ProblemCode } from '@azukari/protocol/problem'
import { issueCard, type VirtualCard } from './virtual-card.ts'

export const utf8 = new TextEncoder()
export const never: AbortSignal = new AbortController().signal
export const random: Random = { bytes: (n) => new Uint8Array(randomBytes(n)), float: () => 0.5 }
const timer = { cancel() {}, [Symbol.dispose]() {} }
export const clock: Clock = { now: () => 0, monotonicMs: () => 0, sleep: async () => {}, timer: () => timer }
export const providerKey = generateKey('ed25519', random)
export const sessionDomain = utf8.encode('azukari/session/1')
export const offerDomain = utf8.encode('azukari/offer/1')
export const conditionsDomain = utf8.encode('azukari/conditions/1')
export const [pin, puk] = ['2468', '12345678']

let madeRsaKeys: Record<CardKeyName, KeyObject> | undefined

/** Made when first needed: they take a second each. */
export function rsaKeys(): Record<CardKeyName, KeyObject> {
  madeRsaKeys ??= { authentication: generateRsaKey(), acts: generateRsaKey(), agreement: generateRsaKey() }
  return madeRsaKeys
}

export function issue(
  kind: CardKind = 'ed25519',
  more: { extended?: boolean; providerKey?: KeyObject } = {},
): { card: VirtualCard; registration: CardRegistration } {
  return issueCard({
    kind,
    member: { id: random.bytes(16), number: 'A-000123', name: '預かり 花子' },
    level: 2,
    homeRegion: 'JP-13',
    pin,
    puk,
    providerKey: coseKey(publicOf(more.providerKey ?? providerKey)),
    random,
    extended: more.extended ?? true,
    ...(kind === 'rsa' ? { keys: rsaKeys() } : {}),
  })
}

/** The bare card as a channel. */
export function channel(card: VirtualCard): CardChannel {
  return { kind: 'contact', transmit: async (apdu) => card.transmit(apdu), disconnect: async () => card.reset() }
}

export const open = (card: VirtualCard, expected?: Uint8Array) => CardClient.open(channel(card), clock, never, expected)

/** A client that may write. */
export async function openToWrite(card: VirtualCard, key = providerKey): Promise<CardClient> {
  const client = await open(card)
  await client.authenticateProvider(
    async (challenge) => signerOf(key).sign(providerProofMessage(client.facts.card, challenge)),
    never,
  )
  return client
}

export async function code(work: Promise<unknown>): Promise<ProblemCode | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    if (!isProblem(error)) throw error
    return error.code
  }
}

/** Sends one raw command; the status word. */
export function sw(card: VirtualCard, ...bytes: number[]): number {
  return decodeResponse(card.transmit(Uint8Array.from(bytes))).sw
}

export function send(
  card: VirtualCard,
  command: Parameters<typeof encodeCommand>[0],
  extended = true,
): { data: Uint8Array; sw: number } {
  return decodeResponse(card.transmit(encodeCommand(command, extended)))
}

export const record = (n: number, bytes = 700) => Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + n * 31) & 255)
export const object = (n: number) => new Uint8Array(16).fill(n + 1)

export function select(card: VirtualCard, name: keyof typeof cardFiles): Uint8Array {
  const file = cardFiles[name]
  const path =
    file.folder === 'master'
      ? [file.fid]
      : file.folder === 'provider'
        ? [cardFolders.provider.fid, file.fid]
        : [cardFolders.provider.fid, cardFolders[file.folder].fid, file.fid]
  return card.transmit(
    encodeCommand({
      cla: 0,
      ins: ins.select,
      p1: 8,
      p2: 0x0c,
      data: Uint8Array.from(path.flatMap((fid) => [fid >> 8, fid & 255])),
    }),
  )
}
