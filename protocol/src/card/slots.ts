/**
 * How a card's elementary file holds records so that a power cut leaves the old or the new one (S8, S15).
 *
 * A file is a row of slots of one size. A record is written whole into one slot that is not needed any more; its header
 * carries a check over everything, so a slot that was only partly written is seen to be torn, whatever the order in
 * which the bytes arrived. A file of one record has two slots, a ring of N records N + 1.
 *
 * Slot: counter (6 bytes, big-endian) | length (2) | tag (12) | version (4) | check (8) | payload, padded with zeros.
 * Check: the first 8 bytes of SHA-256(domain | file id | the 24 bytes before it | payload). All zeros: never written.
 * The counter is the card's own: one more for every record written anywhere on the card, so it also shows rollback.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { Problem } from '../problem.ts'

export const slotHeaderBytes = 32
export const tagBytes = 12
const checkedBytes = 24
const counterMax = 2 ** 48 - 1
const checkDomain = new TextEncoder().encode('azukari/slot/1')

/** How a file is divided. */
export interface SlotShape {
  fid: number
  slots: number
  payloadBytes: number
}

export interface SlotRecord {
  counter: number
  tag: Uint8Array
  version: number
  payload: Uint8Array
}

export type Slot = { index: number; state: 'empty' | 'torn' } | ({ index: number; state: 'whole' } & SlotRecord)

export function slotBytes(shape: SlotShape): number {
  return slotHeaderBytes + shape.payloadBytes
}

export function fileBytes(shape: SlotShape): number {
  return shape.slots * slotBytes(shape)
}

/** A record as it is written at the start of a slot. @throws {Problem} `card.full` when it is larger than a slot */
export function encodeSlot(
  shape: SlotShape,
  record: Partial<SlotRecord> & { counter: number; payload: Uint8Array },
): Uint8Array {
  const { counter, payload, tag, version = 0 } = record
  if (payload.length > shape.payloadBytes)
    throw new Problem('card.full', `${payload.length} bytes in a slot of ${shape.payloadBytes}`)
  if (!(Number.isSafeInteger(counter) && counter >= 1 && counter <= counterMax))
    throw new Problem('card.full', 'the counter of the card has run out')
  const out = new Uint8Array(slotHeaderBytes + payload.length)
  const view = new DataView(out.buffer)
  view.setUint16(0, Math.floor(counter / 2 ** 32))
  view.setUint32(2, counter % 2 ** 32)
  view.setUint16(6, payload.length)
  if (tag) out.set(tag.subarray(0, tagBytes), 8)
  view.setUint32(20, version)
  out.set(payload, slotHeaderBytes)
  out.set(check(shape.fid, out.subarray(0, checkedBytes), payload), checkedBytes)
  return out
}

/** Reads one slot; `bytes` starts at the slot and may be longer. */
export function decodeSlot(shape: SlotShape, index: number, bytes: Uint8Array): Slot {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const header = bytes.subarray(0, slotHeaderBytes)
  if (header.length < slotHeaderBytes) return { index, state: 'torn' }
  if (header.every((byte) => byte === 0)) return { index, state: 'empty' }
  const length = view.getUint16(6)
  if (length > shape.payloadBytes || slotHeaderBytes + length > bytes.length) return { index, state: 'torn' }
  const payload = bytes.slice(slotHeaderBytes, slotHeaderBytes + length)
  if (!timingSafeEqual(check(shape.fid, header.subarray(0, checkedBytes), payload), header.subarray(checkedBytes)))
    return { index, state: 'torn' }
  const counter = view.getUint16(0) * 2 ** 32 + view.getUint32(2)
  return { index, state: 'whole', counter, tag: bytes.slice(8, 8 + tagBytes), version: view.getUint32(20), payload }
}

/** Reads all slots of a file. */
export function decodeFile(shape: SlotShape, bytes: Uint8Array): Slot[] {
  const size = slotBytes(shape)
  return Array.from({ length: shape.slots }, (_, index) =>
    decodeSlot(shape, index, bytes.subarray(index * size, (index + 1) * size)),
  )
}

/** The newest whole record. */
export function newest(slots: readonly Slot[]): (SlotRecord & { index: number }) | undefined {
  let best: (SlotRecord & { index: number }) | undefined
  for (const slot of slots) if (slot.state === 'whole' && (!best || slot.counter > best.counter)) best = slot
  return best
}

/**
 * The slot to write next: a torn one, else an empty one, else one whose object has a newer version elsewhere, else the
 * oldest. With one slot more than records, none that counts is ever overwritten.
 */
export function slotToWrite(slots: readonly Slot[], superseded: (record: SlotRecord) => boolean = () => false): number {
  const torn = slots.find((slot) => slot.state === 'torn') ?? slots.find((slot) => slot.state === 'empty')
  if (torn) return torn.index
  const whole = slots.filter((slot) => slot.state === 'whole').sort((a, b) => a.counter - b.counter)
  return (whole.find(superseded) ?? whole[0]!).index
}

function check(fid: number, header: Uint8Array, payload: Uint8Array): Uint8Array {
  return createHash('sha256')
    .update(checkDomain)
    .update(Uint8Array.of(fid >> 8, fid & 255))
    .update(header)
    .update(payload)
    .digest()
    .subarray(0, 8)
}
