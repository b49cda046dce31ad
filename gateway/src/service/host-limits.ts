/** How much a service's host takes on, and what it counts. */

export interface HostLimits {
  /** Acts that may wait; beyond it new ones are answered `service.busy`, beyond one device's `quota.exceeded`. */
  queuedActs: number
  deviceQueuedActs: number
  /** Acts in one commit. */
  actsPerCommit: number
  /** Calls under way at once; beyond it `service.busy`, beyond one device's `quota.exceeded`. */
  calls: number
  deviceCalls: number
  /** Acts that may wait for one other service; beyond it `send` throws `service.busy`. */
  outboxRows: number
}

export const hostLimits: HostLimits = {
  queuedActs: 4_096,
  deviceQueuedActs: 1_024,
  actsPerCommit: 512,
  calls: 512,
  deviceCalls: 128,
  outboxRows: 10_000,
}

export interface HostCounts {
  acts: number
  refused: number
  duplicates: number
  commits: number
  failedCommits: number
  calls: number
  /** Answers with a problem that their contract does not list. */
  unlisted: number
}
