import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assembled } from '@azukari/protocol/work/test-modules'
import t from 'tap'
import { workCommands } from './work-commands.ts'

const folder = mkdtempSync(join(tmpdir(), 'azukari-work-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const at = (name: string) => join(folder, name)
const guide = readFileSync(new URL('../../docs/jobs.md', import.meta.url), 'utf8')

function tried(module: string, values: Record<string, string> = {}) {
  const limits = { fuel: '10000000', memory: '1', seconds: '60' }
  return workCommands['work try']!.run({ ...limits, output: at('out'), ...values }, [at(module)])
}

t.test('W4: the module of the guide runs as the guide says', async (t) => {
  writeFileSync(at('sum.wasm'), await assembled(/```wat\n(.*?)```/s.exec(guide)![1]!))
  writeFileSync(at('data'), new Uint8Array(300).fill(255))
  const answer = await tried('sum.wasm', { input: at('data') })
  t.match(answer?.json, { outputBytes: 5, checkpoints: 0, memoryPeakBytes: 65536 })
  t.same(readFileSync(at('out')), Buffer.from([0x1a, 0, 1, 0x2a, 0xd4]))
})

t.test('W4: a call goes on from the checkpoint of the one before, of the same unit only', async (t) => {
  const text = `(module
    (import "azukari" "state_size" (func $state_size (result i32)))
    (import "azukari" "checkpoint" (func $checkpoint (param i32 i32)))
    (memory 1 1)
    (func (export "run")
      (if (i32.eqz (call $state_size)) (then (call $checkpoint (i32.const 0) (i32.const 1))))
      (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536))))`
  writeFileSync(at('two.wasm'), await assembled(text))
  const kept = { checkpoint: at('kept') }
  await t.rejects(tried('two.wasm', { ...kept, fuel: '1000' }), { code: 'work.fuel' })
  t.ok(existsSync(at('kept')), 'the first step is kept')
  writeFileSync(at('data'), 'other')
  await t.rejects(tried('two.wasm', { ...kept, input: at('data') }), {
    code: 'work.checkpoint-foreign',
    detail: /input/,
  })
  await t.rejects(tried('sum.wasm', kept), { code: 'work.checkpoint-foreign', detail: /module/ })
  t.match((await tried('two.wasm', kept))?.json, { checkpoints: 1, resumedFrom: 1 })
  t.notOk(existsSync(at('kept')), 'nothing is left when it has ended')
  writeFileSync(at('kept'), 'no checkpoint')
  await t.rejects(tried('two.wasm', kept), { code: 'work.checkpoint-foreign' })
})

t.test('W4: what is no module, and words that are off, are told', async (t) => {
  await t.rejects(tried('data'), { code: 'work.module-refused' })
  await t.rejects(tried('none.wasm'), { code: 'command.invalid' })
  await t.rejects(tried('sum.wasm', { fuel: 'much' }), { code: 'command.invalid' })
})
