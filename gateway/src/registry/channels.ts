/** Births and the sealed channels that they make (ARCHITECTURE §4). Channels live in memory: a restart makes all anew. */
import { decode } from '@azukari/protocol/codec'
import { type DirectSigner, peek1 } from '@azukari/protocol/cose'
import {
  type Birth,
  birthDomain,
  Channel,
  checkBirth,
  openGreeting,
  signGreeting,
  welcomeDomain,
} from '@azukari/protocol/envelope'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { deviceTopic } from '@azukari/protocol/topics'
import type { Caller } from '../service/service.ts'
import type { CommitGroup } from '../storage/group.ts'
import type { Devices } from './devices.ts'

/** A device that has greeted. */
export interface Peer {
  readonly device: string
  readonly channel: Channel
  readonly epoch: number
  readonly caller: Caller
  readonly replyTopic: string
  /** The device has shown that it has this channel, or has had time to make it: events may come. */
  settled: boolean
}

export interface ChannelsOptions {
  site: string
  devices: Devices
  commits: CommitGroup
  signer: DirectSigner
  clock: Clock
  random: Random
  /** Channels held; beyond it the one that was made first goes and its device greets again. */
  limit?: number
}

export class Channels {
  readonly #options: Required<ChannelsOptions>
  readonly #peers = new Map<string, Peer>()

  constructor(options: ChannelsOptions) {
    this.#options = { limit: 50_000, ...options }
  }

  get size(): number {
    return this.#peers.size
  }

  get(device: string): Peer | undefined {
    return this.#peers.get(device)
  }

  devices(): IterableIterator<string> {
    return this.#peers.keys()
  }

  drop(device: string): void {
    this.#peers.delete(device)
  }

  /**
   * Answers a birth with a signed welcome and makes the channel. The epoch must rise, which is durable before the
   * welcome goes out: a birth that is replayed later makes nothing.
   * @throws {Problem} `device.unknown`, `device.revoked`, `cose.*`, `cbor.*`, `birth.stale` with the last epoch
   */
  async greet(device: string, message: Uint8Array): Promise<{ birth: Birth; welcome: Uint8Array; peer: Peer }> {
    const { site, devices, commits, signer, clock, random, limit } = this.#options
    const known = await devices.require(device)
    const birth = openGreeting(message, () => known.key, birthDomain, checkBirth)
    if (birth.device !== device || birth.site !== site)
      throw new Problem('cose.wrong-audience', 'a birth for another topic')
    const last =
      birth.epoch > known.epoch
        ? await commits.run((sql) => devices.bear(sql, device, birth.epoch, birth))
        : known.epoch
    if (last !== undefined)
      throw new Problem('birth.stale', `epoch ${birth.epoch}, the last was ${last}`, { data: { epoch: last } })
    const share = generateKey('x25519', random)
    const session = random.bytes(8)
    const channel = Channel.agree('gateway', share, birth.share, birth, session)
    const welcome = signGreeting(
      { device, nonce: birth.nonce, epoch: birth.epoch, session, share: coseKey(publicOf(share)), at: clock.now() },
      signer,
      welcomeDomain,
    )
    // Roles and region are read again here, so an enrolment anew counts from the next birth on.
    const now = await devices.require(device)
    const peer: Peer = {
      device,
      channel,
      epoch: birth.epoch,
      caller: { device, region: now.region, roles: now.roles },
      replyTopic: deviceTopic(site, device, 'reply'),
      settled: false,
    }
    this.#peers.delete(device)
    this.#peers.set(device, peer)
    if (this.#peers.size > limit) this.#peers.delete(this.#peers.keys().next().value!)
    return { birth, welcome, peer }
  }
}

/** The nonce of a birth, unproven: only to answer it. Undefined when it cannot be read. */
export function nonceOf(message: Uint8Array): Uint8Array | undefined {
  try {
    return checkBirth(decode(peek1(message).payload)).nonce
  } catch {
    return undefined
  }
}
