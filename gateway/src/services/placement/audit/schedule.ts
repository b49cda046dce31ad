/**
 * What is audited next (S11). Pure: ages, suspicion and budget in, looks out. Three tiers: the server's own scan and its
 * listing held against placement's records; random leaves; whole objects opened. Suspects go first, then whatever is
 * furthest beyond its share of its maximum age.
 */

export interface AuditLimits {
  /** Bytes that looks may bring over the line, per second. */
  bytesPerSecond: number
  /** Looks under way at once. */
  atOnce: number
  /** Every replica is listed and its manifest held against the record within this, ms. */
  listedAgeMs: number
  /** Every server has had a round of random leaves within this, ms. */
  leavesAgeMs: number
  /** Every medium has been scanned within this, ms. */
  scannedAgeMs: number
  /** Every object has been opened and compared within this, ms. */
  openedAgeMs: number
  /** Bytes of one call to scan. */
  scanBytes: number
  /** The share of bad leaves that a round finds, and how surely. */
  share: number
  certainty: number
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs

export const defaultAuditLimits: AuditLimits = {
  bytesPerSecond: 8 * 1024 * 1024,
  atOnce: 2,
  listedAgeMs: dayMs,
  leavesAgeMs: dayMs,
  scannedAgeMs: 14 * dayMs,
  openedAgeMs: 90 * dayMs,
  scanBytes: 16 * 1024 * 1024,
  share: 0.01,
  certainty: 0.99,
}

/** How far the rounds over one server are; times in ms since the epoch. */
export interface ServerAudit {
  server: string
  /** It takes no part: lost, away or contained. */
  closed: boolean
  /** Ends of the last whole rounds, and whether one is under way. */
  listedMs: number
  listing: boolean
  leavesMs: number
  leavesLeft: number
  scannedMs: number
  scanning: boolean
  /** 0: none; each verdict adds one, each clean round halves it. */
  suspicion: number
  /** A look at it is under way, or it is left alone for a while. */
  busy: boolean
}

export interface AuditState {
  nowMs: number
  servers: readonly ServerAudit[]
  /** Replicas to be examined, due now, oldest first. */
  suspects: readonly { name: string; bytes: number }[]
  /** Objects that were not opened for longest, first. */
  oldest: readonly { name: string; openedMs: number; bytes: number }[]
  /** Left of the budget now; below 0 it is owed. */
  budgetBytes: number
  /** Looks that may begin. */
  room: number
}

export type Probe =
  | { do: 'examine'; suspect: number; bytes: number }
  | { do: 'list' | 'leaves' | 'scan'; server: string; bytes: number }
  | { do: 'open'; oldest: number; bytes: number }

/** Objects are opened from this share of their maximum age on, so that a day on which many came does not come back at once. */
const openFrom = 0.5
/** What one look costs over the line, about. */
const listBytes = 32 * 8_192
const leavesBytes = 8 * 65_536
/** A suspect server is looked at so many times as often, at most. */
const maxHurry = 8

/** The looks to begin now, in order. */
export function nextProbes(state: AuditState, limits: AuditLimits): Probe[] {
  const { nowMs } = state
  const waiting: { look: Probe; urgency: number }[] = []
  for (const [suspect, { bytes }] of state.suspects.entries())
    waiting.push({ look: { do: 'examine', suspect, bytes }, urgency: Number.MAX_VALUE })
  for (const audits of state.servers) {
    if (audits.closed || audits.busy) continue
    const hurry = Math.min(maxHurry, 1 + audits.suspicion)
    const share = (sinceMs: number, ageMs: number) => ((nowMs - sinceMs) * hurry) / ageMs
    const { server } = audits
    const listed = audits.listing
      ? Math.max(1, share(audits.listedMs, limits.listedAgeMs))
      : share(audits.listedMs, limits.listedAgeMs)
    const leaves =
      audits.leavesLeft > 0
        ? Math.max(1, share(audits.leavesMs, limits.leavesAgeMs))
        : share(audits.leavesMs, limits.leavesAgeMs)
    const scanned = audits.scanning
      ? Math.max(1, share(audits.scannedMs, limits.scannedAgeMs))
      : share(audits.scannedMs, limits.scannedAgeMs)
    if (listed >= 1) waiting.push({ look: { do: 'list', server, bytes: listBytes }, urgency: listed })
    if (leaves >= 1) waiting.push({ look: { do: 'leaves', server, bytes: leavesBytes }, urgency: leaves })
    // It reads at the server and brings a report only.
    if (scanned >= 1) waiting.push({ look: { do: 'scan', server, bytes: 0 }, urgency: scanned })
  }
  for (const [oldest, { openedMs, bytes }] of state.oldest.entries()) {
    const share = (nowMs - openedMs) / limits.openedAgeMs
    if (share >= openFrom) waiting.push({ look: { do: 'open', oldest, bytes }, urgency: share })
  }
  waiting.sort((a, b) => b.urgency - a.urgency)
  const begun: Probe[] = []
  const taken = new Set<string>()
  let budget = state.budgetBytes
  for (const { look } of waiting) {
    if (begun.length >= state.room) break
    // What costs nothing goes on; the rest waits until the debt is paid.
    if (look.bytes > 0 && budget <= 0) continue
    if ('server' in look) {
      if (taken.has(look.server)) continue
      taken.add(look.server)
    }
    budget -= look.bytes
    begun.push(look)
  }
  return begun
}
