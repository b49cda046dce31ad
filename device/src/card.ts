/**
 * The card client: reads what a card holds, has it prove itself and sign, and writes storing conditions so that neither a
 * torn write nor another card in the slot goes unnoticed (S2, S8, S10, S15).
 *
 * A client lives as long as one connection. When anything says `card.removed`, connect again and make a new one: what
 * was torn is found at opening and written over, or cleared by `repair`.
 */
import { type KeyObject, timingSafeEqual } from 'node:crypto'
import { instructions as ins } from '@azukari/protocol/card/apdu'
import {
  type CardContent,
  type CardContentName,
  type CardFile,
  type CardFileName,
  type CardFolder,
  type CardKeyName,
  type CardKind,
  cardAlgorithms,
  cardFiles,
  cardFolders,
  cardKeys,
  conditionsOnCard,
  conditionsTag,
  decodeContent,
  encodeContent,
  pinBlock,
  pinRules,
} from '@azukari/protocol/card/layout'
import {
  decodeFile,
  encodeSlot,
  fileBytes,
  newest,
  type Slot,
  type SlotRecord,
  slotBytes,
  slotHeaderBytes,
  slotToWrite,
} from '@azukari/protocol/card/slots'
import { decryptFrom, ephemeralOf, type Signer } from '@azukari/protocol/cose'
import { kindOf, parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import type { Clock } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { CardCommands } from './card/channel.ts'
import { cardSigner, cryptogramOf, keyAgreementInput } from './card/crypto.ts'
import type { CardChannel } from './drivers.ts'

/** What a card says of itself. */
export interface CardFacts {
  kind: CardKind
  serial: Uint8Array
  /** Thumbprint of the authentication key: the card's name in `session.open`. */
  card: Uint8Array
  member: CardContent<'member'>
  level: CardContent<'level'>
  root: CardContent<'root'>
  /** Data of the card's own program; undefined as issued, or on a card that has no room for it. */
  program: CardContent<'program'> | undefined
  keys: Readonly<Record<CardKeyName, KeyObject>>
}

/** Storing conditions in the ring, still sealed; newest first. */
export interface HeldConditions {
  tag: Uint8Array
  version: number
  counter: number
  record: Uint8Array
}

/** What became of a record: written now, there already, or older than what the card holds. */
export type WriteOutcome = 'written' | 'held' | 'older'

export class CardClient {
  readonly #commands: CardCommands
  readonly #slots = new Map<CardFileName, Slot[]>()
  readonly #environment = new Set<CardKeyName>()
  #facts!: CardFacts
  #selected: CardFileName | undefined

  private constructor(commands: CardCommands) {
    this.#commands = commands
  }

  /**
   * Reads the whole card. @param expected the serial that an earlier connection saw, when the same card must come back
   * @throws {Problem} `card.unsupported` when it is no card of ours, `card.swapped`, `card.damaged`, `card.removed`
   */
  static async open(
    channel: CardChannel,
    clock: Clock,
    signal: AbortSignal,
    expected?: Uint8Array,
  ): Promise<CardClient> {
    const client = new CardClient(new CardCommands(channel, clock))
    await client.#readAll(signal, expected)
    return client
  }

  get facts(): CardFacts {
    return this.#facts
  }

  /** Grows by one with every record written on the card; an older one than known shows a copied or restored card. */
  get counter(): number {
    let counter = 0
    for (const slots of this.#slots.values()) counter = Math.max(counter, newest(slots)?.counter ?? 0)
    return counter
  }

  /** Slots that a power cut left half written. */
  get tornSlots(): number {
    return [...this.#slots.values()].flat().filter((slot) => slot.state === 'torn').length
  }

  /** Signs with the authentication key (INTERNAL AUTHENTICATE); no PIN. For COSE: `sign1With(payload, card.identify(signal), aad)`. */
  identify(signal: AbortSignal): Signer {
    return this.#signer('authentication', { cla: 0, ins: ins.internalAuthenticate, p1: 0, p2: 0 }, signal)
  }

  /** Signs the member's acts (PSO: COMPUTE DIGITAL SIGNATURE); needs the PIN. */
  signAct(signal: AbortSignal): Signer {
    return this.#signer('acts', { cla: 0, ins: ins.performSecurityOperation, p1: 0x9e, p2: 0x9a }, signal)
  }

  /** The secret agreed between the card's key and an ephemeral one (PSO: DECIPHER); needs the PIN. */
  async agree(ephemeral: KeyObject, signal: AbortSignal): Promise<Uint8Array> {
    return this.#decipher(keyAgreementInput(ephemeral), signal)
  }

  /** Deciphers RSA-OAEP; needs the PIN. */
  async decipher(cryptogram: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const input = new Uint8Array(cryptogram.length + 1)
    input.set(cryptogram, 1)
    return this.#decipher(input, signal)
  }

  /** Opens a COSE_Encrypt made for this card; needs the PIN. @throws {Problem} `cose.*`, `card.*` */
  async open(message: Uint8Array, aad: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#facts.kind !== 'rsa')
      return decryptFrom(message, { agreed: await this.agree(ephemeralOf(message), signal) }, aad)
    const deciphered = await this.decipher(cryptogramOf(message, aad), signal)
    return decryptFrom(message, { decipher: () => deciphered }, aad)
  }

  /** @throws {Problem} `card.wrong-pin` (data: `triesLeft`), `card.blocked` */
  async verifyPin(pin: string, signal: AbortSignal): Promise<void> {
    await this.#commands.send(
      { cla: 0, ins: ins.verify, p1: 0, p2: pinRules.reference, data: blockOf(pin) },
      'VERIFY',
      signal,
    )
  }

  /** Tries left before the PIN is blocked; undefined when it has been verified. */
  async pinTriesLeft(signal: AbortSignal): Promise<number | undefined> {
    try {
      await this.#commands.send({ cla: 0, ins: ins.verify, p1: 0, p2: pinRules.reference }, 'VERIFY', signal)
      return undefined
    } catch (error) {
      if (isProblem(error, 'card.blocked')) return 0
      if (isProblem(error, 'card.wrong-pin')) return error.data?.triesLeft as number
      throw error
    }
  }

  async changePin(old: string, wanted: string, signal: AbortSignal): Promise<void> {
    await this.#commands.send(
      {
        cla: 0,
        ins: ins.changeReferenceData,
        p1: 0,
        p2: pinRules.reference,
        data: join(blockOf(old), blockOf(wanted)),
      },
      'CHANGE REFERENCE DATA',
      signal,
    )
  }

  /** Unblocks with the PUK and sets a new PIN. @throws {Problem} `card.puk-blocked` when the card must be replaced */
  async unblock(puk: string, wanted: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#commands.send(
        {
          cla: 0,
          ins: ins.resetRetryCounter,
          p1: 0,
          p2: pinRules.reference,
          data: join(blockOf(puk), blockOf(wanted)),
        },
        'RESET RETRY COUNTER',
        signal,
      )
    } catch (error) {
      if (isProblem(error, 'card.blocked'))
        throw new Problem('card.puk-blocked', 'the PUK has no tries left', { cause: error })
      throw error
    }
  }

  /** A fresh challenge of the card, for the provider to sign (`providerProofMessage`); good for one `proveProvider`. */
  async challenge(signal: AbortSignal): Promise<Uint8Array> {
    return this.#commands.send({ cla: 0, ins: ins.getChallenge, p1: 0, p2: 0, le: 32 }, 'GET CHALLENGE', signal)
  }

  /** Shows the card the provider's signature over its challenge; then it may be written. @throws {Problem} `card.access-denied` */
  async proveProvider(signature: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#commands.send(
      { cla: 0, ins: ins.externalAuthenticate, p1: 0, p2: 0, data: signature },
      'EXTERNAL AUTHENTICATE',
      signal,
    )
  }

  async authenticateProvider(sign: (challenge: Uint8Array) => Promise<Uint8Array>, signal: AbortSignal): Promise<void> {
    await this.proveProvider(await sign(await this.challenge(signal)), signal)
  }

  /** The newest conditions of each object that the card holds. */
  readConditions(): HeldConditions[] {
    const held = this.#whole('conditions').filter((record) => !this.#superseded(record))
    held.sort((a, b) => b.counter - a.counter)
    return held
      .slice(0, conditionsOnCard)
      .map(({ tag, version, counter, payload }) => ({ tag, version, counter, record: payload }))
  }

  /**
   * Writes the conditions of one object version, reads them back and compares (S8).
   * @param record COSE_Encrypt to the card, up to `conditionsMaxBytes`
   * @throws {Problem} `card.torn` when the power went meanwhile: nothing that counted is lost; `card.access-denied` before
   * the provider proved itself; `card.swapped`, `card.full`
   */
  async writeConditions(
    written: { object: Uint8Array; version: number; record: Uint8Array },
    signal: AbortSignal,
  ): Promise<WriteOutcome> {
    const tag = conditionsTag(written.object)
    const [held] = this.#whole('conditions').filter((record) => equal(record.tag, tag) && !this.#superseded(record))
    if (held && held.version > written.version) return 'older'
    if (held && held.version === written.version && equal(held.payload, written.record)) return 'held'
    await this.#write('conditions', { tag, version: written.version, payload: written.record }, signal)
    return 'written'
  }

  /** Keeps a receipt in the settlement folder's ring. */
  async writeReceipt(record: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#write('receipts', { payload: record }, signal)
  }

  async updateLevel(level: CardContent<'level'>, signal: AbortSignal): Promise<void> {
    await this.#write('level', { payload: encodeContent('level', level) }, signal)
    this.#facts = { ...this.#facts, level }
  }

  async updateMember(member: CardContent<'member'>, signal: AbortSignal): Promise<void> {
    await this.#write('member', { payload: encodeContent('member', member) }, signal)
    this.#facts = { ...this.#facts, member }
  }

  async updateRoot(root: CardContent<'root'>, signal: AbortSignal): Promise<void> {
    await this.#write('root', { payload: encodeContent('root', root) }, signal)
    this.#facts = { ...this.#facts, root }
  }

  /**
   * Brings data to the card's own program (D6), which never goes back to a lower number.
   * @throws {Problem} `card.unsupported` on a card of before that has no such file, `card.torn`, `card.access-denied`, `card.swapped`
   */
  async updateProgram(program: CardContent<'program'>, signal: AbortSignal): Promise<'written' | 'held' | 'newer'> {
    if (!this.#slots.has('program')) throw new Problem('card.unsupported', 'the card has no file for it')
    const held = this.#facts.program?.number ?? 0
    if (held > program.number) return 'newer'
    if (held === program.number) return 'held'
    await this.#write('program', { version: program.number, payload: encodeContent('program', program) }, signal)
    this.#facts = { ...this.#facts, program }
    return 'written'
  }

  /** Clears slots that a power cut left half written; gives how many. Needs the provider's proof, as any write. */
  async repair(signal: AbortSignal): Promise<number> {
    let repaired = 0
    for (const [name, slots] of this.#slots) {
      if (cardFiles[name].update !== 'provider') continue
      for (const slot of slots) {
        if (slot.state !== 'torn') continue
        await this.#put(name, slot.index, new Uint8Array(slotHeaderBytes), signal)
        slots[slot.index] = { index: slot.index, state: 'empty' }
        repaired++
      }
    }
    return repaired
  }

  /** Makes sure that it is still the card that was opened. @throws {Problem} `card.swapped` */
  async checkSame(signal: AbortSignal): Promise<void> {
    const slot = newest(
      decodeFile(cardFiles.serial, await this.#read('serial', 0, slotBytes(cardFiles.serial), signal)),
    )
    if (!slot || !equal(decodeContent('serial', slot.payload).serial, this.#facts.serial))
      throw new Problem('card.swapped')
  }

  async #readAll(signal: AbortSignal, expected: Uint8Array | undefined): Promise<void> {
    this.#commands.extended = (await this.#readContent('directory', signal)).extended
    const { serial } = await this.#readContent('serial', signal)
    if (expected && !equal(serial, expected)) throw new Problem('card.swapped')
    const cose = await this.#readContent('keys', signal)
    const keys = {
      authentication: parseCoseKey(cose.authentication),
      acts: parseCoseKey(cose.acts),
      agreement: parseCoseKey(cose.agreement),
    }
    const kind = kindOf(keys.authentication)
    if (kind === 'x25519') throw new Problem('card.unsupported', 'the authentication key cannot sign')
    this.#facts = {
      kind,
      serial,
      card: thumbprint(keys.authentication),
      member: await this.#readContent('member', signal),
      level: await this.#readContent('level', signal),
      root: await this.#readContent('root', signal),
      program: await this.#readProgram(signal),
      keys,
    }
    await this.#readSlots('conditions', signal)
    await this.#readSlots('receipts', signal)
  }

  async #readSlots(name: CardFileName, signal: AbortSignal): Promise<Slot[]> {
    const slots = decodeFile(cardFiles[name], await this.#read(name, 0, fileBytes(cardFiles[name]), signal))
    this.#slots.set(name, slots)
    return slots
  }

  /** Cards that were issued before it have no such file. */
  async #readProgram(signal: AbortSignal): Promise<CardContent<'program'> | undefined> {
    try {
      const record = newest(await this.#readSlots('program', signal))
      return record && decodeContent('program', record.payload)
    } catch (error) {
      if (isProblem(error, 'card.unsupported')) return undefined
      if (isProblem(error) && !error.code.startsWith('card.'))
        throw new Problem('card.damaged', 'what program holds is not understood', { cause: error })
      throw error
    }
  }

  async #readContent<N extends CardContentName>(name: N, signal: AbortSignal): Promise<CardContent<N>> {
    const record = newest(await this.#readSlots(name, signal))
    if (!record) throw new Problem('card.damaged', `no whole record in ${name}`)
    try {
      return decodeContent(name, record.payload)
    } catch (cause) {
      throw new Problem('card.damaged', `what ${name} holds is not understood`, { cause })
    }
  }

  async #read(name: CardFileName, from: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    await this.#select(name, signal)
    const out = new Uint8Array(length)
    for (let at = 0; at < length; ) {
      const le = Math.min(length - at, this.#commands.partBytes)
      const offset = from + at
      const part = await this.#commands.send(
        { cla: 0, ins: ins.readBinary, p1: offset >> 8, p2: offset & 255, le },
        `READ BINARY ${name}`,
        signal,
      )
      if (part.length === 0 || part.length > length - at)
        throw new Problem('card.failed', `READ BINARY ${name}: ${part.length} bytes for ${le}`)
      out.set(part, at)
      at += part.length
    }
    return out
  }

  async #select(name: CardFileName, signal: AbortSignal): Promise<void> {
    if (this.#selected === name) return
    this.#selected = undefined
    await this.#commands.send(
      { cla: 0, ins: ins.select, p1: 0x08, p2: 0x0c, data: pathOf(cardFiles[name]) },
      `SELECT ${name}`,
      signal,
    )
    this.#selected = name
  }

  async #write(
    name: CardFileName,
    record: Partial<SlotRecord> & { payload: Uint8Array },
    signal: AbortSignal,
  ): Promise<void> {
    const shape = cardFiles[name]
    const counter = this.counter + 1
    const bytes = encodeSlot(shape, { ...record, counter })
    await this.checkSame(signal)
    const slots = this.#slots.get(name)!
    const index = slotToWrite(slots, (held) => name === 'conditions' && this.#superseded(held))
    await this.#put(name, index, bytes, signal)
    slots[index] = {
      index,
      state: 'whole',
      counter,
      tag: record.tag ?? new Uint8Array(12),
      version: record.version ?? 0,
      payload: record.payload,
    }
  }

  /** Writes bytes at the start of a slot, reads them back and compares. Anything less leaves the slot torn in our eyes. */
  async #put(name: CardFileName, index: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const start = index * slotBytes(cardFiles[name])
    const slots = this.#slots.get(name)!
    const before = slots[index]!
    let begun = false
    try {
      await this.#select(name, signal)
      for (let at = 0; at < bytes.length; at += this.#commands.partBytes) {
        const offset = start + at
        const data = bytes.subarray(at, at + this.#commands.partBytes)
        await this.#commands.send(
          { cla: 0, ins: ins.updateBinary, p1: offset >> 8, p2: offset & 255, data },
          `UPDATE BINARY ${name}`,
          signal,
        )
        begun = true
      }
      if (!equal(await this.#read(name, start, bytes.length, signal), bytes))
        throw new Problem('card.torn', `${name} reads back otherwise`)
    } catch (error) {
      // A refusal of the first part changed nothing; after that, or without an answer, nobody knows what the slot holds.
      const refused =
        !begun && isProblem(error) && ['card.access-denied', 'card.full', 'card.failed'].includes(error.code)
      slots[index] = refused ? before : { index, state: 'torn' }
      if (isProblem(error, 'card.removed'))
        throw new Problem('card.torn', `the card left while ${name} was written`, { cause: error })
      throw error
    }
  }

  #whole(name: CardFileName): (SlotRecord & { index: number })[] {
    return this.#slots.get(name)!.filter((slot) => slot.state === 'whole')
  }

  /** Whether the ring holds something newer of the same object. */
  #superseded(record: SlotRecord): boolean {
    return this.#whole('conditions').some(
      (other) =>
        equal(other.tag, record.tag) &&
        (other.version > record.version || (other.version === record.version && other.counter > record.counter)),
    )
  }

  #signer(
    name: CardKeyName,
    command: { cla: number; ins: number; p1: number; p2: number },
    signal: AbortSignal,
  ): Signer {
    return cardSigner(this.#facts.keys[name], async (toBeSigned) => {
      await this.checkSame(signal)
      await this.#choose(name, signal)
      return this.#commands.send(
        { ...command, data: toBeSigned, le: 256 },
        name === 'acts' ? 'COMPUTE DIGITAL SIGNATURE' : 'INTERNAL AUTHENTICATE',
        signal,
      )
    })
  }

  async #decipher(input: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    await this.#choose('agreement', signal)
    return this.#commands.send(
      { cla: 0, ins: ins.performSecurityOperation, p1: 0x80, p2: 0x86, data: input, le: 256 },
      'DECIPHER',
      signal,
    )
  }

  /** MANAGE SECURITY ENVIRONMENT, once per key and connection. */
  async #choose(name: CardKeyName, signal: AbortSignal): Promise<void> {
    if (this.#environment.has(name)) return
    const { reference, template } = cardKeys[name]
    const data = Uint8Array.of(0x84, 1, reference, 0x80, 1, cardAlgorithms[this.#facts.kind])
    await this.#commands.send(
      { cla: 0, ins: ins.manageSecurityEnvironment, p1: 0x41, p2: template, data },
      'MANAGE SECURITY ENVIRONMENT',
      signal,
    )
    this.#environment.add(name)
  }
}

function pathOf(file: CardFile): Uint8Array {
  const fids = [file.fid]
  for (let name: CardFolder | undefined = file.folder; name && name !== 'master'; name = cardFolders[name].parent)
    fids.unshift(cardFolders[name].fid)
  return Uint8Array.from(fids.flatMap((fid) => [fid >> 8, fid & 255]))
}

function blockOf(pin: string): Uint8Array {
  const block = pinBlock(pin)
  if (!block) throw new Problem('card.wrong-pin', `a PIN has ${pinRules.minDigits} to ${pinRules.maxDigits} digits`)
  return block
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length)
  out.set(a)
  out.set(b, a.length)
  return out
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
