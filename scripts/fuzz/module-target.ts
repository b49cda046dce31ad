/** Modules of strangers: what the inspector of units of work accepts, and what it makes of them (W4). */
import { instrument } from '@azukari/protocol/work/instrument'
import { assembled, unitText } from '@azukari/protocol/work/test-modules'
import { type FuzzTarget, holds } from './target.ts'

/** The engine, of which this repository's types know nothing. */
interface Engine {
  validate(bytes: Uint8Array): boolean
  Module: {
    new (bytes: Uint8Array): object
    imports(module: object): { module: string; kind: string }[]
    exports(module: object): { name: string }[]
  }
}
const engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly

/** Of 32 bits: what a memory can be at most. */
const memoryMaxBytes = 2 ** 32
/** An instruction becomes a few: the charge of a straight run, and what makes a NaN canonical. */
const growthMax = 24
const sectionsBytes = 1_024

const corpus = await Promise.all(
  [
    '(func (export "run"))',
    `(func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
     (func (export "run") (local $n i32)
       (loop $again
         (local.set $n (call $add (local.get $n) (i32.const 1)))
         (br_if $again (i32.lt_u (local.get $n) (call $input_size))))
       (call $output_write (i32.const 0) (local.get $n)))`,
    `(global $g (mut f64) (f64.const 1)) (table 2 2 funcref) (elem (i32.const 0) $half $run)
     (data (i32.const 8) "some bytes")
     (func $half (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
     (func $run (export "run")
       (global.set $g (call_indirect (param f64) (result f64) (global.get $g) (i32.const 0)))
       (if (f64.gt (global.get $g) (f64.const 0.25)) (then (memory.fill (i32.const 0) (i32.const 1) (i32.const 64))) (else (return)))
       (block $out (block $in (br_table $in $out (i32.load8_u (i32.const 8)))))
       (drop (memory.grow (i32.const 1)))
       (f32.store (i32.const 4) (f32.sqrt (f32.load (i32.const 12))))
       (i64.store (i32.const 16) (i64.extend32_s (i64.trunc_sat_f64_s (global.get $g)))))`,
  ].map((inside) => assembled(unitText(inside))),
)

export const moduleTarget: FuzzTarget = {
  what: 'modules of units of work in WebAssembly',
  corpus: () => corpus,
  run(bytes) {
    const made = instrument(bytes)
    holds(made.memoryMaxBytes <= memoryMaxBytes, `a memory of ${made.memoryMaxBytes} bytes`)
    holds(
      made.module.length <= bytes.length * growthMax + sectionsBytes,
      `${bytes.length} bytes became ${made.module.length}`,
    )
    // Types are the engine's to check, of the module that was made. What it took before, it takes after.
    const isMadeValid = engine.validate(made.module)
    holds(isMadeValid || !engine.validate(bytes), 'a valid module was broken')
    if (!isMadeValid) return
    const compiled = new engine.Module(made.module)
    for (const { module, kind } of engine.Module.imports(compiled))
      holds(module === 'azukari' && kind === 'function', `an import ${module}, ${kind}`)
    const names = engine.Module.exports(compiled).map(({ name }) => name)
    holds(names.join() === 'run,memory,fuel,stack', `exports ${names}`)
  },
}
