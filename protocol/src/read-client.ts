/** The device's end of reading a replica back (S10). `ReadClient` is pure; `openReading` drives it over any carrier. */
import type { KeyObject } from 'node:crypto'
import { sameBytes } from './bytes.ts'
import { decode, encode } from './codec.ts'
import { type Signer, sign1With, verify1 } from './cose.ts'
import { coseKey, generateKey, parseCoseKey, publicOf, thumbprint } from './keys.ts'
import { type Manifest, openManifest, peekManifest } from './manifest.ts'
import type { Random } from './ports.ts'
import { InternalError, Problem, type ProblemWire } from './problem.ts'
import {
  checkReadReply,
  checkWelcome,
  frameType,
  type Hello,
  openFrame,
  openSealed,
  problemOfFrame,
  type ReadAuth,
  type ReadReply,
  type ReadRequest,
  readAuthPayload,
  readDomain,
  type SessionKeys,
  sealedHeader,
  sealFrame,
  sessionKeys,
  transcriptOf,
  welcomeProofDomain,
  windowFrames,
} from './reading.ts'

/** Makes the card's signature; the key never leaves the card (S2). */
export type CardSigner = Signer

export interface ReadTarget {
  object: Uint8Array
  version?: number
  slot?: 1 | 2
  /** This device's id. */
  device: string
  /** Thumbprint of the data server's key, from the card's conditions. */
  serverKey: Uint8Array
}

export class ReadClient {
  readonly #target: ReadTarget
  readonly #own: KeyObject
  readonly #hello: Uint8Array
  #auth: ReadAuth | undefined
  #session: Uint8Array | undefined
  #keys: SessionKeys | undefined
  #counter = 0

  constructor(target: ReadTarget, random: Random) {
    this.#target = target
    this.#own = generateKey('x25519', random)
    const hello: Hello = {
      object: target.object,
      device: target.device,
      share: coseKey(publicOf(this.#own)),
      nonce: random.bytes(16),
    }
    if (target.version !== undefined) hello.version = target.version
    if (target.slot !== undefined) hello.slot = target.slot
    this.#hello = encode(hello)
  }

  /** The first frame. */
  hello(): Uint8Array {
    return openFrame(frameType.hello, this.#hello)
  }

  /** Takes the server's greeting. @throws {Problem} `server.impostor` when it cannot prove the key that the card knows */
  welcome(frame: Uint8Array): void {
    if (frame[0] === frameType.problem) throw problemOfFrame(frame)
    if (frame[0] !== frameType.welcome) throw new Problem('message.invalid', 'not a welcome')
    const welcome = checkWelcome(decode(frame.subarray(1)))
    const transcript = transcriptOf(this.#hello, welcome)
    const { serverKey, device, object } = this.#target
    try {
      const key = parseCoseKey(welcome.key)
      if (!sameBytes(thumbprint(key), serverKey))
        throw new Problem('server.impostor', 'another key than the card knows')
      const { payload } = verify1(welcome.proof, () => key, welcomeProofDomain)
      if (!sameBytes(payload, transcript)) throw new Problem('server.impostor', 'a proof for another exchange')
    } catch (cause) {
      if (cause instanceof InternalError) throw cause
      throw new Problem('server.impostor', 'the server does not prove its key', { cause })
    }
    this.#auth = { verifier: serverKey, challenge: welcome.challenge, transcript, device, object }
    this.#session = Uint8Array.from(welcome.session)
    this.#keys = sessionKeys(this.#own, welcome.share, transcript)
  }

  /** Asks the card to sign, and makes the frame that shows it to the server. */
  async authenticate(card: CardSigner): Promise<Uint8Array> {
    if (!this.#auth) throw new InternalError('the server has not been greeted yet')
    return this.request({ op: 'auth', proof: await sign1With(readAuthPayload(this.#auth), card, readDomain) })
  }

  /** Makes the next frame; may be sent again as it is when its answer does not come. */
  request(request: ReadRequest): Uint8Array {
    if (!this.#session || !this.#keys) throw new InternalError('the server has not been greeted yet')
    return sealFrame(this.#keys.up, { session: this.#session, counter: this.#counter++ }, request)
  }

  /** Opens the answer to a frame. @throws {Problem} what the server says is wrong; `message.invalid` when it answers another frame */
  reply(frame: Uint8Array, request: Uint8Array): ReadReply {
    if (!this.#keys) throw new InternalError('the server has not been greeted yet')
    if (frame[0] === frameType.problem) throw problemOfFrame(frame)
    if (sealedHeader(frame).counter !== sealedHeader(request).counter)
      throw new Problem('message.invalid', 'an answer to another frame')
    const reply = checkReadReply(openSealed(this.#keys.down, frame))
    if (reply.problem) throw Problem.fromWire(reply.problem as ProblemWire)
    return reply
  }
}

/** Brings one frame to the data server and its answer back; retries and limits are the carrier's. */
export type Carry = (frame: Uint8Array) => Promise<Uint8Array>

export interface Reading {
  /** The manifest as the server gave it; its signature is checked when `placementKey` was given. */
  manifest: Manifest
  signedManifest: Uint8Array
  /** Sealed segments in order, `windowFrames` under way at once. @throws {Problem} `replica.damaged`, carrier's problems */
  segments(from?: number, count?: number): AsyncGenerator<Uint8Array>
  close(): Promise<void>
}

/**
 * Greets a data server, proves the card and opens the replica for reading.
 * @param placementKey when known, the manifest must be signed by it; without it the card's own conditions decide
 * @throws {Problem} `server.impostor`, `card.rejected`, `replica.foreign`, `replica.missing`, carrier's problems
 */
export async function openReading(
  target: ReadTarget,
  { carry, card, random, placementKey }: { carry: Carry; card: CardSigner; random: Random; placementKey?: KeyObject },
): Promise<Reading> {
  const client = new ReadClient(target, random)
  client.welcome(await carry(client.hello()))
  const ask = async (frame: Uint8Array) => client.reply(await carry(frame), frame)
  const { manifest: signed } = await ask(await client.authenticate(card))
  if (!signed) throw new Problem('message.invalid', 'the server sent no manifest')
  const manifest = placementKey ? openManifest(signed, () => placementKey) : peekManifest(signed)
  return {
    manifest,
    signedManifest: signed,
    segments: (from = 0, count = manifest.segments - from) => readSegments(from, from + count),
    close: async () => {
      await ask(client.request({ op: 'close' }))
    },
  }

  async function* readSegments(from: number, end: number): AsyncGenerator<Uint8Array> {
    const underWay: Promise<ReadReply>[] = []
    try {
      let next = from
      for (let at = from; at < end; at++) {
        // A full segment fills an answer, so each frame asks for one.
        while (next < end && underWay.length < windowFrames) {
          const asked = ask(client.request({ op: 'read', from: next++, count: 1 }))
          asked.catch(() => {})
          underWay.push(asked)
        }
        const { segments } = await underWay.shift()!
        if (segments?.length !== 1) throw new Problem('message.invalid', 'the server sent another number of segments')
        yield segments[0]!
      }
    } finally {
      await Promise.allSettled(underWay)
    }
  }
}
