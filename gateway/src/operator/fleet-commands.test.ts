/** `azukari-gateway job …`, `device set`, `device state`, `release …`, `card list` as an operator types them (D6). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommandLine } from '@azukari/protocol/adapters/command-line'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import t, { type Test } from 'tap'
import { commands } from '../commands.ts'
import { Devices } from '../registry/devices.ts'
import { type OperatedSite, operatedSite } from '../test-operator.ts'

const cli = join(import.meta.dirname, '../cli.ts')
const manifest = new URL('../../package.json', import.meta.url)

/** Runs a call as cli.ts does, and gives its exit code and what it printed. */
async function run(...words: string[]): Promise<{ exit: number; out: string; err: string }> {
  const log = t.capture(console, 'log')
  const error = t.capture(console, 'error')
  try {
    const exit = await runCommandLine({ name: 'azukari-gateway', what: 'test', manifest, commands }, words, {})
    const said = (calls: ReturnType<typeof log>) => calls.map(({ args }) => args.join(' ')).join('\n')
    return { exit, out: said(log()), err: said(error()) }
  } finally {
    log.restore()
    error.restore()
  }
}

async function json(...words: string[]): Promise<{ exit: number; answer: Record<string, unknown> }> {
  const { exit, out } = await run(...words, '--json')
  return { exit, answer: JSON.parse(out) }
}

async function problem(...words: string[]): Promise<unknown[]> {
  const { exit, answer } = await json(...words)
  return [exit, (answer['problem'] as { code?: string } | undefined)?.code]
}

/** The folder of a running site with so many devices, where an operator is signed in. */
async function folderWith(t: Test, path: string, ids: readonly string[]): Promise<string> {
  const { site }: OperatedSite = await operatedSite(t, path)
  const database = site.registry
  for (const id of ids)
    await database.transaction((sql) =>
      new Devices(database).enrol(sql, {
        id,
        model: 'test',
        version: '1',
        roles: 'terminal',
        region: 'JP-13',
        latitude: null,
        longitude: null,
        key: coseKey(publicOf(generateKey('ed25519', systemRandom))),
        enrolled_ms: 1,
        claim: 'c',
      }),
    )
  return path
}

const jobCommands = ['job new', 'job list', 'job show', 'job cancel']

t.test('D6: every fleet command explains itself', async (t) => {
  for (const name of [...jobCommands, 'device set', 'device state', 'release pack', 'release card', 'card list']) {
    const { exit, out } = await run(...name.split(' '), '--help')
    t.equal(exit, 0, name)
    t.match(out, `azukari-gateway ${name}`)
    for (const option of Object.keys(commands[name]!.options))
      t.match(out, `--${option}`, `${name} tells of --${option}`)
    t.notMatch(out, 'azukari-gateway init', `${name} --help is about ${name} alone`)
  }
})

t.test('D6: jobs are made, listed, shown and cancelled, in words and as JSON', async (t) => {
  const folder = await folderWith(t, t.testdir(), ['a', 'b'])
  const at = ['--folder', folder]
  t.match(await run('job', 'list', ...at), { exit: 0, out: 'no jobs yet' })
  t.same((await json('job', 'list', ...at)).answer, [])
  const made = await json(
    'job',
    'new',
    ...at,
    '--kind',
    'configuration',
    '--set',
    'report.minutes=5',
    '--set',
    'language=ja',
  )
  t.match(made, { exit: 0, answer: { job: /^[0-9a-f]{32}$/, devices: 2 } })
  const id = String(made.answer['job'])
  t.match((await json('job', 'show', id, ...at)).answer, {
    job: id,
    kind: 'configuration',
    state: 'running',
    settings: { 'report.minutes': 5, language: 'ja' },
    perMinute: 10,
    abortPercent: 20,
    abortAfter: 3,
    timeoutMs: 1_800_000,
    retries: 2,
    devices: [
      { device: 'a', state: 'queued' },
      { device: 'b', state: 'queued' },
    ],
  })
  t.match((await run('job', 'show', id, ...at)).out, /configuration: running\na {2}queued {2}attempt 0/)
  t.match((await run('job', 'list', ...at)).out, new RegExp(`${id} {2}configuration {2}running`))
  t.match(await json('job', 'cancel', id, ...at), { exit: 0, answer: { cancelled: id } })
  const cancelled = (await json('job', 'show', id, ...at)).answer
  t.match(cancelled, { state: 'cancelled', devices: [{ state: 'skipped' }, { state: 'skipped' }] })
  const one = await json('job', 'new', ...at, '--kind', 'diagnostics', '--device', 'b', '--timeout-minutes', '1')
  t.match(one, { exit: 0, answer: { devices: 1 } })
  await run('device', 'revoke', 'a', ...at)
  t.match((await json('job', 'new', ...at, '--kind', 'rotation')).answer, { devices: 1 }, 'who is shut out has no part')
})

