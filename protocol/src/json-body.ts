/**
 * Bodies of contracts as JSON, for those who speak no CBOR: the same schemas, with byte strings as base64url without padding
 * (RFC 4648 §5). What is read is judged by the contract afterwards; here only what JSON cannot say is made.
 */
import { Value } from 'typebox/value'
import type { TSchema } from './contract.ts'
import { Problem } from './problem.ts'

interface Shape {
  'x-bytes'?: readonly [number, number]
  type?: string
  properties?: Record<string, TSchema>
  items?: TSchema
  anyOf?: readonly TSchema[]
}

/** A body as `JSON.stringify` takes it. */
export function toJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64url')
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, toJson(field)]))
}

/**
 * A body of the schema from parsed JSON. Fields that the schema does not know are left out, and what does not fit is passed on
 * for the contract to refuse. @throws {Problem} `message.invalid` for bytes that are no base64url
 */
export function fromJson(schema: TSchema, json: unknown): unknown {
  const { 'x-bytes': bytes, properties, items, anyOf } = schema as Shape
  if (bytes) return typeof json === 'string' ? bytesOf(json) : json
  if (anyOf) return choice(anyOf, json)
  if (Array.isArray(json)) return items ? json.map((item) => fromJson(items, item)) : json
  if (!properties || typeof json !== 'object' || json === null) return json
  const known = Object.entries(properties).filter(([name]) => Object.hasOwn(json, name))
  return Object.fromEntries(
    known.map(([name, field]) => [name, fromJson(field, (json as Record<string, unknown>)[name])]),
  )
}

/** Fields of a path and a query as a body of the schema: numbers and truths are written as text there. @throws {Problem} `message.invalid` */
export function fromText(schema: TSchema, fields: Readonly<Record<string, string>>): unknown {
  const { properties = {} } = schema as Shape
  const typed = Object.entries(fields).map(([name, text]) => {
    const { type } = (Object.hasOwn(properties, name) ? properties[name] : {}) as Shape
    if ((type === 'integer' || type === 'number') && /^-?\d{1,16}$/.test(text)) return [name, Number(text)]
    if (type === 'boolean' && /^(true|false)$/.test(text)) return [name, text === 'true']
    return [name, text]
  })
  return fromJson(schema, Object.fromEntries(typed))
}

function choice(options: readonly TSchema[], json: unknown): unknown {
  for (const option of options) {
    const value = fromJson(option, json)
    if (Value.Check(option, value)) return value
  }
  return json
}

function bytesOf(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url')
  // Also what is not canonical: two texts must not be the same bytes.
  if (bytes.toString('base64url') !== text) throw new Problem('message.invalid', 'bytes are base64url without padding')
  return new Uint8Array(bytes)
}
