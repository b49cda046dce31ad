/** When which device's part of a job begins, is tried again, or is given up, and when the whole job is (D6). Pure. */
import { Problem } from '@azukari/protocol/problem'

export interface JobPlan {
  state: 'running' | 'done' | 'aborted' | 'cancelled'
  /** Devices that may begin within a minute. */
  perMinute: number
  /** The job is given up when at least `abortAfter` devices failed and they are `abortPercent` of those that ended. */
  abortPercent: number
  abortAfter: number
  /** How long a device has, ms. */
  timeoutMs: number
  /** How often a device's part is begun again after it failed in a way that may pass. */
  retries: number
}

export interface Part {
  device: string
  state: 'queued' | 'running' | 'done' | 'failed' | 'skipped'
  /** How often it was begun. */
  attempt: number
  startedMs: number
  untilMs: number
  code: string | null
  detail: string | null
}

/** Within which starts are counted, and before which a part that failed is not begun again, ms. */
const minuteMs = 60_000

/**
 * What is to change now. Only devices that are connected are begun with: one that is away does not use up its time.
 * @param up whether a device is connected and has no other job under way
 */
export function planJob(
  job: JobPlan,
  parts: readonly Part[],
  up: (device: string) => boolean,
  nowMs: number,
): { state: JobPlan['state']; changed: Part[] } {
  const changed = new Map<string, Part>()
  const now = (part: Part) => changed.get(part.device) ?? part
  for (const part of parts)
    if (part.state === 'running' && part.untilMs <= nowMs)
      changed.set(part.device, endPart(job, part, { done: false, code: 'job.timeout' }))
  const count = (state: Part['state']) => parts.filter((part) => now(part).state === state).length
  const failed = count('failed')
  let { state } = job
  if (state === 'running' && failed >= job.abortAfter && failed * 100 >= job.abortPercent * (failed + count('done')))
    state = 'aborted'
  if (state !== 'running') {
    for (const part of parts)
      if (now(part).state === 'queued') changed.set(part.device, { ...now(part), state: 'skipped' })
    return { state, changed: [...changed.values()] }
  }
  let allowed =
    job.perMinute - parts.filter(({ attempt, startedMs }) => attempt > 0 && startedMs > nowMs - minuteMs).length
  for (const part of parts) {
    if (allowed <= 0) break
    const { state: at, attempt, startedMs } = now(part)
    if (at !== 'queued' || (attempt > 0 && startedMs > nowMs - minuteMs) || !up(part.device)) continue
    changed.set(part.device, {
      ...now(part),
      state: 'running',
      attempt: attempt + 1,
      startedMs: nowMs,
      untilMs: nowMs + job.timeoutMs,
    })
    allowed--
  }
  if (count('queued') === 0 && count('running') === 0) state = 'done'
  return { state, changed: [...changed.values()] }
}

/** A part that came to an end: it is done, to be tried again, or failed. */
export function endPart(
  job: JobPlan,
  part: Part,
  result: { done: boolean; code?: string | undefined; detail?: string | undefined },
): Part {
  const code = result.code ?? (result.done ? null : 'internal')
  const ended = { ...part, code, detail: result.detail ?? null }
  if (result.done) return { ...ended, state: 'done' }
  const again = job.state === 'running' && part.attempt <= job.retries && mayPass(code)
  return { ...ended, state: again ? 'queued' : 'failed' }
}

function mayPass(code: string | null): boolean {
  return Problem.fromWire({ code: code ?? 'internal', retry: '' }).retry === 'later'
}
