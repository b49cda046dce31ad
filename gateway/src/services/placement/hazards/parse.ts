/** Small readers of values that strangers wrote. */
import { Problem } from '@azukari/protocol/problem'
import type { Position } from '../../../geography.ts'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** @throws {Problem} `feed.malformed` */
export function readJson(bytes: Uint8Array): Json {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new Problem('feed.malformed', 'the text is not JSON in UTF-8')
  }
}

export function object(value: Json | undefined): { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
}

export function list(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : []
}

export function text(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value.trim() ? value.trim() : undefined
}

/** A finite number, also one that is written as text. */
export function number(value: Json | undefined): number | undefined {
  const n = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof n === 'number' && Number.isFinite(n) ? n : undefined
}

/**
 * A time with its zone, in ms: ISO 8601 with offset, RFC 822 as in RSS, or a number of ms.
 * @throws {Problem} `hazard.invalid` without a zone: a time of nowhere could be hours wrong
 */
export function time(value: Json | undefined, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  const said = text(value)
  if (said && said.length < 60 && /(Z|[+-]\d\d:?\d\d|GMT|UTC?)$/i.test(said)) {
    const ms = Date.parse(said)
    if (Number.isFinite(ms) && ms >= 0) return ms
  }
  throw new Problem('hazard.invalid', `${what}: ${JSON.stringify(value ?? null).slice(0, 60)} is no time with a zone`)
}

/** Gives the problem of one entry to the list, so that the others still count; what is no problem goes on. */
export function collect(problems: Problem[], work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    problems.push(error)
  }
}

/**
 * A position of the Tokyo datum in WGS 84 degrees: the usual linear formulas, good to some ten metres, where the datums
 * differ by 400 m.
 */
export function fromTokyo({ latitude, longitude }: Position): Position {
  return {
    latitude: latitude - 0.00010695 * latitude + 0.000017464 * longitude + 0.0046017,
    longitude: longitude - 0.000046038 * latitude - 0.000083043 * longitude + 0.01004,
  }
}
