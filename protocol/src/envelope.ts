/**
 * The envelope around every message between a device and the gateway, and the channel that seals it (ARCHITECTURE §4).
 *
 * At birth both sides agree on a key (signed X25519 shares); from then on each message is one COSE_Encrypt0 under the
 * key of its direction. A foreign broker can delay or lose messages, and nothing else.
 */
import { hkdfSync, type KeyObject } from 'node:crypto'
import { decode, encode, encodeDeterministic } from './codec.ts'
import { Bytes, Count, checker, Id, MemberToken, Slug, type Static, Text, TimeMs, Type } from './contract.ts'
import { decrypt0, encrypt0, type Signer, sign1, verify1 } from './cose.ts'
import { agree, parseCoseKey } from './keys.ts'
import { Problem, type ProblemWire } from './problem.ts'

const utf8 = new TextEncoder()

export const birthDomain = utf8.encode('azukari/birth/1')
export const welcomeDomain = utf8.encode('azukari/welcome/1')
export const siteDomain = utf8.encode('azukari/site/1')

/** What a device says when it comes up; COSE_Sign1 by the device's key, kid = its thumbprint. */
export const Birth = Type.Object({
  site: Slug,
  device: Slug,
  /** +1 per birth; a lower one than the last is refused. */
  epoch: Count,
  /** COSE_Key: a fresh X25519 public key. */
  share: Bytes(32, 128),
  nonce: Id,
  at: TimeMs,
  model: Text(64),
  version: Text(32),
  roles: Type.Array(Text(16), { maxItems: 8 }),
})
export type Birth = Static<typeof Birth>

/** The gateway's answer to a birth; COSE_Sign1 by the gateway's key. */
export const Welcome = Type.Object({
  device: Slug,
  nonce: Id,
  epoch: Count,
  session: Bytes(8),
  share: Bytes(32, 128),
  at: TimeMs,
})
export type Welcome = Static<typeof Welcome>

/** What a site says of itself, retained; COSE_Sign1 by the gateway's key. A new `boot` makes every device greet again. */
export const Site = Type.Object({ site: Slug, boot: Id, key: Bytes(32, 600), at: TimeMs, version: Text(32) })
export type Site = Static<typeof Site>

export const checkBirth = checker(Birth, 'birth')
export const checkWelcome = checker(Welcome, 'welcome')
export const checkSite = checker(Site, 'site')

/** Signs one of the three greetings. */
export function signGreeting(
  body: Birth | Welcome | Site,
  signer: Signer & { sign(tbs: Uint8Array): Uint8Array },
  domain: Uint8Array,
): Uint8Array {
  return sign1(encodeDeterministic(body), signer, domain)
}

/** Opens a greeting. @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function openGreeting<T>(
  message: Uint8Array,
  keyFor: (kid: Uint8Array) => KeyObject | undefined,
  domain: Uint8Array,
  check: (body: unknown) => T,
): T {
  return check(decode(verify1(message, keyFor, domain).payload))
}

/** An act's place in its stream: exactly-once rests on (device, stream, seq). */
export interface ActKey {
  /** 16 bytes, made with the outbox. */
  stream: Uint8Array
  seq: number
}

/** What travels from a device: a call, or with `act` an act. */
export interface Request {
  /** `name@version` of the contract. */
  contract: string
  id: Uint8Array
  atMs: number
  /** After this nobody need answer; absent on acts, which never expire in the outbox. */
  expiresMs?: number
  act?: ActKey
  /** Trace context: 16 bytes trace id and 8 bytes span id. */
  trace?: Uint8Array
  /** The member's session token (`member-token.ts`), with calls whose authority is `member`. */
  token?: Uint8Array
  body: unknown
}

/** The answer to a request: a body or a problem. `want` asks for the acts of a stream from that number on. */
export interface Reply {
  id: Uint8Array
  body?: unknown
  problem?: ProblemWire
  want?: number
}

/** What a service tells a device; acknowledged with `event.ack`. */
export interface Event {
  contract: string
  id: Uint8Array
  atMs: number
  body: unknown
}

const WireRequest = Type.Object({
  c: Type.String({ maxLength: 64 }),
  i: Id,
  t: TimeMs,
  x: Type.Optional(TimeMs),
  s: Type.Optional(Id),
  n: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
  o: Type.Optional(Bytes(24)),
  m: Type.Optional(MemberToken),
  b: Type.Unknown(),
})
const WireReply = Type.Object({
  i: Id,
  b: Type.Optional(Type.Unknown()),
  p: Type.Optional(
    Type.Object({
      code: Type.String({ maxLength: 64 }),
      detail: Type.Optional(Type.String({ maxLength: 2000 })),
      retry: Type.String({ maxLength: 16 }),
      data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    }),
  ),
  w: Type.Optional(Count),
})
const WireEvent = Type.Object({ c: Type.String({ maxLength: 64 }), i: Id, t: TimeMs, b: Type.Unknown() })
const checkWireRequest = checker(WireRequest, 'request')
const checkWireReply = checker(WireReply, 'reply')
const checkWireEvent = checker(WireEvent, 'event')

