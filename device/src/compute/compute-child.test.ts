import { readFileSync } from 'node:fs'
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import { isProblem } from '@azukari/protocol/problem'
import { assembled, unitText } from '@azukari/protocol/work/test-modules'
import t from 'tap'
import { type ComputeOptions, startUnit } from './adapters/compute-child.ts'
import { beginning, type Checkpoint, type Unit, type UnitLimits } from './unit.ts'

const limits: UnitLimits = {
  fuel: 100_000_000,
  memoryMaxBytes: 4 * 65536,
  wallMs: 60_000,
  outputMaxBytes: 1024 * 1024,
  stateMaxBytes: 1024 * 1024,
}
const input = new TextEncoder().encode('what is to be computed')

function unitOf(module: Uint8Array, more: Partial<UnitLimits> = {}, from: Checkpoint = beginning): Unit {
  return { module, input, from, limits: { ...limits, ...more } }
}

/** Runs a unit from the text of its inside. */
async function ran(inside: string, more: Partial<UnitLimits> = {}, options: Partial<ComputeOptions> = {}) {
  return startUnit(unitOf(await assembled(unitText(inside)), more), { clock, ...options }).result
}

const copies = `(func (export "run") (local $size i32)
  (local.set $size (call $input_size))
  (drop (call $input_read (i32.const 100) (i32.const 0) (local.get $size)))
  (call $output_write (i32.const 100) (local.get $size)))`

/** Ten steps; each writes a byte, works for a while and keeps how many there were. */
const stepped = (rounds: number) => `(func (export "run") (local $step i32) (local $i i32)
  (drop (call $state_read (i32.const 0) (i32.const 0) (call $state_size)))
  (local.set $step (i32.add (i32.load (i32.const 0)) (i32.const 1)))
  (loop $more (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${rounds}))))
  (i32.store (i32.const 0) (local.get $step))
  (call $output_write (i32.const 0) (i32.const 1))
  (if (i32.lt_u (local.get $step) (i32.const 10)) (then (call $checkpoint (i32.const 0) (i32.const 4)))))`

/** Time that passes when the test says so. */
function handClock() {
  let nowMs = 0
  const timers = new Map<object, { atMs: number; fire: () => void }>()
  return {
    clock: {
      ...clock,
      monotonicMs: () => nowMs,
      timer: (ms: number, fire: () => void) => {
        const key = {}
        timers.set(key, { atMs: nowMs + ms, fire })
        const cancel = () => void timers.delete(key)
        return { cancel, [Symbol.dispose]: cancel }
      },
    },
    pass(ms: number) {
      nowMs += ms
      for (const [key, { atMs, fire }] of timers) if (atMs <= nowMs && timers.delete(key)) fire()
    },
  }
}

function childrenOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
}

t.test('W4: a unit reads its input and writes its output, with the same fuel each time', async (t) => {
  const [first, second] = [await ran(copies), await ran(copies)]
  t.equal(Buffer.from(first.output).toString(), 'what is to be computed')
  t.equal(first.memoryPeakBytes, 65536)
  t.equal(first.fuelUsed, 10 + 3 * 64 + 2 * (input.length >> 3))
  t.equal(second.fuelUsed, first.fuelUsed)
})

t.test('W4: limits and faults are told by code, with what was used', async (t) => {
  const cases: [code: string, inside: string, more?: Partial<UnitLimits>][] = [
    ['work.fuel', '(func (export "run") loop br 0 end)', { fuel: 1_000_000 }],
    ['work.time', '(func (export "run") loop br 0 end)', { fuel: Number.MAX_SAFE_INTEGER, wallMs: 300 }],
    ['work.stack', '(func $f (export "run") call $f)'],
    ['work.trap', '(func (export "run") unreachable)'],
    ['work.trap', '(func (export "run") (drop (i32.div_u (i32.const 1) (i32.const 0))))'],
    ['work.trap', '(func (export "run") (call $output_write (i32.const -1) (i32.const 8)))'],
    ['work.trap', '(data (i32.const 65535) "ab") (func (export "run"))'],
    ['work.output', '(func (export "run") loop (call $output_write (i32.const 0) (i32.const 65536)) br 0 end)'],
    [
      'work.output',
      '(func (export "run") (call $checkpoint (i32.const 0) (i32.const 65536)))',
      { stateMaxBytes: 65535 },
    ],
    ['work.memory', '(func (export "run"))', { memoryMaxBytes: 3 * 65536 }],
  ]
  for (const [code, inside, more] of cases) await t.rejects(ran(inside, more), { code }, `${code}: ${inside}`)
  await t.rejects(
    ran('(func (export "run") loop br 0 end)', { fuel: Number.MAX_SAFE_INTEGER }, { residentMaxBytes: 1 }),
    { code: 'work.memory' },
    'a process that grows is killed',
  )
  const spent = await ran('(func (export "run") loop br 0 end)', { fuel: 1_000 }).catch((problem: unknown) => problem)
  t.match(spent, { code: 'work.fuel', data: { fuelUsed: 1_000 } })
})

