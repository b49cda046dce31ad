/**
 * The card's application as a state machine at APDU level (ISO/IEC 7816-4, S15): `transmit` takes a command and gives the
 * answer. What outlasts power is in its memory; everything here is gone after a reset. The card built into a device and
 * the virtual cards of the simulation are this one application over different memories.
 */
import { type DecodedCommand, decodeCommand, encodeResponse, instructions as ins } from '@azukari/protocol/card/apdu'
import {
  type CardFile,
  type CardFileName,
  type CardFolder,
  type CardKeyName,
  cardAlgorithms,
  cardFiles,
  cardFolders,
  cardKeys,
  decodeContent,
  pinRules,
  providerProofMessage,
} from '@azukari/protocol/card/layout'
import { maySign } from '@azukari/protocol/card/signing'
import { decodeFile, fileBytes, newest } from '@azukari/protocol/card/slots'
import { parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import type { Random } from '@azukari/protocol/ports'
import { decipherWith, providerSigned, signWith } from './crypto.ts'
import type { CardMemory } from './memory.ts'

/** Largest data that a chain may add up to. */
const chainMaxBytes = 8192
const nothing = new Uint8Array(0)

/** An answer: data with 9000, or a status word. */
type Answer = Uint8Array | number | { data: Uint8Array; sw: number }

const files = Object.entries(cardFiles) as [CardFileName, CardFile][]
const folders = Object.entries(cardFolders) as [CardFolder, { fid: number; parent?: CardFolder; aid?: Uint8Array }][]

export class CardApplet {
  readonly #memory: CardMemory
  readonly #random: Random
  // Volatile: the selection and the security status.
  #folder: CardFolder = 'master'
  #file: CardFileName | undefined
  #pinVerified = false
  #providerKnown = false
  #challenge: Uint8Array | undefined
  #environment = new Map<number, CardKeyName>()
  #chain: { command: DecodedCommand; parts: Uint8Array[]; bytes: number } | undefined
  #rest: Uint8Array = nothing

  constructor(memory: CardMemory, random: Random) {
    this.#memory = memory
    this.#random = random
  }

  /** Whether the PIN has been verified since the last reset. */
  get pinVerified(): boolean {
    return this.#pinVerified
  }

  /** Power on, or reset: selection, PIN and provider state are gone. */
  reset(): void {
    this.#folder = 'master'
    this.#file = undefined
    this.#pinVerified = false
    this.#providerKnown = false
    this.#challenge = undefined
    this.#environment.clear()
    this.#chain = undefined
    this.#rest = nothing
  }

  /** Answers one command. */
  transmit(apdu: Uint8Array): Uint8Array {
    const command = decodeCommand(apdu)
    if (!command) return encodeResponse(nothing, 0x6700)
    if ((command.cla & 0xef) !== 0) return encodeResponse(nothing, 0x6e00)
    if (command.extended && !this.#memory.extended) return encodeResponse(nothing, 0x6700)
    const whole = this.#joinChain(command)
    if (typeof whole === 'number') return encodeResponse(nothing, whole)
    if (whole.ins !== ins.getResponse) this.#rest = nothing
    return this.#answer(whole, this.#perform(whole))
  }

  /** Collects chained parts; a number is the answer to give now. */
  #joinChain(command: DecodedCommand): DecodedCommand | number {
    const open = this.#chain
    if (
      open &&
      (open.command.ins !== command.ins || open.command.p1 !== command.p1 || open.command.p2 !== command.p2)
    ) {
      this.#chain = undefined
      return 0x6883
    }
    if (!command.chained && !open) return command
    const part = command.data ?? nothing
    const bytes = (open?.bytes ?? 0) + part.length
    if (bytes > chainMaxBytes) {
      this.#chain = undefined
      return 0x6700
    }
    const parts = [...(open?.parts ?? []), part]
    if (command.chained) {
      this.#chain = { command, parts, bytes }
      return 0x9000
    }
    this.#chain = undefined
    return { ...command, data: Buffer.concat(parts) }
  }

  #answer(command: DecodedCommand, answer: Answer): Uint8Array {
    if (typeof answer === 'number') return encodeResponse(nothing, answer)
    const { data, sw } = answer instanceof Uint8Array ? { data: answer, sw: 0x9000 } : answer
    const room = command.le ?? 256
    if (data.length <= room) return encodeResponse(data, sw)
    this.#rest = data.slice(room)
    return encodeResponse(data.subarray(0, room), 0x6100 | Math.min(this.#rest.length, 255))
  }

  #takeRest(): Answer {
    const rest = this.#rest
    this.#rest = nothing
    return rest.length === 0 ? 0x6985 : rest
  }

  #perform(command: DecodedCommand): Answer {
    switch (command.ins) {
      case ins.select:
        return this.#select(command)
      case ins.readBinary:
        return this.#read(command)
      case ins.updateBinary:
        return this.#update(command)
      case ins.verify:
        return this.#verify(command)
      case ins.changeReferenceData:
        return this.#changePin(command, 'pin')
      case ins.resetRetryCounter:
        return this.#changePin(command, 'puk')
      case ins.getChallenge:
        return this.#getChallenge(command)
      case ins.externalAuthenticate:
        return this.#externalAuthenticate(command)
      case ins.internalAuthenticate:
        return command.p1 !== 0 || command.p2 !== 0 ? 0x6a86 : this.#sign('authentication', command)
      case ins.manageSecurityEnvironment:
        return this.#manageEnvironment(command)
      case ins.performSecurityOperation:
        return this.#securityOperation(command)
      case ins.getResponse:
        return command.p1 !== 0 || command.p2 !== 0 ? 0x6a86 : this.#takeRest()
      default:
        return 0x6d00
    }
  }

  /** SELECT by FID (P1 00), child DF (01), EF (02), parent (03), AID (04), path from the master file (08) or from here (09). */
  #select({ p1, p2, data = nothing }: DecodedCommand): Answer {
    if (p2 !== 0x00 && p2 !== 0x0c) return 0x6a86
    const answer = (): Answer => (p2 === 0x0c ? nothing : this.#controlInformation())
    const folder = (name: CardFolder | undefined): Answer => {
      if (!name) return 0x6a82
      this.#folder = name
      this.#file = undefined
      return answer()
    }
    if (p1 === 0x04) {
      const found = folders.find(([, row]) => row.aid && Buffer.from(row.aid).equals(data))
      return folder(found?.[0])
    }
    if (p1 === 0x03) return data.length > 0 ? 0x6700 : folder(cardFolders[this.#folder].parent)
    if (p1 === 0x08 || p1 === 0x09) {
      if (data.length === 0 || data.length % 2 !== 0) return 0x6700
      const before = { folder: this.#folder, file: this.#file }
      if (p1 === 0x08) this.#folder = 'master'
      for (let at = 0; at < data.length; at += 2) {
        if (this.#step((data[at]! << 8) | data[at + 1]!, true)) continue
        this.#folder = before.folder
        this.#file = before.file
        return 0x6a82
      }
      return answer()
    }
    if (p1 !== 0x00 && p1 !== 0x01 && p1 !== 0x02) return 0x6a86
    if (p1 === 0x00 && data.length === 0) return folder('master')
    if (data.length !== 2) return 0x6700
    const fid = (data[0]! << 8) | data[1]!
    if (p1 === 0x00 && fid === cardFolders.master.fid) return folder('master')
    return this.#step(fid, p1 !== 0x02, p1 !== 0x01) ? answer() : 0x6a82
  }

  /** Goes from the current DF to a child DF or a file in it. */
  #step(fid: number, toFolder: boolean, toFile = true): boolean {
    const child = toFolder && folders.find(([, row]) => row.fid === fid && row.parent === this.#folder)
    if (child) {
      this.#folder = child[0]
      this.#file = undefined
      return true
    }
    const file = toFile && files.find(([, row]) => row.fid === fid && row.folder === this.#folder)
    if (!file) return false
    this.#file = file[0]
    return true
  }

  /** File control information (ISO/IEC 7816-4 §7.4.3): size, kind, identifier, name. */
  #controlInformation(): Uint8Array {
    const file = this.#file && cardFiles[this.#file]
    const folder = cardFolders[this.#folder]
    const fid = file ? file.fid : folder.fid
    const size = file ? fileBytes(file) : 0
    const objects = [
      ...(file ? [0x80, 2, size >> 8, size & 255] : []),
      0x82,
      1,
      file ? 0x01 : 0x38,
      0x83,
      2,
      fid >> 8,
      fid & 255,
    ]
    if (!file && folder.aid) objects.push(0x84, folder.aid.length, ...folder.aid)
    return Uint8Array.of(0x6f, objects.length, ...objects)
  }

  /** The file and offset of READ or UPDATE BINARY: P1 with bit 8 is a short identifier, else P1P2 an offset in the selected file. */
  #locate({ p1, p2 }: DecodedCommand): { name: CardFileName; offset: number } | number {
    if ((p1 & 0x80) === 0) return this.#file ? { name: this.#file, offset: (p1 << 8) | p2 } : 0x6986
    if ((p1 & 0x60) !== 0) return 0x6a86
    const found = files.find(([, row]) => row.sfi === (p1 & 0x1f) && row.folder === this.#folder)
    if (!found) return 0x6a82
    this.#file = found[0]
    return { name: found[0], offset: p2 }
  }

  #read(command: DecodedCommand): Answer {
    if (command.data || command.le === undefined) return 0x6700
    const place = this.#locate(command)
    if (typeof place === 'number') return place
    const content = this.#memory.file(place.name)
    if (place.offset >= content.length) return 0x6b00
    const left = content.length - place.offset
    if (left >= command.le) return content.slice(place.offset, place.offset + command.le)
    if (!command.extended && command.le !== 256) return 0x6c00 | left
    return { data: content.slice(place.offset), sw: command.le === (command.extended ? 65_536 : 256) ? 0x9000 : 0x6282 }
  }

  #update(command: DecodedCommand): Answer {
    if (!command.data) return 0x6700
    const place = this.#locate(command)
    if (typeof place === 'number') return place
    if (cardFiles[place.name].update === 'never' || !this.#providerKnown) return 0x6982
    const size = this.#memory.file(place.name).length
    if (place.offset >= size) return 0x6b00
    if (place.offset + command.data.length > size) return 0x6a84
    this.#memory.write(place.name, place.offset, command.data)
    return nothing
  }

  /** Without data it says how many tries are left. */
  #verify({ p1, p2, data }: DecodedCommand): Answer {
    if (p1 !== 0 || p2 !== pinRules.reference) return 0x6a86
    if (!data) return this.#pinVerified ? nothing : this.#triesAnswer('pin')
    if (!isPinBlock(data)) return 0x6a80
    this.#pinVerified = false
    if (!this.#memory.compare('pin', data)) return this.#triesAnswer('pin')
    this.#pinVerified = true
    return nothing
  }

  /** CHANGE REFERENCE DATA (old PIN, new PIN) and RESET RETRY COUNTER (PUK, new PIN). */
  #changePin({ p1, p2, data }: DecodedCommand, secret: 'pin' | 'puk'): Answer {
    if (p1 !== 0 || p2 !== pinRules.reference) return 0x6a86
    if (!data || data.length !== 2 * pinRules.blockBytes) return 0x6700
    const shown = data.subarray(0, pinRules.blockBytes)
    const wanted = data.subarray(pinRules.blockBytes)
    if (!isPinBlock(shown) || !isPinBlock(wanted)) return 0x6a80
    this.#pinVerified = false
    if (!this.#memory.compare(secret, shown)) return this.#triesAnswer(secret)
    this.#memory.setPin(wanted)
    return nothing
  }

  #triesAnswer(secret: 'pin' | 'puk'): number {
    const left = this.#memory.triesLeft(secret)
    return left === 0 ? 0x6983 : 0x63c0 | left
  }

  #getChallenge({ p1, p2, le, data }: DecodedCommand): Answer {
    if (p1 !== 0 || p2 !== 0) return 0x6a86
    if (data || le === undefined || le < 8 || le > 32) return 0x6700
    this.#challenge = this.#random.bytes(le)
    return this.#challenge
  }

  /** The challenge is good for one try. */
  #externalAuthenticate({ p1, p2, data }: DecodedCommand): Answer {
    if (p1 !== 0 || p2 !== 0) return 0x6a86
    if (!data) return 0x6700
    const challenge = this.#challenge
    this.#challenge = undefined
    if (!challenge) return 0x6985
    const held = newest(decodeFile(cardFiles.providerKey, this.#memory.file('providerKey')))
    if (!held) return 0x6a88
    const card = thumbprint(this.#memory.keys.authentication)
    const key = parseCoseKey(decodeContent('providerKey', held.payload).key)
    this.#providerKnown = providerSigned(key, providerProofMessage(card, challenge), data)
    return this.#providerKnown ? nothing : 0x6300
  }

  /** MSE:SET (P1 41) of a key (84) and algorithm (80) for one template: A4 authentication, B6 signature, B8 confidentiality. */
  #manageEnvironment({ p1, p2, data }: DecodedCommand): Answer {
    const name = (Object.keys(cardKeys) as CardKeyName[]).find((key) => cardKeys[key].template === p2)
    if (p1 !== 0x41 || !name) return 0x6a86
    if (data?.length !== 6 || data[0] !== 0x84 || data[1] !== 1 || data[3] !== 0x80 || data[4] !== 1) return 0x6a80
    if (data[2] !== cardKeys[name].reference || data[5] !== cardAlgorithms[this.#memory.kind]) return 0x6a88
    this.#environment.set(p2, name)
    return nothing
  }

  #securityOperation(command: DecodedCommand): Answer {
    if (command.p1 === 0x9e && command.p2 === 0x9a) return this.#sign('acts', command)
    if (command.p1 !== 0x80 || command.p2 !== 0x86) return 0x6a86
    const refused = this.#mayUse('agreement', command)
    if (refused) return refused
    return decipherWith(this.#memory.kind, this.#memory.keys.agreement, command.data!) ?? 0x6a80
  }

  #sign(name: CardKeyName, command: DecodedCommand): Answer {
    const refused = this.#mayUse(name, command)
    if (refused) return refused
    if (!maySign(name, command.data!)) return 0x6a80
    if (!maySign(name, command.data!, this.#retired())) return 0x6985
    return signWith(this.#memory.kind, this.#memory.keys[name], command.data!)
  }

  /** Domains that the provider has taken back (D6); none as issued. */
  #retired(): readonly string[] {
    const held = newest(decodeFile(cardFiles.program, this.#memory.file('program')))
    return held ? decodeContent('program', held.payload).retired : []
  }

  #mayUse(name: CardKeyName, { data }: DecodedCommand): number | undefined {
    if (!data) return 0x6700
    if (this.#environment.get(cardKeys[name].template) !== name) return 0x6985
    return cardKeys[name].pin && !this.#pinVerified ? 0x6982 : undefined
  }
}

function isPinBlock(block: Uint8Array): boolean {
  if (block.length !== pinRules.blockBytes) return false
  const digits = block.indexOf(0xff)
  const length = digits === -1 ? block.length : digits
  return (
    length >= pinRules.minDigits &&
    block.every((byte, i) => (i < length ? byte >= 0x30 && byte <= 0x39 : byte === 0xff))
  )
}
