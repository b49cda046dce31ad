/** Work as people do it: a site, two owners' boards, a job, by the shipped commands alone (W1–W7, W11). */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode } from '@azukari/protocol/codec'
import type { JobShown, UnitShown, WorkInvoice } from '@azukari/protocol/contracts/work-operators'
import { assembled } from '@azukari/protocol/work/test-modules'
import t from 'tap'
import { deviceCommand, startBoard } from '../device-processes.ts'
import { gatewayCommand, startGatewayCommand } from '../processes.ts'
import { until } from '../wait.ts'

/** A module of docs/jobs.md, as it stands there: the first one adds up bytes, the second one has rounds. */
async function documentedModule(n: number): Promise<Uint8Array> {
  const text = await readFile(join(import.meta.dirname, '../../../../docs/jobs.md'), 'utf8')
  return assembled([...text.matchAll(/```wat\n(.*?)```/gs)][n]![1]!)
}

const sumOf = (text: string) => Buffer.from(text).reduce((sum, byte) => sum + byte, 0)

interface WorkStatus {
  takesPart: boolean
  isPaused: boolean
  computed: number
  valid: number
  now?: {
    is: string
    why?: string
    account?: {
      owner: string
      valid: number
      wrong: number
      redemptions?: { state: string; problem?: string }[]
    }
  }
}