t.test('D6: a job that cannot be meant is refused with what is wrong', async (t) => {
  const folder = await folderWith(t, t.testdir(), ['a'])
  const at = ['--folder', folder]
  const wrong: [string[], unknown[]][] = [
    [
      ['job', 'new', ...at],
      [2, 'command.invalid'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'dance'],
      [1, 'config.invalid'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'configuration'],
      [1, 'config.invalid'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'configuration', '--set', 'minutes'],
      [1, 'config.invalid'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'upgrade'],
      [1, 'config.invalid'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'upgrade', '--release', '9.9.9'],
      [1, 'object.unknown'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'card-data', '--release', '../..'],
      [1, 'object.unknown'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'card-data'],
      [1, 'config.invalid'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'rotation', '--device', 'nobody'],
      [1, 'device.unknown'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'rotation', '--per-minute', '0'],
      [2, 'command.invalid'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'rotation', '--abort-percent', '101'],
      [2, 'command.invalid'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'rotation', '--retries', 'many'],
      [2, 'command.invalid'],
    ],
    [
      ['job', 'new', ...at, '--kind', 'rotation', '--speed', '9'],
      [2, 'command.invalid'],
    ],
    [
      ['job', 'show', ...at],
      [1, 'config.invalid'],
    ],
    [
      ['job', 'show', 'x', ...at],
      [1, 'config.invalid'],
    ],
    [
      ['job', 'show', '0'.repeat(32), ...at],
      [1, 'job.unknown'],
    ],
    [
      ['job', 'cancel', '0'.repeat(32), ...at],
      [1, 'job.unknown'],
    ],
    [
      ['job', 'list', 'more', ...at],
      [2, 'command.invalid'],
    ],
  ]
  for (const [words, wanted] of wrong) t.same(await problem(...words), wanted, words.join(' '))
  t.same((await json('job', 'list', ...at)).answer, [], 'nothing of it was made')
  const { exit, out, err } = await run('job', 'new', ...at, '--kind', 'dance')
  t.equal(exit, 1)
  t.equal(out, '')
  t.match(err, /--kind is one of configuration, diagnostics/, 'in words, on standard error')
  const empty = await folderWith(t, `${folder}/empty`, [])
  t.same(
    await problem('job', 'new', '--folder', empty, '--kind', 'rotation'),
    [1, 'config.invalid'],
    'no device at all',
  )
})