t.test('W4: a module that only the engine can refuse is refused in the child', async (t) => {
  const wrong = await assembled(unitText('(func (export "run") (drop (i32.add (i64.const 1) (i32.const 1))))'), true)
  await t.rejects(startUnit(unitOf(wrong), { clock }).result, { code: 'work.module-refused', detail: /type/ })
})

t.test('W4: a unit that is stopped goes on from its last checkpoint, to the same output and fuel', async (t) => {
  const module = await assembled(unitText(stepped(1_000)))
  const whole = await startUnit(unitOf(module), { clock }).result
  t.strictSame([...whole.output], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  t.equal(whole.checkpoints, 9)
  const kept: Checkpoint[] = []
  await startUnit(unitOf(module), { clock, onCheckpoint: (checkpoint) => kept.push(checkpoint) }).result
  t.equal(kept.length, 9)
  for (const from of [kept[0]!, kept[4]!, kept[8]!]) {
    const { output, fuelUsed, checkpoints } = await startUnit(unitOf(module, {}, from), { clock }).result
    t.strictSame([...output], [...whole.output])
    t.strictSame({ fuelUsed, checkpoints }, { fuelUsed: whole.fuelUsed, checkpoints: 9 })
  }
})

t.test('W4: a paused unit uses none of its time, and goes on where it was', async (t) => {
  const module = await assembled(unitText(stepped(3_000_000)))
  const time = handClock()
  const first = Promise.withResolvers<void>()
  const run = startUnit(unitOf(module, { fuel: 1e9 }), { clock: time.clock, onCheckpoint: () => first.resolve() })
  await first.promise
  time.pass(1_000)
  run.pause()
  run.pause()
  time.pass(3 * limits.wallMs)
  run.resume()
  time.pass(1_000)
  const { output, wallMs } = await run.result
  t.equal(output.length, 10)
  t.equal(wallMs, 2_000)

  const slow = startUnit(unitOf(module, { fuel: 1e9 }), { clock: time.clock })
  slow.pause()
  time.pass(3 * limits.wallMs)
  slow.resume()
  time.pass(limits.wallMs)
  await t.rejects(slow.result, { code: 'work.time' }, 'what it has when it works is its limit')
})

t.test(
  'W4: a paused process does not work',
  { skip: process.platform === 'linux' ? false : 'needs /proc' },
  async (t) => {
    const module = await assembled(unitText('(func (export "run") loop br 0 end)'))
    const pids = (): string[] => childrenOf(process.pid)
    const before = new Set(pids())
    const run = startUnit(unitOf(module, { fuel: Number.MAX_SAFE_INTEGER }), { clock })
    const [pid] = pids().filter((one) => !before.has(one))
    run.pause()
    while (!/^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) await clock.sleep(5)
    t.match(
      readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[16],
      '19',
      'its priority is the lowest',
    )
    run.resume()
    while (/^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) await clock.sleep(5)
    run.stop()
    await t.rejects(run.result, { code: 'work.stopped' })
  },
)

t.test('W4: a unit is stopped at any time, also while it is paused', async (t) => {
  const module = await assembled(unitText('(func (export "run") loop br 0 end)'))
  for (const isPaused of [false, true]) {
    const run = startUnit(unitOf(module, { fuel: Number.MAX_SAFE_INTEGER }), { clock })
    if (isPaused) run.pause()
    run.stop()
    const error = await run.result.catch((problem: unknown) => problem)
    t.ok(isProblem(error, 'work.stopped'))
  }
})