export function encodeRequest(request: Request): Uint8Array {
  const wire: Record<string, unknown> = { c: request.contract, i: request.id, t: request.atMs, b: request.body }
  if (request.expiresMs !== undefined) wire['x'] = request.expiresMs
  if (request.act) {
    wire['s'] = request.act.stream
    wire['n'] = request.act.seq
  }
  if (request.trace) wire['o'] = request.trace
  if (request.token) wire['m'] = request.token
  return encode(wire)
}

export function decodeRequest(bytes: Uint8Array): Request {
  const wire = checkWireRequest(decode(bytes))
  const request: Request = { contract: wire.c, id: wire.i, atMs: wire.t, body: wire.b }
  if (wire.x !== undefined) request.expiresMs = wire.x
  if (wire.s !== undefined && wire.n !== undefined) request.act = { stream: wire.s, seq: wire.n }
  if (wire.o !== undefined) request.trace = wire.o
  if (wire.m !== undefined) request.token = wire.m
  return request
}

export function encodeReply(reply: Reply): Uint8Array {
  const wire: Record<string, unknown> = { i: reply.id }
  if (reply.problem) wire['p'] = reply.problem
  else wire['b'] = reply.body ?? {}
  if (reply.want !== undefined) wire['w'] = reply.want
  return encode(wire)
}

export function decodeReply(bytes: Uint8Array): Reply {
  const wire = checkWireReply(decode(bytes, { maxBytes: 1 << 20 }))
  const reply: Reply = { id: wire.i }
  if (wire.p) reply.problem = wire.p as ProblemWire
  else reply.body = wire.b
  if (wire.w !== undefined) reply.want = wire.w
  return reply
}

export function encodeEvent(event: Event): Uint8Array {
  return encode({ c: event.contract, i: event.id, t: event.atMs, b: event.body })
}

export function decodeEvent(bytes: Uint8Array): Event {
  const wire = checkWireEvent(decode(bytes, { maxBytes: 1 << 20 }))
  return { contract: wire.c, id: wire.i, atMs: wire.t, body: wire.b }
}

/**
 * One end of the sealed channel between a device and the gateway.
 *
 * Keys: HKDF-SHA-256 over the X25519 secret, salt = the birth's nonce, info = domain,
 * device, epoch, session and direction. Nonces: 4 zero bytes and an 8-byte counter per direction, so a key never repeats one.
 */
export class Channel {
  readonly session: Uint8Array
  readonly #sendKey: Uint8Array
  readonly #receiveKey: Uint8Array
  #sent = 0n

  private constructor(session: Uint8Array, sendKey: Uint8Array, receiveKey: Uint8Array) {
    this.session = session
    this.#sendKey = sendKey
    this.#receiveKey = receiveKey
  }

  /** @param end which end this is; @param own this end's private share; @param peer the other's public COSE_Key */
  static agree(
    end: 'device' | 'gateway',
    own: KeyObject,
    peer: Uint8Array,
    birth: Pick<Birth, 'device' | 'epoch' | 'nonce'>,
    session: Uint8Array,
  ): Channel {
    const secret = agree(own, parseCoseKey(peer))
    const derive = (direction: string) =>
      new Uint8Array(
        hkdfSync(
          'sha256',
          secret,
          birth.nonce,
          encodeDeterministic(['azukari/channel/1', birth.device, birth.epoch, session, direction]),
          32,
        ),
      )
    const up = derive('up')
    const down = derive('down')
    return end === 'device' ? new Channel(session, up, down) : new Channel(session, down, up)
  }

  /** Seals one message for a topic. */
  seal(plaintext: Uint8Array, topic: string): Uint8Array {
    const iv = new Uint8Array(12)
    new DataView(iv.buffer).setBigUint64(4, ++this.#sent)
    return encrypt0(plaintext, this.#sendKey, iv, utf8.encode(topic), { kid: this.session })
  }

  /** Opens one message that came on a topic. @throws {Problem} `session.unknown` when it is under another session's key */
  open(message: Uint8Array, topic: string): Uint8Array {
    return decrypt0(
      message,
      (kid) => {
        if (kid?.length !== 8 || !kid.every((byte, i) => byte === this.session[i])) throw new Problem('session.unknown')
        return this.#receiveKey
      },
      utf8.encode(topic),
    )
  }
}