t.test('W1 W2 W3 W4 W5 W6 W7 W11: two owners’ boards compute a job that an operator submits and fetches', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-work-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const site = `${folder}/site`
  const at = ['--folder', site]
  await gatewayCommand(['init', ...at, '--site', 'home'])
  await writeFile(`${site}/work.json`, JSON.stringify({ againMs: 500, leaseMs: 10_000, pointsPerGigafuel: 1_000_000 }))
  const gateway = await startGatewayCommand(['run', ...at, '--site', 'home', '--port', '0', '--health-port', '0'], {
    logFile: `${folder}/gateway.log`,
  })
  t.teardown(() => gateway.stop())
  const broker = `mqtt://127.0.0.1:${gateway.fact['port']}`
  const battery = `${folder}/sys/class/power_supply/BAT0`
  await mkdir(battery, { recursive: true })
  await writeFile(`${battery}/type`, 'Battery\n')
  await writeFile(`${battery}/status`, 'Discharging\n')
  const parts = { power: { driver: 'sysfs', root: `${folder}/sys` } }
  await writeFile(`${folder}/anna.json`, JSON.stringify({ model: 'bare', what: 'computes', parts: {} }))
  await writeFile(`${folder}/ben.json`, JSON.stringify({ model: 'laptop', what: 'computes', parts }))
  for (const owner of ['anna', 'ben']) {
    const { code } = await gatewayCommand<{ code: string }>(['work', 'owner', 'add', owner, '--contact', 'x', ...at])
    const { claim } = await gatewayCommand<{ claim: string }>(['claim', 'new', '--region', 'JP-13', ...at])
    const own = ['--folder', `${folder}/${owner}`]
    await mkdir(`${folder}/${owner}`)
    t.equal((await deviceCommand(['work', 'join', code, ...own])).code, 0)
    if (owner === 'ben') await deviceCommand(['work', 'pause', ...own])
    const board = await startBoard(
      ['--board', `${folder}/${owner}.json`, '--broker', broker, '--site', 'home', '--claim', claim].concat(own),
    )
    t.teardown(() => board.stop())
  }
  await writeFile(`${folder}/sum.wasm`, await documentedModule(0))
  await writeFile(`${folder}/one.txt`, 'one\ntwo\n')
  const long = `${'three'.repeat(400)}\n`
  await writeFile(`${folder}/two.txt`, long)
  const words = ['work', 'submit', `${folder}/sum.wasm`, '--input', `${folder}/one.txt`, '--input', `${folder}/two.txt`]
  const how = [
    '--split-lines',
    '1',
    '--name',
    'sums',
    '--customer',
    'acme',
    '--price-ceiling',
    '100',
    '--merge',
    'list',
  ]
  const { job, units } = await gatewayCommand<{ job: string; units: number }>([...words, ...how, ...at])
  t.equal(units, 3)

  const shown = () => gatewayCommand<JobShown>(['work', 'show', job, ...at])
  const returned = async () =>
    (await gatewayCommand<UnitShown[]>(['work', 'units', job, ...at])).filter(({ copies }) =>
      copies.some(({ state }) => state === 'returned'),
    ).length
  await until('the first owner’s results', async () => (await returned()) === 3)
  t.match(await shown(), { state: 'running', valid: 0 }, 'one owner’s word is not enough; the other board is paused')
  const ben = ['--folder', `${folder}/ben`]
  const status = async () => JSON.parse((await deviceCommand(['work', 'status', '--json', ...ben])).out) as WorkStatus
  await until('the pause to be told', async () => (await status()).now?.why === 'paused')
  await deviceCommand(['work', 'resume', ...ben])
  await until('the battery to be told', async () => (await status()).now?.why === 'battery')
  t.match(await shown(), { valid: 0 }, 'on battery it rests')
  await deviceCommand(['work', 'rules', '--battery', 'yes', ...ben])
  await until('the job', async () => (await shown()).state === 'done')

  const out = `${folder}/sums.cbor`
  const fetched = await gatewayCommand<{ units: number }>(['work', 'fetch', job, '--out', out, ...at])
  t.equal(fetched.units, 3)
  const sums = (decode(await readFile(out)) as Uint8Array[]).map((one) => decode(one))
  t.same(sums, ['one\n', 'two\n', long].map(sumOf), 'as the inputs were, in their order')
  t.match(await status(), { takesPart: true, isPaused: false, computed: 3, valid: 3 })
  const account = await until('what was earned', async () =>
    (await status()).now?.account?.valid === 3 ? (await status()).now?.account : undefined,
  )
  t.match(account, { owner: 'ben', wrong: 0 })
  const invoice = await gatewayCommand<WorkInvoice>(['work', 'invoice', job, '--out', `${folder}/invoice`, ...at])
  t.equal(invoice.lines.length, 6, 'a line for each result that counts')
  t.same(Object.keys(decode(await readFile(`${folder}/invoice`)) as object), ['invoice', 'receipts'])

  await writeFile(`${folder}/tree.wasm`, await documentedModule(1))
  await writeFile(`${folder}/n`, new Uint8Array([1]))
  const tree = ['work', 'submit', `${folder}/tree.wasm`, '--input', `${folder}/n`, '--rounds', '2', '--spawn-max', '6']
  const named = ['--name', 'tree', '--customer', 'acme', '--price-ceiling', '100']
  const { job: rounds } = await gatewayCommand<{ job: string }>([...tree, ...named, ...at])
  const ended = await until('the rounds', async () => {
    const now = await gatewayCommand<JobShown>(['work', 'show', rounds, ...at])
    return now.state === 'running' ? undefined : now
  })
  t.match(ended, { state: 'done', units: 3, valid: 3 })
  await gatewayCommand(['work', 'fetch', rounds, '--out', `${folder}/tree`, ...at])
  t.same([...(await readFile(`${folder}/tree`))], [1, 0, 0], 'the round after the first one')

  const redeem = async (points: number) => {
    const { code, out: said } = await deviceCommand(['work', 'redeem', `${points}`, '--json', ...ben])
    return { code, ...(JSON.parse(said) as { problem?: { code: string }; minor?: number }) }
  }
  t.match(await redeem(100), { code: 1, problem: { code: 'work.no-member' } })
  await gatewayCommand(['work', 'owner', 'member', 'ben', '12345678901234', ...at])
  t.match(await redeem(1_000_000), { code: 1, problem: { code: 'work.points-short' } })
  t.match(await redeem(100), { code: 0, points: 100, minor: 100, currency: 'JPY' })
  const redeemed = await until('settlement’s word', async () =>
    (await status()).now?.account?.redemptions?.find(({ state }) => state !== 'due'),
  )
  t.match(redeemed, { state: 'refused', problem: 'register.unknown-number' }, 'settlement knows no such member')
  t.match(await gatewayCommand(['work', 'owner', 'list', ...at]), [
    { owner: 'anna', redemptions: [] },
    { owner: 'ben', member: '12345678901234', redemptions: [{ points: 100, state: 'refused' }] },
  ])
})
