/** What the broker knows of one connection. */
import type { Duplex } from 'node:stream'
import type { Timer } from '@azukari/protocol/ports'
import type { Reservation } from '../budgets/pool.ts'
import type { Bucket } from '../budgets/rate.ts'
import type { Credentials, Standing } from './admission.ts'
import type { PacketCap } from './packet-cap.ts'

export interface Connection {
  readonly stream: Duplex
  /** As `addressKey` gives it. */
  readonly address: string
  readonly cap: PacketCap
  credentials?: Credentials
  standing?: Standing
  /** Client id and will are such as a device may have. */
  proper: boolean
  /** The device that it speaks for, or a reader's own name. */
  device: string
  /** When its token was made, by the device's clock. */
  issuedMs: number
  /** Messages that may come; there are none before it has said who it is. */
  messages?: Bucket | undefined
  /** Its place among its like, while it has one. */
  place?: Reservation
  readonly subscriptions: Map<string, Reservation>
  /** Bytes that waited for it when they were looked at last. */
  waiting?: Reservation | undefined
  /** Ends one that may not stay. */
  limit?: Timer
}
