import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import t from 'tap'
import { CommandError, type CommandOptions, runCommand } from './commands.ts'

const run = (script: string, more: Partial<CommandOptions> = {}) =>
  runCommand(process.execPath, ['-e', script], {
    clock,
    signal: AbortSignal.timeout(20_000),
    limitMs: 15_000,
    outputMaxBytes: 1_000,
    ...more,
  })
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const failureOf = async (result: Promise<unknown>) => {
  const error = await result.catch((error: unknown) => error)
  return error instanceof CommandError ? error.failure : error
}
const forever = 'setInterval(() => 0, 1000)'

t.test('S17: a command gives its output, its last words and its code', async (t) => {
  const done = await run('process.stdin.pipe(process.stdout); console.error("so it is"); process.exitCode = 3', {
    input: Buffer.from('in'),
  })
  t.match({ ...done, output: text(done.output) }, { code: 3, output: 'in', said: 'so it is\n', overstayed: false })
})

t.test('S17: one that is missing, hangs, says too much or is not wanted any more', async (t) => {
  const options = { clock, signal: AbortSignal.timeout(20_000), limitMs: 1_000, outputMaxBytes: 1_000 }
  t.equal(await failureOf(runCommand('/nonexistent/command', [], options)), 'missing')
  const hung = await run(`console.log('page 1'); ${forever}`, { limitMs: 1_000 }).catch((error: unknown) => error)
  t.ok(hung instanceof CommandError && hung.failure === 'timeout')
  t.equal(text((hung as CommandError).output), 'page 1\n', 'what it put out before is told')
  t.equal(await failureOf(run(`console.log('x'.repeat(5000)); ${forever}`)), 'too-large')
  const stop = new AbortController()
  const stopped = run(forever, { signal: stop.signal })
  stop.abort(new Error('enough'))
  await t.rejects(stopped, { message: 'enough' })
})

t.test('S17: one that has done its work and does not end is ended without blame', async (t) => {
  const done = await run(`console.log('page 1'); console.error('all done'); ${forever}`, { lastWords: 'all done' })
  t.match({ ...done, output: text(done.output) }, { code: undefined, output: 'page 1\n', overstayed: true })
  const prompt = await run(`console.error('all done')`, { lastWords: 'all done' })
  t.match(prompt, { code: 0, overstayed: false })
})
