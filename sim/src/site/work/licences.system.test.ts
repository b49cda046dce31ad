/** A licence as people earn it: a board that takes part in work, an app beside it, by the shipped commands alone (W8–W10). */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodePicture, encodeJpeg } from '@azukari/device/picture'
import type { AppShown, LicenceShown } from '@azukari/protocol/contracts/work-licences'
import t from 'tap'
import { deviceCommand, startBoard } from '../device-processes.ts'
import { gatewayCommand, startGatewayCommand } from '../processes.ts'
import { until } from '../wait.ts'

const deviceCli = join(import.meta.dirname, '../../../../device/src/cli.ts')

/** `azukari-device app film-look`, until it ends. */
function startApp(args: readonly string[]) {
  const child: ChildProcess = spawn(process.execPath, [deviceCli, 'app', 'film-look', '--json', ...args])
  let out = ''
  child.stdout!.setEncoding('utf8').on('data', (part: string) => {
    out += part
  })
  const ended = new Promise<number | null>((done) => child.once('close', done))
  return { out: () => out, ended, stop: () => child.kill('SIGTERM') }
}

const problemIn = (out: string) =>
  (JSON.parse(out.trim().split('\n').at(-1)!) as { problem?: { code: string } }).problem

t.test('W8 W9 W10: a board earns an app’s licence; the app lives and dies with the licence app', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-licences-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const site = `${folder}/site`
  const at = ['--folder', site]
  await gatewayCommand(['init', ...at, '--site', 'home'])
  const gateway = await startGatewayCommand(['run', ...at, '--site', 'home', '--port', '0', '--health-port', '0'], {
    logFile: `${folder}/gateway.log`,
  })
  t.teardown(() => gateway.stop())
  const broker = `mqtt://127.0.0.1:${gateway.fact['port']}`
  await gatewayCommand(['work', 'licence', 'offer', 'film-look', '--title', 'Film look', ...at])
  await writeFile(`${folder}/bare.json`, JSON.stringify({ model: 'bare', what: 'computes', parts: {} }))
  const { code } = await gatewayCommand<{ code: string }>(['work', 'owner', 'add', 'anna', '--contact', 'x', ...at])
  const { claim } = await gatewayCommand<{ claim: string }>(['claim', 'new', '--region', 'JP-13', ...at])
  const own = ['--folder', `${folder}/anna`]
  for (const name of ['anna', 'in', 'out']) await mkdir(`${folder}/${name}`)
  const start = () =>
    startBoard(['--board', `${folder}/bare.json`, '--broker', broker, '--site', 'home', '--claim', claim, ...own])
  const board = await start()
  t.teardown(() => board.stop())

  const get = ['licence', 'get', 'film-look', '--name', 'Anna', '--contact', 'anna@example.org', '--json', ...own]
  t.match(problemIn((await deviceCommand(get)).out), { code: 'licence.idle' }, 'not before it takes part')
  await deviceCommand(['work', 'join', code, ...own])
  await until('the licence', async () => (await deviceCommand(get)).code === 0)
  t.match(await gatewayCommand<AppShown[]>(['work', 'licence', 'apps', ...at]), [{ enrolled: 1, supplied: 1 }])
  const [licence] = await gatewayCommand<LicenceShown[]>(['work', 'licence', 'list', ...at])
  t.match(licence, { app: 'film-look', name: 'Anna', isRevoked: false })

  const rgba = new Uint8Array(64 * 64 * 4).fill(128)
  await writeFile(`${folder}/in/one.jpg`, encodeJpeg({ width: 64, height: 64, rgba }))
  const words = ['--in', `${folder}/in`, '--out', `${folder}/out`]
  const app = startApp([...words, ...own])
  await until('the picture', () => existsSync(`${folder}/out/one.jpg`))
  const developed = decodePicture(await readFile(`${folder}/out/one.jpg`)).rgba
  t.ok(developed[0]! > developed[2]! + 5, 'warmer than the grey that it was')

  await cp(`${folder}/anna/apps`, `${folder}/copied/apps`, { recursive: true })
  const copied = startApp([...words, '--folder', `${folder}/copied`])
  t.equal(await copied.ended, 1)
  t.match(problemIn(copied.out()), { code: 'device.not-running' }, 'an app without its board')

  await board.stop()
  t.equal(await app.ended, 1, 'the app ends by itself when the licence app has stopped')
  t.match(problemIn(app.out()), { code: 'licence.lost' })

  await gateway.stop()
  const offline = await start()
  t.teardown(() => offline.stop())
  const again = startApp([...words, ...own])
  await until('the app without a line', () => again.out().includes('ready'))
  await deviceCommand(['work', 'pause', ...own])
  t.equal(await again.ended, 1, 'a board that is paused by its owner supplies nothing')
  t.match(problemIn(again.out()), { code: 'licence.idle' })
})
