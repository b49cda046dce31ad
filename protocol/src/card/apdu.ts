/**
 * Command and response APDUs of ISO/IEC 7816-4 §5: short and extended length, command chaining, and the status words as
 * problems (S15).
 */
import { Problem, type ProblemCode } from '../problem.ts'

export interface Command {
  cla: number
  ins: number
  p1: number
  p2: number
  data?: Uint8Array
  /** Most bytes of answer that are wanted, 1 to 65,536; absent when none is. 256 (short) and 65,536 (extended) mean "all". */
  le?: number
}

export interface DecodedCommand extends Command {
  extended: boolean
  /** Another part of the same command follows (CLA bit 0x10). */
  chained: boolean
}

export interface Response {
  data: Uint8Array
  /** Status word, SW1 << 8 | SW2. */
  sw: number
}

/** Instruction bytes of this card. */
export const instructions = {
  verify: 0x20,
  manageSecurityEnvironment: 0x22,
  changeReferenceData: 0x24,
  performSecurityOperation: 0x2a,
  resetRetryCounter: 0x2c,
  externalAuthenticate: 0x82,
  getChallenge: 0x84,
  internalAuthenticate: 0x88,
  select: 0xa4,
  readBinary: 0xb0,
  getResponse: 0xc0,
  updateBinary: 0xd6,
} as const

/** Status words of this card and what each means to a person; `63Cx`, `61xx` and `6Cxx` are ranges, see `checkStatus`. */
export const statusTable: Readonly<Record<number, { what: string; problem?: ProblemCode }>> = {
  36864: { what: 'done' },
  25218: { what: 'end of file before the wanted length' },
  25344: { what: 'the outside could not prove itself', problem: 'card.access-denied' },
  25985: { what: 'the memory failed', problem: 'card.failed' },
  26368: { what: 'wrong length', problem: 'card.failed' },
  26755: { what: 'the last command of a chain was expected', problem: 'card.failed' },
  27010: { what: 'security status not satisfied', problem: 'card.access-denied' },
  27011: { what: 'reference data blocked', problem: 'card.blocked' },
  27013: { what: 'conditions of use not satisfied', problem: 'card.failed' },
  27014: { what: 'no file is selected', problem: 'card.failed' },
  27264: { what: 'wrong data', problem: 'card.failed' },
  27265: { what: 'function not supported', problem: 'card.unsupported' },
  27266: { what: 'file not found', problem: 'card.unsupported' },
  27268: { what: 'not enough room in the file', problem: 'card.full' },
  27270: { what: 'wrong P1 or P2', problem: 'card.failed' },
  27272: { what: 'referenced data not found', problem: 'card.failed' },
  27392: { what: 'offset outside the file', problem: 'card.failed' },
  27904: { what: 'instruction not supported', problem: 'card.unsupported' },
  28160: { what: 'class not supported', problem: 'card.unsupported' },
  28416: { what: 'no precise diagnosis', problem: 'card.failed' },
}

/** Largest data of a short command. */
export const shortDataBytes = 255

/** Encodes one APDU. Short when it fits and `extended` is not asked for. @throws {Problem} `card.failed` when it fits neither */
export function encodeCommand(command: Command, extended = false): Uint8Array {
  const { cla, ins, p1, p2, le } = command
  const data = command.data ?? new Uint8Array(0)
  if (data.length > 65_535 || (le !== undefined && (le < 1 || le > 65_536)))
    throw new Problem('card.failed', 'no APDU is that long')
  const long = extended && (data.length > shortDataBytes || (le ?? 0) > 256)
  if (!long && (data.length > shortDataBytes || (le ?? 0) > 256))
    throw new Problem('card.failed', 'too long for a short APDU')
  const lc = data.length === 0 ? [] : long ? [0, data.length >> 8, data.length & 255] : [data.length]
  const end = le === undefined ? [] : long ? [...(data.length === 0 ? [0] : []), (le >> 8) & 255, le & 255] : [le & 255]
  const out = new Uint8Array(4 + lc.length + data.length + end.length)
  out.set([cla, ins, p1, p2, ...lc])
  out.set(data, 4 + lc.length)
  out.set(end, 4 + lc.length + data.length)
  return out
}