t.test('D6: device set changes what is desired; who was slower, or means nothing, is told', async (t) => {
  const folder = await folderWith(t, t.testdir(), ['a'])
  const at = ['--folder', folder]
  t.match(await json('device', 'set', 'a', 'report.minutes=5', 'sound=true', 'name=x=y', ...at), {
    exit: 0,
    answer: { device: 'a', version: 1 },
  })
  t.match((await json('device', 'state', 'a', ...at)).answer, {
    desired: { version: 1, values: { 'report.minutes': 5, sound: true, name: 'x=y' } },
    reported: { version: 0 },
  })
  t.match(await run('device', 'set', 'a', 'sound=', '--if-version', '1', ...at), {
    exit: 0,
    out: 'a: version 2 is desired',
  })
  const { desired } = (await json('device', 'state', 'a', ...at)).answer as { desired: { values: object } }
  t.same(desired.values, { 'report.minutes': 5, name: 'x=y' }, 'without a value it is the device’s own again')
  const wrong: [string[], unknown[]][] = [
    [
      ['device', 'set', 'a', 'language=ja', '--if-version', '1', ...at],
      [1, 'state.stale'],
    ],
    [
      ['device', 'set', 'a', 'language=ja', '--if-version', 'x', ...at],
      [2, 'command.invalid'],
    ],
    [
      ['device', 'set', ...at],
      [1, 'config.invalid'],
    ],
    [
      ['device', 'set', 'a', ...at],
      [1, 'config.invalid'],
    ],
    [
      ['device', 'set', 'a', '=5', ...at],
      [1, 'config.invalid'],
    ],
    [
      ['device', 'set', 'a', 'Language=ja', ...at],
      [1, 'message.invalid'],
    ],
    [
      ['device', 'set', 'a', `name=${'x'.repeat(600)}`, ...at],
      [1, 'message.invalid'],
    ],
    [
      ['device', 'set', 'nobody', 'language=ja', ...at],
      [1, 'device.unknown'],
    ],
    [
      ['device', 'state', 'nobody', ...at],
      [1, 'device.unknown'],
    ],
  ]
  for (const [words, wanted] of wrong) t.same(await problem(...words), wanted, words.slice(0, 4).join(' ').slice(0, 60))
  t.match((await json('device', 'state', 'a', ...at)).answer, { desired: { version: 2 } }, 'nothing of it was taken')
})

t.test('D6: releases are packed under the version that is given, once; wrong ones are refused', async (t) => {
  const folder = await folderWith(t, t.testdir(), [])
  const at = ['--folder', folder]
  const from = join(folder, 'runtime')
  mkdirSync(join(from, 'src'), { recursive: true })
  writeFileSync(join(from, 'src/cli.js'), 'process.exit(0)')
  const pack = (...more: string[]) => problem('release', 'pack', ...at, '--from', from, ...more)
  t.same(await pack('--version', '1.0.0', '--sequence', '1'), [1, 'config.invalid'], 'there is no key yet')
  t.equal((await run('release', 'key', ...at)).exit, 0)
  const packed = await json('release', 'pack', ...at, '--from', from, '--version', '1.0.0', '--sequence', '1')
  t.match(packed, { exit: 0, answer: { version: '1.0.0', name: /^[0-9a-f]{64}$/ } })
  t.same(await pack('--version', '1.0.0', '--sequence', '2'), [1, 'config.invalid'], 'a version is packed once')
  t.same(await pack('--version', '1.0', '--sequence', '2'), [1, 'message.invalid'])
  t.same(await pack('--version', '1.1.0', '--sequence', '0'), [2, 'command.invalid'])
  t.same(await pack('--version', '1.1.0', '--sequence', '2', '--program', 'toaster'), [1, 'config.invalid'])
  t.same(await pack('--version', '1.1.0', '--sequence', '2', '--entry', 'src/none.js'), [1, 'message.invalid'])
  const card = (...more: string[]) => problem('release', 'card', ...at, ...more)
  t.same(await card('--number', '1', '--retire', 'azukari/session/1'), [1, 'message.invalid'])
  t.same(await card('--number', '0'), [2, 'command.invalid'])
  t.match(await run('card', 'list', ...at), { exit: 0, out: 'no card has been given any data' })
})

t.test('D6: the exit code of a process is that of its call', async (t) => {
  const folder = await folderWith(t, t.testdir(), [])
  const exit = async (...words: string[]) => {
    const [code] = await once(spawn(process.execPath, [cli, ...words, '--folder', folder]), 'exit')
    return code
  }
  t.equal(await exit('job', 'list'), 0)
  t.equal(await exit('job', 'show', '0'.repeat(32)), 1)
  t.equal(await exit('job', 'dance'), 2)
})
