/** What the content service asks of a data server about content (C2–C5, C7), in the same process or over HTTP/2: retries are the caller's. */
import type { RequestOf } from '@azukari/protocol/contract'
import type { deliverObject, HeldObject, keepObject } from '@azukari/protocol/contracts/delivery'

export interface ObjectServerPort {
  /** Keeps an object for its provider. @param blocks each of 64 KiB, the last shorter @throws {Problem} `server.refused`, `transfer.bad-root`, `storage.*`, `cose.*` */
  keep(request: RequestOf<typeof keepObject>, blocks: AsyncIterable<Uint8Array>): Promise<void>
  /** Blocks, on their way to a client. @throws {Problem} `object.unknown`, `transfer.bad-root`, `server.refused`, `cose.*` */
  read(grant: Uint8Array, from: number, count: number): AsyncIterable<Uint8Array>
  /**
   * Accepts a client's request: gets the object if it is missing, updates the list, records the charge. The same delivery
   * again gives the same record. @throws {Problem} `object.unavailable`, `storage.*`, `server.refused`, `cose.*`
   */
  deliver(request: RequestOf<typeof deliverObject>): Promise<Delivered>
  /** The second record of a delivery that failed. The same again gives the same record. @throws {Problem} `object.unknown` */
  reverse(order: Uint8Array): Promise<{ record: Uint8Array; seq: number }>
  /** Records from number `from` on, as many as fit in one answer. */
  records(from: number, count: number): Promise<Uint8Array[]>
  list(after: Uint8Array | undefined): Promise<HeldObject[]>
  drop(grant: Uint8Array): Promise<void>
}

export interface Delivered {
  record: Uint8Array
  seq: number
  /** Sources that had it not, or lied. */
  failed: FailedSource[]
}

export interface FailedSource {
  server: string
  why: 'absent' | 'lying'
}
