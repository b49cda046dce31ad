import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sendResult } from '@azukari/protocol/contracts/work'
import { assembled } from '@azukari/protocol/work/test-modules'
import t from 'tap'
import { openDeviceDatabase } from './adapters/database.ts'
import { WorkRecord } from './work/record.ts'
import { workCommands } from './work-commands.ts'

const folder = mkdtempSync(join(tmpdir(), 'azukari-work-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const at = (name: string) => join(folder, name)
const guide = readFileSync(new URL('../../docs/jobs.md', import.meta.url), 'utf8')

function tried(module: string, values: Record<string, string> = {}) {
  const limits = { fuel: '10000000', memory: '1', seconds: '600' }
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

t.test('W3: a folder of no device is told, not made', async (t) => {
  const none = { folder: at('nowhere') }
  await t.rejects(workCommands['work join']!.run(none, ['a'.repeat(16)]), {
    code: 'command.invalid',
    detail: /nowhere/,
  })
  for (const name of ['leave', 'pause', 'resume', 'rules'])
    await t.rejects(workCommands[`work ${name}`]!.run(none, []), { code: 'command.invalid' }, name)
  t.notOk(existsSync(none.folder))
})

t.test('W3: the status tells the fuel of all that was computed, before and after it is confirmed', async (t) => {
  const own = at('board')
  mkdirSync(own)
  const database = await openDeviceDatabase(`${own}/device.db`)
  const record = await WorkRecord.open(database)
  const hash = new Uint8Array(32)
  const bound = { contract: sendResult.id, audience: hash, issuedMs: 1, expiresMs: 2 }
  for (const [unit, standing] of [undefined, 'waiting', 'valid'].entries()) {
    const act = new Uint8Array(16).fill(unit)
    const copy = { job: new Uint8Array(16), unit, attempt: 0 }
    await record.add({ ...bound, ...copy, act, hash, sizeBytes: 1, fuelUsed: 100, wallMs: 1 })
    if (standing !== undefined) await record.settle(act, standing)
  }
  await database.close()
  const answer = await workCommands['work status']!.run({ folder: own }, [])
  t.match(answer, { text: /3 units computed, fuel 300/, json: { computed: 3, valid: 1, fuel: 300 } })
})
