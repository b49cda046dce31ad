/** A call's body on HTTP/2, both ways: 4-byte length, CBOR head, then raw bytes to the end. */
import { Problem } from '@azukari/protocol/problem'

export const contentType = 'application/vnd.azukari.call'
/** Longest CBOR head, in bytes. */
export const headMaxBytes = 1 << 20

export function frameHead(head: Uint8Array): Uint8Array {
  const framed = new Uint8Array(4 + head.length)
  new DataView(framed.buffer).setUint32(0, head.length)
  framed.set(head, 4)
  return framed
}

/**
 * Reads the head and gives the rest as it comes.
 * @throws {Problem} `message.too-large`, `message.invalid` when the stream ends early
 */
export async function readHead(
  source: AsyncIterable<Uint8Array>,
): Promise<{ head: Uint8Array; rest: AsyncGenerator<Uint8Array> }> {
  const chunks = source[Symbol.asyncIterator]()
  let held: Buffer = Buffer.alloc(0)
  const fill = async (bytes: number) => {
    const parts = [held]
    let length = held.length
    while (length < bytes) {
      const { value, done } = await chunks.next()
      if (done) throw new Problem('message.invalid', 'the body ends early')
      parts.push(Buffer.from(value.buffer, value.byteOffset, value.length))
      length += value.length
    }
    held = parts.length === 1 ? held : Buffer.concat(parts)
  }
  await fill(4)
  const length = held.readUInt32BE(0)
  if (length > headMaxBytes) throw new Problem('message.too-large', `${length} bytes`)
  await fill(4 + length)
  const head = held.subarray(4, 4 + length)
  const after = held.subarray(4 + length)
  async function* rest(): AsyncGenerator<Uint8Array> {
    try {
      if (after.length > 0) yield after
      for (;;) {
        const { value, done } = await chunks.next()
        if (done) return
        yield value
      }
    } finally {
      await chunks.return?.()
    }
  }
  return { head, rest: rest() }
}
