/**
 * Reading a replica back (S10): the exchange between a card, through its device, and a data server. The gateway carries
 * the frames unopened and placement takes no part. Pure: both ends take frames and return frames, over any carrier.
 *
 *   hello  {object, version?, device, share, nonce}        →
 *                     ← welcome {session, share, challenge, key, proof}: signed over the transcript with the server's key
 *   auth   {the card's signature over verifier, challenge, transcript, device, operation, object}  →   ← {manifest}
 *   read   {from, count}  →   ← {segments}        and so on, in a window, in any order
 *
 * From auth on, frames are AES-256-GCM under keys of this session, one per direction; header: type, 16-byte session,
 * 4-byte counter, which is also the nonce and additional data. A frame sent again gets the same answer again, so a
 * carrier may repeat what it lost.
 */
import { createCipheriv, createDecipheriv, createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { decode, encode, encodeDeterministic } from './codec.ts'
import { Bytes, Count, checker, Id, Slug, type Static, Text, Type } from './contract.ts'
import { agree, parseCoseKey } from './keys.ts'
import { Problem, type ProblemWire } from './problem.ts'

export const readDomain = new TextEncoder().encode('azukari/read/1')
export const welcomeProofDomain = new TextEncoder().encode('azukari/read-welcome/1')

/** Longest frame to a data server, and longest answer, in bytes. */
export const requestFrameMaxBytes = 8192
export const replyFrameMaxBytes = 131_072
/** Segment bytes that one answer carries at most; always at least one segment. */
export const segmentsPerReplyMaxBytes = 120_000
/** Frames that may be under way at once in one session; their answers are kept for repetition. */
export const windowFrames = 8

export const frameType = { hello: 1, sealed: 2, problem: 3, welcome: 4 } as const
const headerBytes = 21
const tagBytes = 16

export const Hello = Type.Object({
  object: Id,
  version: Type.Optional(Type.Integer({ minimum: 1, maximum: 0xffff_ffff })),
  slot: Type.Optional(Type.Union([Type.Literal(1), Type.Literal(2)])),
  device: Slug,
  /** COSE_Key: a fresh X25519 public key. */
  share: Bytes(32, 128),
  nonce: Id,
})
export type Hello = Static<typeof Hello>

export const Welcome = Type.Object({
  session: Id,
  share: Bytes(32, 128),
  challenge: Bytes(32),
  /** COSE_Key: the server's identity; worth what its thumbprint in the card's conditions is worth. */
  key: Bytes(32, 600),
  /** COSE_Sign1 of the transcript hash. */
  proof: Bytes(64, 1024),
})
export type Welcome = Static<typeof Welcome>

export const ReadRequest = Type.Union([
  Type.Object({ op: Type.Literal('auth'), proof: Bytes(64, 2048) }),
  Type.Object({ op: Type.Literal('read'), from: Count, count: Type.Integer({ minimum: 1, maximum: 1024 }) }),
  Type.Object({ op: Type.Literal('manifest') }),
  Type.Object({ op: Type.Literal('close') }),
])
export type ReadRequest = Static<typeof ReadRequest>

export const ReadReply = Type.Object({
  /** COSE_Sign1 of the manifest; to auth and manifest. */
  manifest: Type.Optional(Bytes(64, 4096)),
  from: Type.Optional(Count),
  segments: Type.Optional(Type.Array(Bytes(16, 65_552), { maxItems: 1024 })),
  problem: Type.Optional(
    Type.Object({
      code: Text(64),
      retry: Text(16),
      detail: Type.Optional(Text(2000)),
      data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    }),
  ),
})
export type ReadReply = Static<typeof ReadReply>

export const checkHello = checker(Hello, 'hello')
export const checkWelcome = checker(Welcome, 'welcome')
export const checkReadRequest = checker(ReadRequest, 'read request')
export const checkReadReply = checker(ReadReply, 'read reply')
const checkProblem = checker(Type.Object({ code: Text(64), retry: Text(16) }), 'problem')

/** What the card signs: it binds the server, this session, the device and the operation, so it serves for nothing else. */
export interface ReadAuth {
  /** Thumbprint of the data server's key. */
  verifier: Uint8Array
  challenge: Uint8Array
  /** Hash over both greetings, and so over the session's keys. */
  transcript: Uint8Array
  device: string
  object: Uint8Array
}

/** The exact bytes that the card signs (COSE_Sign1 payload, external_aad `readDomain`). */
export function readAuthPayload(auth: ReadAuth): Uint8Array {
  const { verifier, challenge, transcript, device, object } = auth
  return encodeDeterministic({
    domain: 'azukari/read/1',
    verifier,
    challenge,
    transcript,
    device,
    operation: 'read',
    object,
  })
}

/** SHA-256 over both greetings, without the proof that signs it. */
export function transcriptOf(helloBody: Uint8Array, welcome: Omit<Welcome, 'proof'>): Uint8Array {
  const { session, share, challenge, key } = welcome
  return new Uint8Array(
    createHash('sha256')
      .update(encodeDeterministic(['azukari/read/1', helloBody, session, share, challenge, key]))
      .digest(),
  )
}

/** One direction's keys are never the other's. */
export interface SessionKeys {
  up: Uint8Array
  down: Uint8Array
}

export function sessionKeys(own: KeyObject, peerShare: Uint8Array, transcript: Uint8Array): SessionKeys {
  const secret = agree(own, parseCoseKey(peerShare))
  const derive = (direction: string) =>
    new Uint8Array(hkdfSync('sha256', secret, transcript, encodeDeterministic(['azukari/read-keys/1', direction]), 32))
  return { up: derive('up'), down: derive('down') }
}

/** A greeting or a problem: a type byte and CBOR. */
export function openFrame(type: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + body.length)
  frame[0] = type
  frame.set(body, 1)
  return frame
}

