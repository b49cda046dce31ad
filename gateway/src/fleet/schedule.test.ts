import t from 'tap'
import { endPart, type JobPlan, type Part, planJob } from './schedule.ts'

const minuteMs = 60_000
const job: JobPlan = {
  state: 'running',
  perMinute: 10,
  abortPercent: 20,
  abortAfter: 3,
  timeoutMs: 5 * minuteMs,
  retries: 1,
}

/** A job over `n` devices, minute by minute; `outcome` says what a device's part comes to in the minute that it began. */
function runJob(
  n: number,
  plan: JobPlan,
  outcome: (device: number, attempt: number) => string | undefined,
  up = (_: string) => true,
) {
  let parts: Part[] = Array.from({ length: n }, (_, i) => ({
    device: `d${i}`,
    state: 'queued' as const,
    attempt: 0,
    startedMs: 0,
    untilMs: 0,
    code: null,
    detail: null,
  }))
  let { state } = plan
  let minutes = 0
  const begunIn: number[] = []
  for (; state === 'running' && minutes < 500; minutes++) {
    const nowMs = 1_000_000 + minutes * minuteMs
    const next = planJob({ ...plan, state }, parts, up, nowMs)
    state = next.state
    const changes = new Map(next.changed.map((part) => [part.device, part]))
    parts = parts.map((part) => changes.get(part.device) ?? part)
    begunIn.push(parts.filter(({ state, startedMs }) => state === 'running' && startedMs === nowMs).length)
    parts = parts.map((part) => {
      if (part.state !== 'running' || part.startedMs !== nowMs) return part
      const code = outcome(Number(part.device.slice(1)), part.attempt)
      if (code === 'silence') return part
      return endPart({ ...plan, state }, part, code === undefined ? { done: true } : { done: false, code })
    })
  }
  const count = (state: Part['state']) => parts.filter((part) => part.state === state).length
  return { state, minutes, begunIn, parts, done: count('done'), failed: count('failed'), skipped: count('skipped') }
}

t.test('D6: a job begins no more devices in a minute than it may, and ends with all', (t) => {
  const ran = runJob(50, job, () => undefined)
  t.match(ran, { state: 'done', done: 50, failed: 0 })
  t.ok(Math.max(...ran.begunIn) <= 10)
  t.end()
})

t.test('D6: a bad release is stopped by the abort threshold long before it has reached 50 devices', (t) => {
  const ran = runJob(50, job, () => 'upgrade.rolled-back')
  t.equal(ran.state, 'aborted')
  t.ok(ran.failed <= 10, `${ran.failed} devices were touched`)
  t.equal(ran.failed + ran.skipped, 50)
  t.end()
})

t.test('D6: failures below the threshold do not stop a job', (t) => {
  const ran = runJob(50, job, (device) => (device % 10 === 9 ? 'upgrade.rolled-back' : undefined))
  t.match(ran, { state: 'done', done: 45, failed: 5 })
  t.end()
})

t.test('D6: what may pass is tried again, what cannot is not', (t) => {
  const passing = runJob(20, job, (_, attempt) => (attempt === 1 ? 'link.timeout' : undefined))
  t.match(passing, { state: 'done', done: 20 })
  const never = runJob(2, { ...job, abortAfter: 100 }, () => 'upgrade.downgraded')
  t.strictSame(
    never.parts.map(({ attempt }) => attempt),
    [1, 1],
  )
  t.end()
})

t.test('D6: a device that says nothing fails when its time is over; one that is away waits', (t) => {
  const silent = runJob(5, { ...job, abortAfter: 100, retries: 0 }, (device) => (device === 0 ? 'silence' : undefined))
  t.match(silent, { state: 'done', done: 4, failed: 1 })
  t.equal(silent.parts[0]!.code, 'job.timeout')
  const away = runJob(
    5,
    job,
    () => undefined,
    (device) => device !== 'd0',
  )
  t.match(away, { state: 'running', done: 4 })
  t.equal(away.parts[0]!.attempt, 0)
  t.end()
})
