/**
 * The data server's end of reading a replica back (S10): authenticates the card by the owner's key in the replica's
 * manifest, without placement. Sessions are bounded in number, idle time and frames; whoever fails is hung up on.
 */
import type { KeyObject } from 'node:crypto'
import { sameBytes } from './bytes.ts'
import { decode, encode } from './codec.ts'
import { type DirectSigner, peek1, sign1, verify1 } from './cose.ts'
import { coseKey, generateKey, parseCoseKey, publicOf, thumbprint } from './keys.ts'
import type { Manifest } from './manifest.ts'
import type { Clock, Random } from './ports.ts'
import { InternalError, isProblem, Problem } from './problem.ts'
import {
  checkHello,
  checkReadRequest,
  frameType,
  type Hello,
  openFrame,
  openSealed,
  problemFrame,
  type ReadAuth,
  type ReadReply,
  type ReadRequest,
  readAuthPayload,
  readDomain,
  requestFrameMaxBytes,
  type SessionKeys,
  sealedHeader,
  sealFrame,
  segmentsPerReplyMaxBytes,
  sessionKeys,
  transcriptOf,
  welcomeProofDomain,
  windowFrames,
} from './reading.ts'

/** A replica that can be read. */
export interface HeldReplica {
  manifest: Manifest
  /** COSE_Sign1 of the manifest. */
  signed: Uint8Array
  /** Sealed segments `from` … `from + count − 1`. @throws {Problem} `replica.damaged` */
  read(from: number, count: number): Promise<Uint8Array[]>
}

export interface ReplicaLookup {
  /** The named version, or the newest; the named slot, or whichever is here. */
  find(object: Uint8Array, version: number | undefined, slot: 1 | 2 | undefined): Promise<HeldReplica | undefined>
}

export interface ReadLimits {
  sessionsMax: number
  /** A session without frames for so long is forgotten. */
  idleMs: number
  /** From greeting to the card's proof. */
  authenticateMs: number
  /** Frames per session: 64 GiB of replica. */
  framesMax: number
}

const defaultLimits: ReadLimits = { sessionsMax: 256, idleMs: 60_000, authenticateMs: 30_000, framesMax: 1 << 20 }

interface Session {
  id: Uint8Array
  hello: Hello
  auth: ReadAuth
  keys: SessionKeys
  replica: HeldReplica | undefined
  openedMs: number
  usedMs: number
  frames: number
  highest: number
  /** Answers by counter: a frame sent again gets the same bytes, so no nonce is ever used for two of them. */
  answers: Map<number, Promise<Uint8Array>>
}

export interface ReadServerOptions {
  /** The data server's identity key. */
  identity: KeyObject
  signer: DirectSigner
  clock: Clock
  random: Random
  lookup: ReplicaLookup
  limits?: Partial<ReadLimits>
}

export class ReadServer {
  readonly #options: ReadServerOptions
  readonly #limits: ReadLimits
  readonly #publicKey: Uint8Array
  readonly #thumbprint: Uint8Array
  readonly #sessions = new Map<string, Session>()

  constructor(options: ReadServerOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#publicKey = coseKey(publicOf(options.identity))
    this.#thumbprint = thumbprint(options.identity)
  }

  get sessions(): number {
    return this.#sessions.size
  }

  /** Answers one frame; what goes wrong is in the answer. */
  async handle(frame: Uint8Array): Promise<Uint8Array> {
    try {
      if (frame.length > requestFrameMaxBytes) throw new Problem('message.too-large')
      this.#forgetIdle()
      if (frame[0] === frameType.hello) return this.#greet(frame.slice(1))
      return await this.#sealed(frame)
    } catch (error) {
      if (error instanceof InternalError) throw error
      return problemFrame(isProblem(error) ? error : new Problem('internal'))
    }
  }

