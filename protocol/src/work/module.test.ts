import t from 'tap'
import { moduleLimits } from './abi.ts'
import { instrument } from './instrument.ts'
import { assembled } from './test-modules.ts'
import { joined, section, u32 } from './writer.ts'

const run = '(func (export "run"))'

/** A module of sections that no assembler would write. */
function handMade(...sections: number[][]): Uint8Array {
  return new Uint8Array([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...sections.flatMap(([id, ...body]) => [id!, body.length, ...body]),
  ])
}

t.test('W4: what a unit may not have is refused, naming it', async (t) => {
  const cases: [why: RegExp, text: string][] = [
    [
      /imports “wasi_snapshot_preview1.fd_write”/,
      `(module (import "wasi_snapshot_preview1" "fd_write" (func)) (memory 1 1) ${run})`,
    ],
    [/imports “azukari.open”/, `(module (import "azukari" "open" (func)) (memory 1 1) ${run})`],
    [/imports “azukari.toString”/, `(module (import "azukari" "toString" (func)) (memory 1 1) ${run})`],
    [/imports “azukari.input_size”/, `(module (import "azukari" "input_size" (global i32)) (memory 1 1) ${run})`],
    [/imports “azukari.memory”/, `(module (import "azukari" "memory" (memory 1 1)) ${run})`],
    [/other parameters/, `(module (import "azukari" "input_size" (func (result i64))) (memory 1 1) ${run})`],
    [/other parameters/, `(module (import "azukari" "output_write" (func (param i32))) (memory 1 1) ${run})`],
    [/no memory/, `(module ${run})`],
    [/no maximum/, `(module (memory 1) ${run})`],
    [/shared/, `(module (memory 1 1 shared) ${run})`],
    [/may have 20000 pages/, `(module (memory 1 20000) ${run})`],
    [/start function/, `(module (memory 1 1) (func $s) (start $s) ${run})`],
    [/exports no function “run”/, '(module (memory 1 1) (func (export "main")))'],
    [/“run” is no function/, '(module (memory 1 1) (func (export "run") (param i32)))'],
    [/“run” is no function/, '(module (memory 1 1) (func (export "run") (result i32) i32.const 1))'],
    [/“run” is no function/, '(module (memory 1 1) (global (export "run") i32 (i32.const 1)))'],
    [
      /“run” is no function/,
      `(module (import "azukari" "output_write" (func (param i32 i32))) (memory 1 1) (export "run" (func 0)))`,
    ],
    [/table has 100000000 elements/, `(module (memory 1 1) (table 100000000 funcref) ${run})`],
    [/other things than functions/, `(module (memory 1 1) (table 1 externref) ${run})`],
    [/at most 1/, `(module (memory 1 1) (table 1 funcref) (table 1 funcref) ${run})`],
    [/neither i32/, `(module (memory 1 1) (func (param v128)) ${run})`],
    [/0xfd/, '(module (memory 1 1) (func (export "run") (drop (i32x4.splat (i32.const 1)))))'],
    [/0xfe/, '(module (memory 1 1) (func (export "run") (drop (i32.atomic.load (i32.const 0)))))'],
    [/0x12/, '(module (memory 1 1) (func $f) (func (export "run") return_call $f))'],
    [/section 13/, `(module (memory 1 1) (tag) ${run})`],
    [
      /0xd2|0xd1/,
      '(module (memory 1 1) (func $f (export "run") (drop (ref.is_null (ref.func $f)))) (elem declare func $f))',
    ],
    [/0xfc 16|0xfc 15/, '(module (memory 1 1) (table 1 funcref) (func (export "run") (drop (table.size 0))))'],
    [
      /no constant|expressions/,
      '(module (memory 1 1) (table 1 funcref) (elem (i32.const 0) funcref (ref.null func)) (func (export "run")))',
    ],
  ]
  for (const [why, text] of cases) {
    const module = await assembled(text, true)
    t.throws(() => instrument(module), { code: 'work.module-refused', detail: why }, text)
  }
})

const [type, functions, memory, exported] = [
  [1, 1, 0x60, 0, 0],
  [3, 1, 0],
  [5, 1, 1, 1, 1],
  [7, 1, 3, 0x72, 0x75, 0x6e, 0, 0],
]

