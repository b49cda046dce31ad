import { bytesPerFuelShift, hostCallFuel, hostFunctions } from '@azukari/protocol/work/abi'
import { instrument } from '@azukari/protocol/work/instrument'
import { assembled, unitText } from '@azukari/protocol/work/test-modules'
import t from 'tap'
import * as step from './step.ts'

const limits = { fuel: 1_000_000, outputMaxBytes: 1_000, stateMaxBytes: 1_000 }
const start = { fuelUsed: 0, outputBytes: 0, state: new Uint8Array() }

async function compiled(inside: string): Promise<object> {
  const made = step.compile(instrument(await assembled(unitText(inside))).module)
  if (typeof made === 'string') throw new Error(made)
  return made
}

t.test('W4: the child costs and calls what the protocol says', async (t) => {
  t.equal(step.hostCallFuel, hostCallFuel)
  t.equal(step.bytesPerFuelShift, bytesPerFuelShift)
  t.match(
    unitText(''),
    new RegExp(
      Object.keys(hostFunctions)
        .map((name) => `"${name}"[^]*`)
        .join(''),
    ),
  )
  t.equal(
    step.runStep(await compiled('(func (export "run"))'), new Uint8Array(), start, limits).kind,
    'done',
    'all are there',
  )
})

t.test('W4: a step begins with an empty memory and the last state, and nothing else', async (t) => {
  const module = await compiled(`(global $g (mut i32) (i32.const 0))
    (func (export "run")
      (if (i32.or (i32.load (i32.const 500)) (global.get $g)) (then unreachable))
      (i32.store (i32.const 500) (i32.const 1)) (global.set $g (i32.const 1))
      (if (i32.eqz (call $state_size)) (then (call $checkpoint (i32.const 500) (i32.const 1)))))`)
  const first = step.runStep(module, new Uint8Array(), start, limits)
  t.match(first, { kind: 'checkpoint', state: new Uint8Array([1]) })
  const state = new Uint8Array([1])
  t.equal(step.runStep(module, new Uint8Array(), { ...start, state }, limits).kind, 'done')
})

t.test('W4: what a unit reads ends with what there is; bytes outside its memory end it', async (t) => {
  const read = (to: number, from: number, size: number) =>
    `(func (export "run") (i32.store (i32.const 0) (call $input_read (i32.const ${to}) (i32.const ${from}) (i32.const ${size})))
      (call $output_write (i32.const 0) (i32.const 4)))`
  const input = new Uint8Array(10).fill(7)
  const output = async (text: string) => step.runStep(await compiled(text), input, start, limits)
  t.match(await output(read(8, 4, 100)), { kind: 'done', output: new Uint8Array([6, 0, 0, 0]) })
  t.match(await output(read(8, -1, -1)), { kind: 'done', output: new Uint8Array(4) })
  t.match(await output(read(65_530, 0, 10)), { kind: 'fault', code: 'work.trap' })
  t.match(await output(read(-8, 0, 10)), { kind: 'fault', code: 'work.trap' })
})

t.test('W4: calls of the host cost fuel, and end a unit that has none left', async (t) => {
  const module = await compiled('(func (export "run") (drop (call $input_size)))')
  const run = (fuel: number) => step.runStep(module, new Uint8Array(), start, { ...limits, fuel })
  t.match(run(2 + hostCallFuel), { kind: 'done', fuelUsed: 2 + hostCallFuel })
  t.match(run(1 + hostCallFuel), { kind: 'fault', code: 'work.fuel', fuelUsed: 1 + hostCallFuel })
})

t.test('W4: many small writes are one output, in order and bounded', async (t) => {
  const writes = (n: number) => `(func (export "run") (local $i i32) (loop $more
      (i32.store8 (i32.const 0) (local.get $i))
      (call $output_write (i32.const 0) (i32.const 1))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${n})))))`
  const wide = { ...limits, outputMaxBytes: 5_000 }
  const end = step.runStep(await compiled(writes(5_000)), new Uint8Array(), start, wide)
  t.equal(end.kind, 'done')
  t.strictSame(
    end.kind === 'done' && end.output,
    Uint8Array.from({ length: 5_000 }, (_, i) => i),
  )
  t.match(step.runStep(await compiled(writes(5_001)), new Uint8Array(), start, wide), { code: 'work.output' })
  const later = { ...start, outputBytes: 1 }
  t.match(
    step.runStep(await compiled(writes(5_000)), new Uint8Array(), later, wide),
    { code: 'work.output' },
    'of all steps',
  )
})
