/** What goes over the operators' socket: one call up, one answer down. Each is its length and CBOR. */
import { decode, encode } from '@azukari/protocol/codec'
import { checker, type Static, Text, Type } from '@azukari/protocol/contract'
import { Problem } from '@azukari/protocol/problem'

/** Files named in a call go along with it. */
const limits = { maxBytes: 16 << 20, maxDepth: 8, maxItems: 65_536 }

const Value = Type.Union([Text(65_536), Type.Boolean(), Type.Array(Text(65_536), { maxItems: 10_000 })])
const Call = Type.Object({
  token: Type.Optional(Text(64)),
  command: Text(64),
  values: Type.Record(Text(64), Value),
  positionals: Type.Array(Text(4_096), { maxItems: 1_000 }),
})
export type Call = Static<typeof Call>
export const checkCall = checker(Call, 'operator call')

const Down = Type.Object({
  /** JSON, as text. */
  json: Type.Optional(Type.String()),
  text: Type.Optional(Type.String()),
  exit: Type.Optional(Type.Integer({ minimum: 0, maximum: 255 })),
  problem: Type.Optional(
    Type.Object({
      code: Text(64),
      retry: Text(16),
      detail: Type.Optional(Type.String()),
      data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    }),
  ),
})
export type Down = Static<typeof Down>
const checkDown = checker(Down, 'operator answer')

export function frame(message: unknown): Uint8Array {
  const body = encode(message)
  if (body.length > limits.maxBytes) throw new Problem('message.too-large', `${body.length} bytes`)
  const framed = new Uint8Array(4 + body.length)
  new DataView(framed.buffer).setUint32(0, body.length)
  framed.set(body, 4)
  return framed
}

export function openCall(bytes: Uint8Array): Call {
  return checkCall(decode(bytes, limits))
}

export function openDown(bytes: Uint8Array): Down {
  return checkDown(decode(bytes, limits))
}

/** The messages of a stream, each checked for its length before it is waited for. @throws {Problem} `message.*` */
export async function* messages(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = []
  let length = 0
  for await (const chunk of stream) {
    held.push(chunk)
    length += chunk.length
    while (length >= 4) {
      if (held[0]!.length < 4) held = [Buffer.concat(held)]
      const wanted = 4 + Buffer.from(held[0]!).readUInt32BE(0)
      if (wanted > 4 + limits.maxBytes) throw new Problem('message.too-large', `${wanted} bytes`)
      if (length < wanted) break
      const all = Buffer.concat(held)
      yield all.subarray(4, wanted)
      held = [all.subarray(wanted)]
      length = all.length - wanted
    }
  }
  if (length > 0) throw new Problem('message.invalid', 'the stream ends early')
}
