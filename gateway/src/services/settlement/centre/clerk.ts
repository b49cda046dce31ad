/** Clerks' commands beside the leading centre (P9): a process of its own commits, the centre's hands on, and it waits. */
import { Problem } from '@azukari/protocol/problem'
import type { Database, FollowedDatabase } from '../../../storage/database.ts'
import { ledDatabase } from './led-database.ts'
import type { CentreLog } from './log.ts'

const limitMs = 15_000
const pollMs = 50
const pause = new Int32Array(new SharedArrayBuffer(4))

/** Every commit returns when the centre has written down that it is acknowledged. Blocks: for commands only. */
export function clerkDatabase(database: FollowedDatabase): Database {
  return ledDatabase(database, awaitAcknowledged)
}

/** @throws {Problem} `centre.unconfirmed`: it is repeated later, and done once only */
function awaitAcknowledged(log: CentreLog): void {
  const { n } = log.tip()
  const endMs = performance.now() + limitMs
  while (log.acknowledged < n) {
    if (performance.now() > endMs || !log.leading) throw new Problem('centre.unconfirmed')
    Atomics.wait(pause, 0, 0, pollMs)
  }
}
