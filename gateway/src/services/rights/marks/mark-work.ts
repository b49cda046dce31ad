/** What is done to pictures away from the service's event loop: marking, reading, tracing (ARCHITECTURE §11). */
import type { Fingerprint } from '@azukari/protocol/marks/fingerprint'
import type { Case, MarkedFile, Sale, tracePicture } from './mark-picture.ts'

export interface MarkOrder {
  bytes: Uint8Array
  work: bigint
  sale?: Sale | undefined
  /** It is known to carry no mark: none is looked for. */
  isUnmarked?: boolean
}

export type TracedPicture = Awaited<ReturnType<typeof tracePicture>>

/** Each throws what the function of the same name in `mark-picture.ts` throws, and `service.busy` when too much waits. */
export interface MarkWork {
  mark(order: MarkOrder): Promise<MarkedFile>
  read(bytes: Uint8Array): Promise<bigint | undefined>
  fingerprint(bytes: Uint8Array): Promise<Fingerprint>
  trace(of: Case): Promise<TracedPicture>
  /** What still waits is refused with `service.unavailable`. */
  close(): Promise<void>
}
