import { Worker } from 'node:worker_threads'
import t from 'tap'
import { instrument } from './instrument.ts'
import { assembled, unitText } from './test-modules.ts'

declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports?: object) => { exports: Record<string, unknown> }
}

interface Exports {
  run(): void
  memory: { buffer: ArrayBuffer }
  fuel: { value: bigint }
  stack: { value: number }
}

const host = {
  azukari: Object.fromEntries(
    ['input_size', 'input_read', 'state_size', 'state_read', 'output_write', 'checkpoint'].map((name) => [
      name,
      () => 0,
    ]),
  ),
}

function started(module: Uint8Array, fuel = 1_000_000): Exports {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(instrument(module).module), host)
  const running = exports as unknown as Exports
  running.fuel.value = BigInt(fuel)
  return running
}

interface Ended {
  why: string
  fuel: bigint
  stack: number
}

/** On another thread, which is ended when the unit does not end: a loop that nothing stops must fail its test, not hang it. */
async function endOf(module: Uint8Array, fuel: number): Promise<Ended> {
  const program = `
    const { parentPort, workerData: { module, fuel, names } } = require('node:worker_threads')
    const azukari = Object.fromEntries(names.map((name) => [name, () => 0]))
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module), { azukari })
    exports.fuel.value = fuel
    let why = 'it came to its end'
    try { exports.run() } catch (error) { why = error.message }
    parentPort.postMessage({ why, fuel: exports.fuel.value, stack: exports.stack.value })`
  const workerData = { module: instrument(module).module, fuel: BigInt(fuel), names: Object.keys(host.azukari) }
  const worker = new Worker(program, { eval: true, workerData })
  const { promise, resolve, reject } = Promise.withResolvers<Ended>()
  worker.once('message', resolve)
  worker.once('error', reject)
  worker.once('exit', () => resolve({ why: 'nothing stopped it', fuel: 0n, stack: 0 }))
  const limit = setTimeout(() => void worker.terminate(), endlessLimitMs)
  try {
    return await promise
  } finally {
    clearTimeout(limit)
    await worker.terminate()
  }
}

/** What is done in a blink when it is stopped at all. */
const endlessLimitMs = 20_000

/** Fuel that a unit takes to its end. */
async function fuelOf(inside: string): Promise<number> {
  const running = started(await assembled(unitText(inside)))
  running.run()
  return 1_000_000 - Number(running.fuel.value)
}

const counting = `(func (export "run") (local $i i32)
  loop $again
    local.get $i i32.const 1 i32.add local.tee $i
    i32.const 10 i32.lt_u br_if $again
  end)`

t.test('W4: every instruction that runs costs one fuel, and no other', async (t) => {
  t.equal(await fuelOf('(func (export "run"))'), 0)
  t.equal(await fuelOf('(func (export "run") i32.const 1 drop nop)'), 3)
  t.equal(await fuelOf(counting), 1 + 10 * 7, 'a loop, and ten rounds of seven')
  const choice = (n: number) => `(func (export "run") (i32.const ${n}) (if (then nop nop nop) (else nop)))`
  t.equal(await fuelOf(choice(1)), 2 + 3)
  t.equal(await fuelOf(choice(0)), 2 + 1)
  t.equal(
    await fuelOf('(func (export "run") (if (i32.const 0) (then nop)) nop nop)'),
    2 + 2,
    'behind an if without else',
  )
  t.equal(await fuelOf('(func (export "run") (block (br 0 (nop)) nop nop) nop)'), 4, 'what is jumped over is free')
  t.equal(await fuelOf('(func (export "run") (block (br_if 0 (i32.const 0)) nop nop) nop)'), 6)
  t.equal(await fuelOf('(func $f nop return) (func (export "run") call $f call $f)'), 2 + 2 * 2)
  t.equal(
    await fuelOf(`(func $f (param i32) (result i32) (block (block (br_table 0 1 (local.get 0)) ) (return (i32.const 7))) i32.const 9)
      (func (export "run") (drop (call $f (i32.const 0))) (drop (call $f (i32.const 1))))`),
    6 + (2 + 2 + 2) + (2 + 2 + 1),
  )
})

t.test('W4: bulk instructions and grown memory cost by what they move', async (t) => {
  const fill = (n: number) => `(func (export "run") (memory.fill (i32.const 0) (i32.const 1) (i32.const ${n})))`
  t.equal(await fuelOf(fill(0)), 4)
  t.equal(await fuelOf(fill(65536)), 4 + 8192)
  t.equal(await fuelOf('(func (export "run") (drop (memory.grow (i32.const 2))))'), 3 + 2 * 8192)
  t.equal(
    await fuelOf('(func (export "run") (drop (memory.grow (i32.const -1))))'),
    3 + 4 * 8192,
    'no more than there may be',
  )
})

