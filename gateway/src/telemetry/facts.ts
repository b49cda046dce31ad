/**
 * What the gateway tells others of a site and its boards (D6): technical facts only. No member, no object, no name of a
 * person is among them.
 */
import type { Measure } from '@azukari/protocol/contracts/internal'

/** Parts of which a board can say that something is wrong with them. */
const watchedParts = ['camera', 'printer', 'reader'] as const
export type WatchedPart = (typeof watchedParts)[number]

/** States that are no fault; whatever else a board reports of a part is. */
const soundStates: ReadonlySet<string> = new Set(['attached', 'present', 'unknown', 'ready', 'ok', 'idle', 'busy'])
/** States that say that somebody must put paper in. */
const paperStates: ReadonlySet<string> = new Set(['out-of-media', 'out-of-paper', 'printer.out-of-paper'])

export interface ReportedPart {
  part: string
  state: string
}

export interface DeviceFacts {
  id: string
  model: string
  version: string
  roles: readonly string[]
  region: string
  online: boolean
  /** When both replicas of the last save from this device stood, ms since the epoch. */
  lastSaveMs?: number
  /** The last report of this device since the gateway started. */
  report?: { atMs: number; parts: readonly ReportedPart[]; outboxRows: number; outboxBytes: number }
}

export interface SiteFacts {
  site: string
  version: string
  atMs: number
  uptimeMs: number
  memoryBytes: number
  devicesKnown: number
  devicesUp: number
  requestsUnderWay: number
  buffer: { bytes: number; transfers: number; full: boolean }
  /** What services say; nothing of one that runs in a process of its own and does not answer. */
  measures: readonly Measure[]
}

export interface FleetFacts {
  site: SiteFacts
  devices: readonly DeviceFacts[]
  /** Devices that were shut out: what was published of them is taken back. */
  revoked: readonly string[]
}

/** Whether a part is at fault; undefined while the device has not said. */
export function faultOf({ report }: DeviceFacts, part: WatchedPart): boolean | undefined {
  const said = report?.parts.filter((one) => one.part === part)
  return said && said.length > 0 ? said.some((one) => !soundStates.has(one.state)) : undefined
}

/** Whether a printer waits for paper; undefined while the device has not said. */
export function outOfPaper({ report }: DeviceFacts): boolean | undefined {
  const said = report?.parts.filter((one) => one.part === 'printer')
  return said && said.length > 0 ? said.some((one) => paperStates.has(one.state)) : undefined
}

/** Parts that a device of these roles, or with this report, has. */
export function partsOf({ roles, report }: DeviceFacts): WatchedPart[] {
  return watchedParts.filter(
    (part) => part === 'reader' || roles.includes(part) || report?.parts.some((one) => one.part === part),
  )
}
