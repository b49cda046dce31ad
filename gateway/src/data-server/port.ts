/** What placement and the gateway ask of a data server, in the same process or over HTTP/2: retries are the caller's. */
import type { ReplicaRef } from '@azukari/protocol/manifest'

export interface HeldSummary {
  ref: ReplicaRef
  epoch: number
  root: Uint8Array
  sealedBytes: number
  /** With `full`. Absent when rotten beyond repair. */
  manifest?: Uint8Array
  notes?: Uint8Array
}

export interface DiskStatus {
  disk: number
  capacityBytes: number
  usedBytes: number
  reservedBytes: number
  replicas: number
  /** Why it is out of use. */
  failed?: string
}

export interface ServerStatus {
  server: string
  usedBytes: number
  freeBytes: number
  replicas: number
  puts: number
  readers: number
  disks: DiskStatus[]
}

export interface AuditLeaf {
  index: number
  /** Computed from the medium now, not looked up. */
  leafHash: Uint8Array
  proof: Uint8Array[]
  segment?: Uint8Array
  /** Parts that parity had to restore to answer. */
  repaired?: number
}

/** `signal` ends a call early; over HTTP/2 every wait has a limit besides. */
export interface DataServerPort {
  /** COSE_Sign1; open it with `openIdentification`. */
  identify(nonce: Uint8Array, verifier: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>
  /**
   * The signed receipt: all of it is durable. The same replica again gives the same receipt, without being sent again.
   * @param manifest COSE_Sign1; space is reserved for all of what it announces
   * @param notes wrapped keys, kept beside the replica; opaque
   * @param segments sealed segments: each 65,552 bytes, the last shorter; after an announcement (`rootToFollow`) the
   * manifest with the root comes last, so that a replica can be sealed while it is sent. What is announced and already
   * held is refused with `replica.conflict`, since nobody can tell yet whether it is the same
   * @throws {Problem} `replica.conflict`, `replica.superseded`, `storage.full`, `transfer.bad-root`, `server.refused`, `cose.*`
   */
  put(
    manifest: Uint8Array,
    notes: Uint8Array,
    segments: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<Uint8Array>
  /** Sealed segments, checked and if need be repaired. @throws {Problem} `replica.missing`, `replica.damaged` */
  readSegments(ref: ReplicaRef, from: number, count: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** One frame of the read exchange (S10), opaque to whoever carries it. */
  frame(frame: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>
  manifest(ref: ReplicaRef, signal?: AbortSignal): Promise<Uint8Array>
  /** Puts a newer manifest (higher epoch, same root) in the place of the old one: new owner key, new placement. Signed receipt. */
  replaceManifest(manifest: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>
  /** Replaces segments that parity could not restore; the stripe must then agree with the root. */
  restoreSegments(ref: ReplicaRef, from: number, segments: readonly Uint8Array[], signal?: AbortSignal): Promise<void>
  readNotes(ref: ReplicaRef, signal?: AbortSignal): Promise<Uint8Array>
  writeNotes(ref: ReplicaRef, notes: Uint8Array, signal?: AbortSignal): Promise<void>
  /** @param order COSE_Sign1 by placement (`signRemoval`). @returns the signed receipt */
  remove(order: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>
  /** Replicas in order of name, after the given one. */
  list(after: ReplicaRef | undefined, limit: number, full: boolean, signal?: AbortSignal): Promise<HeldSummary[]>
  status(signal?: AbortSignal): Promise<ServerStatus>
  /** Scans on from where the last scan ended. @returns the signed report; open it with `openScrubReport` */
  scrub(maxBytes: number, signal?: AbortSignal): Promise<Uint8Array>
  /** Chosen leaves with proofs, and the segments themselves with `bytes`. */
  challenge(ref: ReplicaRef, indexes: readonly number[], bytes: boolean, signal?: AbortSignal): Promise<AuditLeaf[]>
  /** What is recorded of leaves whose bytes are lost, with proofs. */
  proofs(ref: ReplicaRef, indexes: readonly number[], signal?: AbortSignal): Promise<Omit<AuditLeaf, 'segment'>[]>
  /** Reads one replica from end to end. @returns the signed finding; open it with `openExamination` */
  examine(ref: ReplicaRef, nonce: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>
  /** Durable when it resolves; the same entries at the same place again are no error. @returns the next free number */
  journalAppend(
    stream: Uint8Array,
    seq: number,
    entries: Uint8Array | readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<number>
  journalRead(
    stream: Uint8Array,
    from: number,
    count: number,
    signal?: AbortSignal,
  ): Promise<{ next: number; entries: Uint8Array[] }>
}
