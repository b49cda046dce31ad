/** `azukari-sim card issue` and `card show`: personalises virtual cards and reads what is on one (S15). */
import { CardClient } from '@azukari/device/card'
import type { CardChannel } from '@azukari/device/drivers'
import { type CardKind, cardAlgorithms } from '@azukari/protocol/card/layout'
import { coseKey, kindOf, parseCoseKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Files, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { type CardRegistration, issueCard } from '../card/issue.ts'
import { VirtualCard } from '../card/virtual-card.ts'

export interface CardIssueArgs {
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
  /** The card image; it holds private keys, so it is readable by its owner alone. */
  out: string
  /** Whether the card takes short APDUs only. */
  short?: boolean
}

export interface CardPorts {
  files: Files
  random: Random
  clock: Clock
}

/** A registration record as JSON: bytes in hex. */
export type CardRecord = {
  [K in keyof CardRegistration]: CardRegistration[K] extends Uint8Array ? string : CardRegistration[K]
} & { kind: CardKind }

/**
 * Issues a card into a file. The PUK is in the answer only here.
 * @throws {Problem} `config.invalid` for arguments that do not fit, `storage.*`
 */
export async function cardIssue(
  args: CardIssueArgs,
  ports: CardPorts,
): Promise<{ file: string; puk: string; record: CardRecord }> {
  const { files, random } = ports
  const kind = args.kind
  if (!isCardKind(kind))
    throw new Problem('config.invalid', `--kind is one of ${Object.keys(cardAlgorithms).join(', ')}`)
  if (!args.name.trim()) throw new Problem('config.invalid', '--name is empty')
  if (await files.stat(args.out))
    throw new Problem('config.invalid', `${args.out} is there already: a card is not overwritten`)
  const id = args.memberId === undefined ? random.bytes(16) : hexBytes(args.memberId, '--member')
  if (id.length !== 16) throw new Problem('config.invalid', '--member has 32 hex digits')
  const puk = args.puk ?? digits(random, 8)
  const number = args.number ?? `M-${digits(random, 8)}`
  try {
    const { card, registration } = issueCard({
      kind,
      member: { id, number, name: args.name },
      level: Number(args.level),
      homeRegion: args.home,
      pin: args.pin,
      puk,
      providerKey: providerKeyOf(args.providerKey),
      random,
      extended: !args.short,
    })
    await saveCard(files, args.out, card)
    return { file: args.out, puk, record: recordOf(kind, registration) }
  } catch (error) {
    if (isProblem(error, 'message.invalid')) throw new Problem('config.invalid', error.detail, { cause: error })
    throw error
  }
}

/** What is on a card, as a reader sees it; no secrets. */
export async function cardShow(file: string, ports: CardPorts) {
  const card = await loadCard(ports.files, file, ports.random)
  card.reset()
  const channel: CardChannel = {
    kind: 'built-in',
    transmit: async (apdu) => card.transmit(apdu),
    disconnect: async () => card.reset(),
  }
  const signal = new AbortController().signal
  const client = await CardClient.open(channel, ports.clock, signal)
  const { facts } = client
  return {
    kind: facts.kind,
    serial: hex(facts.serial),
    card: hex(facts.card),
    member: { id: hex(facts.member.id), number: facts.member.number, name: facts.member.name },
    level: facts.level.level,
    home: facts.level.home,
    counter: client.counter,
    tornSlots: client.tornSlots,
    pinTriesLeft: await client.pinTriesLeft(signal),
    catalogue: facts.root.catalogue !== undefined,
    conditions: client
      .readConditions()
      .map(({ tag, version, counter, record }) => ({ tag: hex(tag), version, counter, bytes: record.length })),
  }
}

/** Writes a card image beside and renames it, so that a card is never half saved. */
export async function saveCard(files: Files, path: string, card: VirtualCard): Promise<void> {
  const beside = `${path}.new`
  const handle = await files.open(beside, 'create')
  try {
    await handle.truncate(0)
    await handle.write(0, card.save())
    await handle.sync()
  } finally {
    await handle.close()
  }
  await files.rename(beside, path)
}

/** @throws {Problem} `object.unknown`, `cbor.*`, `message.invalid` */
export async function loadCard(files: Files, path: string, random: Random): Promise<VirtualCard> {
  const handle = await files.open(path, 'read')
  try {
    return VirtualCard.load(await handle.read(0, await handle.size()), random)
  } finally {
    await handle.close()
  }
}

function isCardKind(kind: string): kind is CardKind {
  return Object.hasOwn(cardAlgorithms, kind)
}

function recordOf(kind: CardKind, registration: CardRegistration): CardRecord {
  const entries = Object.entries(registration).map(([name, value]) => [
    name,
    value instanceof Uint8Array ? hex(value) : value,
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

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function hexBytes(text: string, option: string): Uint8Array {
  if (!/^([0-9a-f]{2})+$/i.test(text)) throw new Problem('config.invalid', `${option} is not in hex`)
  return new Uint8Array(Buffer.from(text, 'hex'))
}
