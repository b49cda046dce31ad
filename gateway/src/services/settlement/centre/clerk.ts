/** Clerks' commands beside the leading centre (P9): a process of its own commits, the centre's hands on, and it waits. */
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Database, FollowedDatabase } from '../../../storage/database.ts'
import { ledDatabase } from './led-database.ts'
import type { CentreLog } from './log.ts'

const limitMs = 15_000
const pollMs = 50

/** Every commit returns when the centre has written down that it is acknowledged. For commands only. */
export function clerkDatabase(database: FollowedDatabase, clock: Clock): Database {
  return ledDatabase(database, (log) => awaitAcknowledged(log, clock))
}

/** @throws {Problem} `centre.unconfirmed`: it is repeated later, and done once only */
async function awaitAcknowledged(log: CentreLog, clock: Clock): Promise<void> {
  const { n } = await log.tip()
  const endMs = clock.monotonicMs() + limitMs
  while (log.acknowledged < n) {
    if (clock.monotonicMs() > endMs || !log.leading) throw new Problem('centre.unconfirmed')
    await clock.sleep(pollMs)
  }
}