t.test('W4: a module beyond the limits is refused', async (t) => {
  const { locals, nesting, bodyBytes, bytes } = moduleLimits
  const sized = (code: number[]) =>
    joined([
      handMade(type!, functions!, memory!, exported!),
      section(10, [[1], u32(code.length), new Uint8Array(code)]),
    ])
  const blocks = [...Array(nesting).fill([0x02, 0x40]).flat(), ...Array(nesting).fill(0x0b)]
  const cases: [why: RegExp, code: number[]][] = [
    [/1001 locals/, [1, ...u32(locals + 1), 0x7f, 0x0b]],
    [/4294967295 locals/, [1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b]],
    [/nested too deep/, [0, ...blocks, 0x0b]],
    [/nested too deep/, [0, 0x0f, ...blocks, 0x0b]],
    [/a function has 524290 bytes/, [0, ...Array(bodyBytes).fill(0x01), 0x0b]],
  ]
  for (const [why, code] of cases)
    t.throws(() => instrument(sized(code)), { code: 'work.module-refused', detail: why }, why.source)
  t.throws(() => instrument(new Uint8Array(bytes + 1)), { code: 'work.module-refused', detail: /at most 4194304/ })
})

t.test('W4: nothing of the module can name what the instrumenter adds', async (t) => {
  const body = (...code: number[]) =>
    handMade(type!, functions!, memory!, exported!, [10, 1, code.length + 2, 0, ...code, 0x0b])
  t.doesNotThrow(() => instrument(body(0x01)), 'a plain one is taken')
  const cases: [why: RegExp, code: number[]][] = [
    [/a global that there is not/, [0x42, 0, 0x24, 0]],
    [/a global that there is not/, [0x23, 1, 0x1a]],
    [/a local that there is not/, [0x20, 0, 0x1a]],
    [/calls what there is not/, [0x41, 0, 0x10, 1, 0x1a]],
    [/calls what there is not/, [0x10, 2]],
    [/a table that there is not/, [0x41, 0, 0x11, 0, 0]],
    [/no block 1 to leave/, [0x0c, 1]],
    [/a type that there is not/, [0x02, 1, 0x0b]],
    [/second memory/, [0x41, 0, 0x40, 1, 0x1a]],
    [/wrong alignment/, [0x41, 0, 0x28, 0x42, 0, 0, 0x1a]],
    [/too few values/, [0x6a]],
    [/more or fewer values/, [0x41, 0]],
    [/no “if”/, [0x05]],
    [/longer than what it holds/, [0x0b, 0x01]],
    // In code that is left out, too.
    [/a global that there is not/, [0x00, 0x23, 1, 0x1a]],
    [/not allowed/, [0x00, 0xfd, 0x0f]],
  ]
  for (const [why, code] of cases)
    t.throws(() => instrument(body(...code)), { code: 'work.module-refused', detail: why }, `${code}`)
  const element = handMade(
    type!,
    functions!,
    [4, 1, 0x70, 0, 1],
    memory!,
    exported!,
    [9, 1, 0, 0x41, 0, 0x0b, 1, 1],
    [10, 1, 2, 0, 0x0b],
  )
  t.throws(() => instrument(element), { code: 'work.module-refused', detail: /no function of it/ })
  const start = handMade(type!, functions!, memory!, [6, 1, 0x7f, 0, 0x23, 0, 0x0b], exported!, [10, 1, 2, 0, 0x0b])
  t.throws(() => instrument(start), { code: 'work.module-refused', detail: /no constant/ })
})

t.test('W4: sections out of order, twice, of unknown kind, or longer than they say are refused', async (t) => {
  const code = [10, 1, 2, 0, 0x0b]
  const cases: [why: RegExp, module: Uint8Array][] = [
    [/twice or out of order/, handMade(type!, type!)],
    [/twice or out of order/, handMade(functions!.slice(0, 1).concat(0), type!)],
    [/section 14/, handMade([14, 0])],
    [/longer than what it holds/, handMade([...type!, 0])],
    [/cut off/, handMade(type!, functions!, memory!, exported!, code).subarray(0, -1)],
    [/differ in number/, handMade(type!, functions!, memory!, exported!)],
    [/no function “run”/, handMade(type!, functions!, memory!, code)],
    [/no WebAssembly module/, new TextEncoder().encode('(module)')],
    [/cut off/, new Uint8Array()],
    [/too long/, handMade([1, 0xff, 0xff, 0xff, 0xff, 0xff, 0])],
    [/4294967295 types/, handMade([1, 0xff, 0xff, 0xff, 0xff, 0x0f])],
  ]
  for (const [why, module] of cases)
    t.throws(() => instrument(module), { code: 'work.module-refused', detail: why }, `${module}`)
})