/** Takes a command APDU apart (the seven cases of ISO/IEC 7816-3 §12.1.3). Undefined when its length is wrong: answer 6700. */
export function decodeCommand(bytes: Uint8Array): DecodedCommand | undefined {
  if (bytes.length < 4) return undefined
  const [cla, ins, p1, p2, first] = bytes as unknown as [number, number, number, number, number | undefined]
  const head = { cla, ins, p1, p2, chained: (cla & 0x10) !== 0 }
  if (first === undefined) return { ...head, extended: false }
  if (bytes.length === 5) return { ...head, extended: false, le: first || 256 }
  if (first !== 0) {
    if (bytes.length !== 5 + first && bytes.length !== 6 + first) return undefined
    const data = bytes.slice(5, 5 + first)
    const le = bytes[5 + first]
    return le === undefined ? { ...head, extended: false, data } : { ...head, extended: false, data, le: le || 256 }
  }
  if (bytes.length < 7) return undefined
  const length = (bytes[5]! << 8) | bytes[6]!
  if (bytes.length === 7) return { ...head, extended: true, le: length || 65_536 }
  if (length === 0 || (bytes.length !== 7 + length && bytes.length !== 9 + length)) return undefined
  const data = bytes.slice(7, 7 + length)
  if (bytes.length === 7 + length) return { ...head, extended: true, data }
  return { ...head, extended: true, data, le: (bytes[7 + length]! << 8) | bytes[8 + length]! || 65_536 }
}

/** One command as a chain of short ones (ISO/IEC 7816-4 §5.3.3): all but the last carry CLA bit 0x10. */
export function chain(command: Command, partBytes = shortDataBytes): Command[] {
  const data = command.data ?? new Uint8Array(0)
  const parts: Command[] = []
  const { le, ...head } = command
  for (let at = 0; at + partBytes < data.length; at += partBytes)
    parts.push({ ...head, cla: command.cla | 0x10, data: data.subarray(at, at + partBytes) })
  const last: Command = { ...head }
  if (data.length) last.data = data.subarray(parts.length * partBytes)
  if (le !== undefined) last.le = le
  return [...parts, last]
}

export function encodeResponse(data: Uint8Array, sw: number): Uint8Array {
  const out = new Uint8Array(data.length + 2)
  out.set(data)
  out.set([sw >> 8, sw & 255], data.length)
  return out
}

/**
 * Takes a response apart.
 * @throws {Problem} `card.removed` when it has fewer than two bytes: a card that loses power answers nothing, and some
 * stacks report that as success.
 */
export function decodeResponse(bytes: Uint8Array): Response {
  if (bytes.length < 2) throw new Problem('card.removed', `an answer of ${bytes.length} bytes`)
  return { data: bytes.subarray(0, bytes.length - 2), sw: (bytes[bytes.length - 2]! << 8) | bytes[bytes.length - 1]! }
}

/**
 * The answer's data when the card says 9000.
 * @throws {Problem} `card.wrong-pin` (data: `triesLeft`), `card.blocked`, or as `statusTable` says
 */
export function checkStatus(response: Response, what: string): Uint8Array {
  const { sw } = response
  if (sw === 0x9000) return response.data
  const detail = `${what}: ${sw.toString(16).padStart(4, '0')} ${statusTable[sw]?.what ?? ''}`.trimEnd()
  if ((sw & 0xfff0) === 0x63c0) {
    const triesLeft = sw & 15
    throw new Problem(triesLeft === 0 ? 'card.blocked' : 'card.wrong-pin', detail, { data: { triesLeft } })
  }
  throw new Problem(statusTable[sw]?.problem ?? 'card.failed', detail)
}
