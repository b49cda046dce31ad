import type { Random } from '@azukari/protocol/ports'

/** Waiting before try `failures` + 1: doubles from 0.5 s to 60 s, with full jitter above half, so that a fleet spreads. */
export function backoffMs(failures: number, random: Random, firstMs = 500, mostMs = 60_000): number {
  const full = Math.min(mostMs, firstMs * 2 ** Math.min(16, failures - 1))
  return full / 2 + (full / 2) * random.float()
}
