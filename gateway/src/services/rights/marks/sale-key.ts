/**
 * The keyed mark of a sale (R3, R7): which signs it has in each tile. The key of each sale is derived from the author's
 * master by HKDF, so that a sale's key opens that sale alone and only the derivation need be recorded.
 */
import { createCipheriv, hkdfSync } from 'node:crypto'
import { canonicalSize, keyedSignCount, tileSize } from '@azukari/protocol/marks/carriers'
import type { KeyedSigns } from '@azukari/protocol/marks/embed'
import { encodeNumber, saleFormat } from '@azukari/protocol/marks/error-correction'
import { canonicalDimensions } from '@azukari/protocol/marks/plane'

/** Recorded with a sale: how its key follows from the master. */
export const derivation = 'HKDF-SHA-256 azukari/mark/sale/1'
/** Bytes of a master. */
export const masterLength = 32

const signBytes = Math.ceil(keyedSignCount / 8)

/** How many tiles a picture of that size has. */
export interface Grid {
  columns: number
  rows: number
}

export function gridOf(picture: { width: number; height: number }): Grid {
  const { width, height } = canonicalDimensions(picture, canonicalSize)
  return { columns: Math.ceil(width / tileSize), rows: Math.ceil(height / tileSize) }
}

/**
 * The key of one sale of one work.
 *
 * @param work 64-bit id, the salt (RFC 5869 §2.2)
 * @param sale 40-bit id, part of the info
 */
export function saleKey(master: Uint8Array, work: bigint, sale: bigint): Uint8Array {
  const salt = Buffer.alloc(8)
  salt.writeBigUInt64BE(work)
  const info = Buffer.concat([Buffer.from(`${derivation}/`), bytesOfSale(sale)])
  return new Uint8Array(hkdfSync('sha256', master, salt, info, 32))
}

/**
 * Signs of every tile, row after row, `keyedSignCount` of each: the key's stream (AES-256-CTR) times the coded bits of the
 * sale's id. Without the key they cannot be told from chance.
 */
export function saleSigns(key: Uint8Array, sale: bigint, { columns, rows }: Grid): Int8Array {
  const tiles = columns * rows
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  const stream = cipher.update(Buffer.alloc(tiles * signBytes))
  const coded = encodeNumber(saleFormat, sale)
  const signs = new Int8Array(tiles * keyedSignCount)
  for (let tile = 0, at = 0; tile < tiles; tile++)
    for (let i = 0, bit = 0; i < keyedSignCount; i++, at++) {
      const isSet = (stream[tile * signBytes + (i >> 3)]! >> (i & 7)) & 1
      signs[at] = isSet ? coded[bit]! : -coded[bit]!
      if (++bit === coded.length) bit = 0
    }
  return signs
}

/** As the embedder asks for them; a tile outside the grid is never drawn. */
export function signsByTile(signs: Int8Array, { columns }: Grid): KeyedSigns {
  return (column, row) => {
    const tile = row * columns + Math.min(column, columns - 1)
    return signs.subarray(tile * keyedSignCount, (tile + 1) * keyedSignCount)
  }
}

function bytesOfSale(sale: bigint): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(sale)
  return bytes.subarray(3)
}