t.test('W4: a unit without fuel ends, in loops, calls and fills alike', async (t) => {
  const endless = {
    loop: '(func (export "run") loop br 0 end)',
    nested: '(func (export "run") (block loop (block br 0) br 0 end))',
    calls: '(func $f (export "run") call $f call $f)',
    table:
      '(table 1 funcref) (elem (i32.const 0) $f) (func $f (export "run") loop (call_indirect (i32.const 0)) br 0 end)',
    fill: '(func (export "run") loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) br 0 end)',
  }
  for (const [what, inside] of Object.entries(endless)) {
    const module = await assembled(unitText(inside))
    const [first, second] = [await endOf(module, 100_000), await endOf(module, 100_000)]
    t.equal(first.why, 'unreachable', what)
    t.ok(first.fuel < 0n || first.stack < 0, what)
    t.same(first, second, `${what}: at the same place each time`)
  }
})

t.test('W4: recursion ends at the same depth each time, before the engine’s own limit', async (t) => {
  const deep = `(global $depth (mut i32) (i32.const 0))
    (func $f (param i64 i64 f64) (result i32 f64)
      (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
      (i32.store (i32.const 0) (global.get $depth))
      (call $f (local.get 0) (local.get 1) (local.get 2)))
    (func (export "run") (call $f (i64.const 1) (i64.const 1) (f64.const 1)) drop drop)`
  const depthOf = (running: Exports) => {
    t.throws(() => running.run(), { message: 'unreachable' })
    t.ok(running.stack.value < 0)
    return new DataView(running.memory.buffer).getInt32(0, true)
  }
  const module = await assembled(unitText(deep))
  t.equal(depthOf(started(module)), depthOf(started(module)))
  const back = started(
    await assembled(
      unitText(`(func $f (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
      (block (br_if 1 (i32.const 3) (local.get 0)) drop) (i32.const 1))
    (func $g (param i32) (result i32) (if (result i32) (local.get 0) (then (call $g (i32.sub (local.get 0) (i32.const 1)))) (else (return (call $f (i32.const 1))))))
    (func (export "run") (drop (call $g (i32.const 50))))`),
    ),
  )
  const before = back.stack.value
  back.run()
  t.equal(back.stack.value, before, 'each way out of a function gives its room back')
})

t.test('W4: NaNs are canonical wherever their bits can be seen', async (t) => {
  const zero = '(f64.const 0)'
  const nan = `(f64.div ${zero} ${zero})`
  const ways: [what: string, text: string][] = [
    ['stored', `(f64.store (i32.const 0) ${nan})`],
    ['after further arithmetic', `(f64.store (i32.const 0) (f64.add (f64.const 1) (f64.mul ${nan} (f64.const -2))))`],
    [
      'by a local',
      `(local $x f64) (local.set $x (f64.sub ${nan} (f64.const 1))) (f64.store (i32.const 0) (local.get $x))`,
    ],
    ['as an integer', `(i64.store (i32.const 0) (i64.reinterpret_f64 (f64.sqrt (f64.const -1))))`],
    ['across a block', `(f64.store (i32.const 0) (block (result f64) ${nan}))`],
    ['out of a branch', `(f64.store (i32.const 0) (if (result f64) (i32.const 1) (then ${nan}) (else ${zero})))`],
    ['from a function', '(f64.store (i32.const 0) (call $given))'],
    ['promoted', '(f64.store (i32.const 0) (f64.promote_f32 (f32.div (f32.const 0) (f32.const -0))))'],
    ['of a NaN with other bits', '(f64.store (i32.const 0) (f64.add (f64.const -nan:0xf000000000001) (f64.const 1)))'],
    ['below a call', `(f64.store (i32.const 0) (f64.add ${nan} (call $given)))`],
  ]
  for (const [what, text] of ways) {
    const running = started(
      await assembled(unitText(`(func $given (result f64) ${nan}) (func (export "run") ${text})`)),
    )
    running.run()
    t.equal(new DataView(running.memory.buffer).getBigUint64(0, true).toString(16), '7ff8000000000000', what)
  }
  const single = started(
    await assembled(
      unitText('(func (export "run") (f32.store (i32.const 0) (f32.mul (f32.const inf) (f32.const 0))))'),
    ),
  )
  single.run()
  t.equal(new DataView(single.memory.buffer).getUint32(0, true).toString(16), '7fc00000')
})

t.test('W4: what is copied is not changed: a NaN that was only loaded keeps its bits', async (t) => {
  const running = started(
    await assembled(
      unitText(`(data (i32.const 8) "\\01\\00\\00\\00\\00\\00\\f0\\ff")
    (func (export "run") (f64.store (i32.const 0) (f64.load (i32.const 8))))`),
    ),
  )
  running.run()
  t.equal(new DataView(running.memory.buffer).getBigUint64(0, true).toString(16), 'fff0000000000001')
})

t.test('W4: only run, memory, fuel and stack are exported; the same module gives the same bytes', async (t) => {
  const module = await assembled(
    unitText(`(global (export "fuel") (mut i32) (i32.const 7)) (func (export "stack")) ${counting}`),
  )
  t.strictSame(Object.keys(started(module)), ['run', 'memory', 'fuel', 'stack'])
  t.strictSame(instrument(module), instrument(module))
  t.equal(instrument(module).memoryMaxBytes, 4 * 65536)
  t.ok(WebAssembly.validate(instrument(module).module))
})
