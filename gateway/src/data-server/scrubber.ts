/** Walks over everything on the media under a byte budget, repairs what parity can, and signs what it found (S11). */
import { sameBytes } from '@azukari/protocol/bytes'
import type { DirectSigner } from '@azukari/protocol/cose'
import type { ReplicaRef } from '@azukari/protocol/manifest'
import { TreeHash } from '@azukari/protocol/merkle'
import type { Clock, Files } from '@azukari/protocol/ports'
import { type ScrubReport, signScrubReport } from '@azukari/protocol/scrub'
import type { Journals } from './journal.ts'
import { replicaName } from './layout.ts'
import { scanNotes } from './notes.ts'
import type { ReplicaReader } from './reader.ts'
import type { Held, ReplicaIndex } from './replica-index.ts'

/** How many replicas, and segments of each, one report names. */
const namedMax = 64
/** Repairs that wait to be reported. */
const repairsMax = 1024

export interface ScrubberOptions {
  server: string
  signer: DirectSigner
  clock: Clock
  files: Files
  index: ReplicaIndex
  journals: Journals
  /** Does work on a replica while nobody else changes it, with a reader that this closes itself. */
  take<T>(held: Held, work: (reader: ReplicaReader) => Promise<T>): Promise<T>
}

/** A replica half scanned when the budget ended. */
interface Place {
  held: Held
  stripe: number
  tree: TreeHash
  lost: number[]
}

export class Scrubber {
  readonly #options: ScrubberOptions
  /** Names left in this round, last first. */
  #names: string[] | undefined
  #place: Place | undefined
  #running: Promise<unknown> = Promise.resolve()
  readonly #repairs = new Map<string, { ref: ReplicaRef; parts: number; atMs: number }>()

  constructor(options: ScrubberOptions) {
    this.#options = options
  }

  /** One at a time; a second call goes on where the first ended. */
  scrub(maxBytes: number): Promise<Uint8Array> {
    const run = this.#running.then(() => this.#scrub(maxBytes))
    this.#running = run.catch(() => {})
    return run
  }

  /** Something was restored while reading: the next report says so. */
  noteRepair(ref: ReplicaRef, parts: number): void {
    const name = replicaName(ref)
    const before = this.#repairs.get(name)?.parts ?? 0
    if (before > 0 || this.#repairs.size < repairsMax)
      this.#repairs.set(name, { ref, parts: before + parts, atMs: this.#options.clock.now() })
  }

  #takeRepairs(): NonNullable<ScrubReport['repaired']> {
    const taken = [...this.#repairs].slice(0, namedMax)
    for (const [name] of taken) this.#repairs.delete(name)
    return taken.map(([, { ref, parts, atMs }]) => ({
      object: ref.object,
      version: ref.version,
      slot: ref.slot,
      parts,
      atMs,
    }))
  }

  async #scrub(maxBytes: number): Promise<Uint8Array> {
    const { server, clock, index, journals, signer } = this.#options
    const nowMs = clock.now()
    const report: ScrubReport = {
      server,
      fromMs: nowMs,
      toMs: nowMs,
      readBytes: 0,
      replicas: 0,
      repairedShards: 0,
      unrepairable: [],
      changed: [],
      complete: false,
    }
    this.#names ??= index.names().reverse()
    while (report.readBytes < maxBytes && report.unrepairable.length < namedMax && report.changed.length < namedMax) {
      const place = this.#place ?? this.#nextPlace()
      if (!place) {
        report.readBytes += await journals.scrub()
        this.#names = undefined
        report.complete = true
        break
      }
      this.#place = place
      // Removed or replaced meanwhile: nothing to scan any more.
      if (index.named(place.held.name) !== place.held || !place.held.disk.works) this.#place = undefined
      else if (await this.#options.take(place.held, (reader) => this.#scan(place, reader, report, maxBytes)))
        this.#place = undefined
    }
    report.toMs = clock.now()
    const repaired = this.#takeRepairs()
    if (repaired.length > 0) report.repaired = repaired
    return signScrubReport(report, signer)
  }

  #nextPlace(): Place | undefined {
    for (let name = this.#names?.pop(); name !== undefined; name = this.#names?.pop()) {
      const held = this.#options.index.named(name)
      if (held) return { held, stripe: 0, tree: new TreeHash(), lost: [] }
    }
    return undefined
  }

  /** @returns whether the replica is done */
  async #scan(place: Place, reader: ReplicaReader, report: ScrubReport, maxBytes: number): Promise<boolean> {
    const { object, version, slot } = place.held.ref
    const { known } = place.held
    try {
      if (!known) {
        report.unrepairable.push({ object, version, slot, segments: [] })
        return true
      }
      if (place.stripe === 0) {
        const preamble = await reader.preamble()
        const notes = await scanNotes(this.#options.files, place.held.folder)
        if (notes === false) reader.repaired++
        if (!preamble || notes === undefined) report.unrepairable.push({ object, version, slot, segments: [] })
      }
      while (place.stripe < known.shape.stripes) {
        if (report.readBytes + reader.readBytes >= maxBytes) return false
        const { hashes, lost } = await reader.stripe(place.stripe++, known.root)
        for (const hash of hashes) place.tree.addHash(hash)
        for (const segment of lost) if (place.lost.length < namedMax) place.lost.push(segment)
      }
      report.replicas++
      if (place.lost.length > 0) report.unrepairable.push({ object, version, slot, segments: place.lost })
      else if (!sameBytes(place.tree.root(), known.root)) report.changed.push({ object, version, slot })
      return true
    } finally {
      report.readBytes += reader.readBytes
      report.repairedShards += reader.repaired
      if (reader.repaired > 0) this.noteRepair(place.held.ref, reader.repaired)
      await reader.close()
    }
  }
}
