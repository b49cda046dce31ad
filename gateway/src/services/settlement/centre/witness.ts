/**
 * A witness (P9): keeps no money, only who may lead. It promises an epoch to one centre, records how that leadership
 * stands, and grants it a lease. All decisions are here, pure; what must last is written before the answer leaves.
 */

/** How a leadership stands: `alone` means that the other centre may lack what was acknowledged. */
export interface Standing {
  epoch: number
  /** Grows with every change within the epoch. */
  turn: number
  leader: string
  alone: boolean
}

/** What a witness must not forget. */
export interface Memory {
  promised: { epoch: number; centre: string } | undefined
  standing: Standing | undefined
}

/** Who leads undisturbed, until when on this witness's monotonic clock. */
export interface Lease {
  centre: string
  untilMs: number
}

export interface PromiseRequest {
  centre: string
  epoch: number
}

export interface PromiseReply {
  granted: boolean
  /** The newest epoch that is promised. */
  epoch: number
  standing?: Standing
}

export interface StandRequest {
  standing: Standing
  leaseMs: number
}

export interface StandReply {
  granted: boolean
  epoch: number
}

/** A lease is never longer. */
const leaseMostMs = 60_000

export const freshMemory: Memory = { promised: undefined, standing: undefined }

/** A candidate asks that nobody with an older epoch be recorded any more. Refused while another's lease runs. */
export function promise(
  memory: Memory,
  lease: Lease | undefined,
  { centre, epoch }: PromiseRequest,
  nowMs: number,
): { memory: Memory; reply: PromiseReply } {
  const { promised, standing } = memory
  const leased = lease !== undefined && lease.centre !== centre && nowMs < lease.untilMs
  const taken = promised && (epoch < promised.epoch || (epoch === promised.epoch && promised.centre !== centre))
  if (leased || taken) return { memory, reply: { granted: false, epoch: promised?.epoch ?? 0 } }
  return {
    memory: { promised: { epoch, centre }, standing },
    reply: { granted: true, epoch, ...(standing && { standing }) },
  }
}

/** A leader says how it stands, and leases its leadership on. Refused once a newer epoch is promised. */
export function stand(
  memory: Memory,
  lease: Lease | undefined,
  { standing, leaseMs }: StandRequest,
  nowMs: number,
): { memory: Memory; lease: Lease | undefined; reply: StandReply } {
  const { epoch, leader: centre, turn } = standing
  const { promised } = memory
  if (promised && (epoch < promised.epoch || (epoch === promised.epoch && promised.centre !== centre)))
    return { memory, lease, reply: { granted: false, epoch: promised.epoch } }
  const known = memory.standing
  const newer = !known || epoch > known.epoch || (epoch === known.epoch && turn > known.turn)
  const unchanged = !newer && promised?.epoch === epoch
  return {
    memory: unchanged ? memory : { promised: { epoch, centre }, standing: newer ? standing : known },
    lease: { centre, untilMs: nowMs + Math.min(leaseMs, leaseMostMs) },
    reply: { granted: true, epoch },
  }
}

/** After a restart nobody knows how long the lease still ran: it runs whole. */
export function leaseAfterRestart({ standing }: Memory, nowMs: number): Lease | undefined {
  return standing && { centre: standing.leader, untilMs: nowMs + leaseMostMs }
}

export function majorityOf(witnesses: number): number {
  return Math.floor(witnesses / 2) + 1
}

/**
 * Whether a centre has everything that was acknowledged, by the word of the witnesses that promised: it led last itself,
 * or the last leader said that both were in step. What a majority may have recorded counts against it; a first record
 * that perhaps no majority has counts for nothing.
 * @param heard standings of those that promised, a majority
 */
export function mayLead(centre: string, heard: readonly (Standing | undefined)[], witnesses: number): boolean {
  const majority = majorityOf(witnesses)
  const unheard = witnesses - heard.length
  const standings = heard.filter((one) => one !== undefined).sort((a, b) => b.epoch - a.epoch || b.turn - a.turn)
  for (const newest of standings) {
    const holders = standings.filter(({ epoch, turn }) => epoch === newest.epoch && turn >= newest.turn).length
    // Only one who leads comes to a second turn.
    const led = newest.turn > 1 || holders >= majority
    if (led && (newest.leader === centre || !newest.alone)) return true
    // A witness keeps one standing: under a later epoch's it may have held this one, as one that was not heard may.
    const covered = standings.filter(({ epoch }) => epoch > newest.epoch).length
    if (newest.leader !== centre && newest.alone && holders + covered + unheard >= majority) return false
  }
  return true
}