  #greet(body: Uint8Array): Uint8Array {
    const { clock, random, signer } = this.#options
    const hello = checkHello(decode(body))
    if (this.#sessions.size >= this.#limits.sessionsMax) this.#dropUnproven()
    const own = generateKey('x25519', random)
    const greeting = {
      session: random.bytes(16),
      share: coseKey(publicOf(own)),
      challenge: random.bytes(32),
      key: this.#publicKey,
    }
    const transcript = transcriptOf(body, greeting)
    const keys = sessionKeys(own, hello.share, transcript)
    const nowMs = clock.monotonicMs()
    const object = Uint8Array.from(hello.object)
    this.#sessions.set(keyOf(greeting.session), {
      id: greeting.session,
      hello: { ...hello, object },
      auth: { verifier: this.#thumbprint, challenge: greeting.challenge, transcript, device: hello.device, object },
      keys,
      replica: undefined,
      openedMs: nowMs,
      usedMs: nowMs,
      frames: 0,
      highest: -1,
      answers: new Map(),
    })
    return openFrame(frameType.welcome, encode({ ...greeting, proof: sign1(transcript, signer, welcomeProofDomain) }))
  }

  async #sealed(frame: Uint8Array): Promise<Uint8Array> {
    const { session: id, counter } = sealedHeader(frame)
    const session = this.#sessions.get(keyOf(id))
    if (!session) throw new Problem('session.unknown')
    // Authentic before anything is believed: a forged frame changes nothing.
    const request = checkReadRequest(openSealed(session.keys.up, frame))
    const known = session.answers.get(counter)
    if (known) return known
    if (counter <= session.highest - windowFrames || counter > session.highest + windowFrames)
      throw new Problem('session.unknown', 'a frame from outside the window')
    if (++session.frames > this.#limits.framesMax) {
      this.#sessions.delete(keyOf(id))
      throw new Problem('session.expired', 'too many frames')
    }
    session.usedMs = this.#options.clock.monotonicMs()
    session.highest = Math.max(session.highest, counter)
    for (const old of session.answers.keys()) if (old <= session.highest - windowFrames) session.answers.delete(old)
    const answer = this.#answer(session, request).then((reply) =>
      sealFrame(session.keys.down, { session: session.id, counter }, reply),
    )
    session.answers.set(counter, answer)
    return answer
  }

  async #answer(session: Session, request: ReadRequest): Promise<ReadReply> {
    try {
      if (request.op === 'auth') return await this.#authenticate(session, request.proof)
      const { replica } = session
      if (!replica) throw new Problem('card.rejected', 'the card has not proven itself')
      if (request.op === 'manifest') return { manifest: replica.signed }
      if (request.op === 'read') return await readSegments(replica, request.from, request.count)
      this.#sessions.delete(keyOf(session.id))
      return {}
    } catch (error) {
      if (error instanceof InternalError) throw error
      const problem = isProblem(error) ? error : new Problem('internal')
      // A failed authentication closes the line (S10).
      if (!session.replica) this.#sessions.delete(keyOf(session.id))
      const { code, retry, data } = problem.toWire()
      return { problem: data ? { code, retry, data } : { code, retry } }
    }
  }

  async #authenticate(session: Session, proof: Uint8Array): Promise<ReadReply> {
    if (session.replica) throw new Problem('act.replayed', 'the card has already proven itself')
    const { object, version, slot } = session.hello
    const replica = await this.#options.lookup.find(object, version, slot)
    if (!replica) throw new Problem('replica.missing')
    const owner = parseCoseKey(replica.manifest.owner.key)
    const { kid } = peek1(proof)
    if (!sameBytes(kid, thumbprint(owner))) throw new Problem('replica.foreign', 'another card’s key')
    let payload: Uint8Array
    try {
      ;({ payload } = verify1(proof, () => owner, readDomain))
    } catch (cause) {
      throw new Problem('card.rejected', 'the signature does not hold', { cause })
    }
    if (!sameBytes(payload, readAuthPayload(session.auth)))
      throw new Problem('card.rejected', 'signed for something else')
    session.replica = replica
    return { manifest: replica.signed }
  }

  #forgetIdle(): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const [key, session] of this.#sessions) {
      const limitMs = session.replica ? this.#limits.idleMs : this.#limits.authenticateMs
      const sinceMs = session.replica ? session.usedMs : session.openedMs
      if (nowMs - sinceMs > limitMs) this.#sessions.delete(key)
    }
  }

  /** Makes room by the oldest session whose card has not proven itself: greetings alone cannot keep members out. */
  #dropUnproven(): void {
    for (const [key, session] of this.#sessions) {
      if (session.replica) continue
      this.#sessions.delete(key)
      return
    }
    throw new Problem('service.busy', 'too many readers')
  }
}

async function readSegments({ manifest, read }: HeldReplica, from: number, count: number): Promise<ReadReply> {
  if (from >= manifest.segments) throw new Problem('message.invalid', 'past the last segment')
  // As many as fit into one answer; the first always does.
  const fit = Math.max(1, Math.floor(segmentsPerReplyMaxBytes / Math.min(manifest.sealedBytes, 65_552)))
  return { from, segments: await read(from, Math.min(count, fit, manifest.segments - from)) }
}

function keyOf(session: Uint8Array): string {
  return Buffer.from(session.buffer, session.byteOffset, session.length).toString('hex')
}
