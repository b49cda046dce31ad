/**
 * What a compute child and its supervisor say to each other over pipes: a head of JSON and blobs, each with its length
 * before it. It imports nothing: the child may read nothing but this folder.
 */
import type { FaultCode, StepLimits } from './step.ts'

/** The longest head, bytes. */
const headMaxBytes = 4_096

/** A unit to run; blobs: instrumented module, input, state. */
export interface RunHead extends StepLimits {
  readonly fuelUsed: number
  readonly outputBytes: number
}

/** What the child says; blobs of `checkpoint`: further output, state; of `done`: further output. */
export type ReplyHead =
  | { readonly kind: 'checkpoint' | 'done'; readonly fuelUsed: number; readonly memoryBytes: number }
  | {
      readonly kind: 'fault'
      readonly code: FaultCode
      readonly detail: string
      readonly fuelUsed: number
      readonly memoryBytes: number
    }

export interface Frame<Head> {
  readonly head: Head
  readonly blobs: readonly Uint8Array[]
}

/** The pieces of a frame, to be written one after the other. */
export function frameOf(head: RunHead | ReplyHead, blobs: readonly Uint8Array[]): Uint8Array[] {
  const text = new TextEncoder().encode(JSON.stringify({ ...head, sizes: blobs.map(({ length }) => length) }))
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, text.length)
  return [length, text, ...blobs]
}

/** Takes frames out of bytes as they come. */
export class FrameReader<Head> {
  readonly #maxBytes: number
  #waiting: Uint8Array[] = []
  #bytes = 0

  /** @param maxBytes of all blobs of one frame; a longer one is an error */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** @throws {Error} for what is no frame; nothing after it is taken */
  *take(chunk: Uint8Array): Generator<Frame<Head>> {
    this.#waiting.push(chunk)
    this.#bytes += chunk.length
    for (let frame = this.#next(); frame; frame = this.#next()) yield frame
  }

  #next(): Frame<Head> | undefined {
    if (this.#bytes < 4) return undefined
    const start = this.#first(Math.min(this.#bytes, 4 + headMaxBytes))
    const headLength = new DataView(start.buffer, start.byteOffset).getUint32(0)
    if (headLength > headMaxBytes) throw new Error('a frame’s head is too long')
    if (this.#bytes < 4 + headLength) return undefined
    const head = JSON.parse(new TextDecoder().decode(start.subarray(4, 4 + headLength))) as Head & { sizes: number[] }
    const { sizes } = head
    if (!Array.isArray(sizes) || !sizes.every((size) => Number.isSafeInteger(size) && size >= 0))
      throw new Error('a frame has no sizes')
    const blobBytes = sizes.reduce((sum, size) => sum + size, 0)
    if (blobBytes > this.#maxBytes) throw new Error('a frame is too long')
    const length = 4 + headLength + blobBytes
    if (this.#bytes < length) return undefined
    const whole = this.#first(this.#bytes)
    let at = 4 + headLength
    const blobs = sizes.map((size) => {
      at += size
      return whole.slice(at - size, at)
    })
    this.#waiting = [whole.subarray(length)]
    this.#bytes -= length
    return { head, blobs }
  }

  /** The first bytes in one piece; joins what waits only as far as it must. */
  #first(length: number): Uint8Array {
    if (this.#waiting[0] && this.#waiting[0].length >= length) return this.#waiting[0]
    const whole = new Uint8Array(length === this.#bytes ? length : Math.min(this.#bytes, length))
    let at = 0
    for (const part of this.#waiting) {
      const taken = part.subarray(0, whole.length - at)
      whole.set(taken, at)
      at += taken.length
      if (at === whole.length) break
    }
    if (whole.length === this.#bytes) this.#waiting = [whole]
    return whole
  }
}