export function problemFrame(problem: Problem): Uint8Array {
  // Nothing but the code: whoever reads this is not yet known.
  return openFrame(frameType.problem, encode({ code: problem.code, retry: problem.retry }))
}

/** A problem that came unsealed may come from anybody on the way: it is believed as far as "it did not work". */
export function problemOfFrame(frame: Uint8Array): Problem {
  const wire = checkProblem(decode(frame.subarray(1))) as ProblemWire
  const told = ['session.unknown', 'service.busy', 'message.invalid', 'server.unreachable', 'message.too-large']
  return told.includes(wire.code) ? Problem.fromWire(wire) : new Problem('server.refused', `unsealed ${wire.code}`)
}

export interface SealedHeader {
  session: Uint8Array
  counter: number
}

/** Reads the header of a sealed frame. @throws {Problem} `message.invalid` */
export function sealedHeader(frame: Uint8Array): SealedHeader {
  if (frame[0] !== frameType.sealed || frame.length < headerBytes + tagBytes)
    throw new Problem('message.invalid', 'not a sealed frame')
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  return { session: frame.slice(1, 17), counter: view.getUint32(17) }
}

/** Seals one frame; a key never sees a counter twice with different content. */
export function sealFrame(key: Uint8Array, { session, counter }: SealedHeader, body: unknown): Uint8Array {
  const plain = encode(body)
  const frame = new Uint8Array(headerBytes + plain.length + tagBytes)
  frame[0] = frameType.sealed
  frame.set(session, 1)
  new DataView(frame.buffer).setUint32(17, counter)
  const cipher = createCipheriv('aes-256-gcm', createSecretKey(key), nonceOf(counter))
  cipher.setAAD(frame.subarray(0, headerBytes))
  frame.set(cipher.update(plain), headerBytes)
  cipher.final()
  frame.set(cipher.getAuthTag(), headerBytes + plain.length)
  return frame
}

/** Opens one frame's CBOR. @throws {Problem} `message.invalid` when it was not sealed under this key */
export function openSealed(key: Uint8Array, frame: Uint8Array): unknown {
  const { counter } = sealedHeader(frame)
  const end = frame.length - tagBytes
  const decipher = createDecipheriv('aes-256-gcm', createSecretKey(key), nonceOf(counter))
  decipher.setAAD(frame.subarray(0, headerBytes))
  decipher.setAuthTag(frame.subarray(end))
  const plain = decipher.update(frame.subarray(headerBytes, end))
  try {
    decipher.final()
  } catch (cause) {
    throw new Problem('message.invalid', 'a frame does not open', { cause })
  }
  return decode(plain, { maxBytes: replyFrameMaxBytes })
}

function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(12)
  new DataView(nonce.buffer).setUint32(8, counter)
  return nonce
}
