/** Releases as downloads (D6): each device gets an offer of its own; the content is hashed once and read where it lies. */
import { hex } from '@azukari/protocol/bytes'
import type { Offer } from '@azukari/protocol/contracts/download'
import { ContentBlocks, type ContentHashes, hashContent, offerOf, type ReadContent } from '@azukari/protocol/download'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { type BundlePart, bundleParts } from '@azukari/protocol/upgrade/bundle-stream'
import { upgradeManifestMaxBytes } from '@azukari/protocol/upgrade/manifest'
import type { Downloads } from '../service/service.ts'
import type { Releases } from './releases.ts'

export interface ReleaseDownloadsOptions {
  releases: Pick<Releases, 'piece'>
  clock: Clock
  random: Random
  log: Log
}

interface Opened {
  hashes: ContentHashes
  blocks: ContentBlocks
}

/** Contents whose hashes are held, and devices whose offers are. */
const openAtMost = 8
const offersAtMost = 20_000
/** A device that is away for longer asks again. */
const lifeMs = 86_400_000

export class ReleaseDownloads implements Downloads {
  readonly #o: ReleaseDownloadsOptions
  readonly #open = new Map<string, Promise<Opened>>()
  /** What each device was offered last. */
  readonly #offers = new Map<string, { offer: Offer; release: Uint8Array }>()

  constructor(options: ReleaseDownloadsOptions) {
    this.#o = options
  }

  /** @throws {Problem} `object.unknown`, `upgrade.truncated`, `upgrade.damaged` */
  async offer(device: string, release: Uint8Array): Promise<Offer> {
    const { hashes } = await this.#opened(release)
    const { random, clock } = this.#o
    const offer = offerOf(hashes, {
      transfer: random.bytes(16),
      from: 'gateway',
      kind: 'release',
      name: hex(release),
      mediaType: 'application/octet-stream',
      key: random.bytes(32),
      expiresMs: clock.now() + lifeMs,
    })
    this.#offers.delete(device)
    this.#offers.set(device, { offer, release })
    if (this.#offers.size > offersAtMost) this.#offers.delete(this.#offers.keys().next().value!)
    return offer
  }

  async read(device: string, transfer: Uint8Array, from: number, count: number): Promise<Uint8Array[]> {
    const offered = this.#offers.get(device)
    if (!offered || Buffer.compare(offered.offer.transfer, transfer) !== 0) throw new Problem('transfer.unknown')
    if (offered.offer.expiresMs <= this.#o.clock.now()) throw new Problem('transfer.expired')
    const { blocks } = await this.#opened(offered.release)
    const read: Uint8Array[] = []
    for (let index = from; index < Math.min(blocks.count, from + count); index++)
      read.push(await blocks.sealed(offered.offer, index))
    return read
  }

  async ended(device: string, transfer: Uint8Array, problem: string | undefined): Promise<void> {
    const offered = this.#offers.get(device)
    if (!offered || Buffer.compare(offered.offer.transfer, transfer) !== 0) return
    this.#offers.delete(device)
    if (problem !== undefined) this.#o.log.warn('a device does not take a release', { device, problem })
  }

  #opened(release: Uint8Array): Promise<Opened> {
    const name = hex(release)
    let opened = this.#open.get(name)
    if (!opened) {
      opened = this.#hash(release)
      this.#open.set(name, opened)
      opened.catch(() => this.#open.delete(name))
      if (this.#open.size > openAtMost) this.#open.delete(this.#open.keys().next().value!)
    }
    return opened
  }

  async #hash(release: Uint8Array): Promise<Opened> {
    const signed = await this.#o.releases.piece(release, undefined, 0, upgradeManifestMaxBytes)
    const { head, parts, sizeBytes } = bundleParts(signed)
    const read: ReadContent = async (at, length) => {
      const block = new Uint8Array(length)
      block.set(head.subarray(at, at + length))
      for (let i = firstAt(parts, at); i < parts.length && parts[i]!.at < at + length; i++) {
        const part = parts[i]!
        const begin = Math.max(at, part.at)
        const wanted = Math.min(at + length, part.at + part.bytes) - begin
        if (wanted <= 0) continue
        const bytes = await this.#o.releases.piece(release, part.path, begin - part.at, wanted)
        if (bytes.length < wanted) throw new Problem('upgrade.truncated', part.path ?? 'the manifest')
        block.set(bytes, begin - at)
      }
      return block
    }
    const hashes = await hashContent(sizeBytes, read)
    return { hashes, blocks: new ContentBlocks(hashes, read) }
  }
}

/** The first part that reaches beyond this place. */
function firstAt(parts: readonly BundlePart[], at: number): number {
  let low = 0
  let high = parts.length
  while (low < high) {
    const middle = (low + high) >> 1
    const { at: begin, bytes } = parts[middle]!
    if (begin + bytes <= at) low = middle + 1
    else high = middle
  }
  return low
}
