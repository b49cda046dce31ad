/** Sensor Measurement Lists (RFC 8428): packs of records as JSON (§5) and CBOR (§6). Pure. */
import { Buffer } from 'node:buffer'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { InternalError } from '@azukari/protocol/problem'

/** One record; the labels are those of RFC 8428 table 1. */
export interface SenmlRecord {
  /** Base name, time (s), unit, value, sum, version: they hold from here on. */
  bn?: string
  bt?: number
  bu?: string
  bv?: number
  bs?: number
  bver?: number
  /** Name, appended to the base name. */
  n?: string
  /** Unit of the IANA registry. */
  u?: string
  /** One of: a number, text, a boolean, bytes. */
  v?: number
  vs?: string
  vb?: boolean
  vd?: Uint8Array
  /** Sum (an integral over time). */
  s?: number
  /** Time in seconds, added to the base time. */
  t?: number
  /** Seconds until the next record of this name at the latest. */
  ut?: number
}

/** Labels of the CBOR representation (RFC 8428 table 4). */
const labels: Record<keyof SenmlRecord, number> = {
  bver: -1,
  bn: -2,
  bt: -3,
  bu: -4,
  bv: -5,
  bs: -6,
  n: 0,
  u: 1,
  v: 2,
  vs: 3,
  vb: 4,
  s: 5,
  t: 6,
  ut: 7,
  vd: 8,
}

/** Records of one pack: as many as a device and its parts need, several times over. */
export const maxRecords = 512

/** What a full name, base name and name together, may be made of (RFC 8428 §4.5.1). */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9\-:./_]*$/

/** `application/senml+json`. @throws {InternalError} for a pack that the RFC does not allow */
export function senmlJson(pack: readonly SenmlRecord[]): string {
  check(pack)
  return JSON.stringify(pack.map((record) => (record.vd ? { ...record, vd: base64url(record.vd) } : record)))
}

/** `application/senml+cbor`, deterministic. @throws {InternalError} for a pack that the RFC does not allow */
export function senmlCbor(pack: readonly SenmlRecord[]): Uint8Array {
  check(pack)
  return encodeDeterministic(
    pack.map(
      (record) =>
        new Map(Object.entries(record).map(([label, value]) => [labels[label as keyof SenmlRecord], value] as const)),
    ),
  )
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

function check(pack: readonly SenmlRecord[]): void {
  if (pack.length === 0 || pack.length > maxRecords) throw new InternalError(`a SenML pack of ${pack.length} records`)
  let base = ''
  let baseValue = false
  for (const record of pack) {
    base = record.bn ?? base
    baseValue ||= record.bv !== undefined || record.bs !== undefined
    const name = base + (record.n ?? '')
    if (!namePattern.test(name)) throw new InternalError(`${JSON.stringify(name)} is no SenML name`)
    const values = [record.v, record.vs, record.vb, record.vd].filter((value) => value !== undefined)
    if (values.length > 1) throw new InternalError(`${name} has ${values.length} values`)
    if (values.length === 0 && record.s === undefined && !baseValue) throw new InternalError(`${name} has no value`)
    for (const value of Object.values(record))
      if (typeof value === 'number' && !Number.isFinite(value)) throw new InternalError(`${name} is not finite`)
  }
}
