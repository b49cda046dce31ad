/** Data servers that leave a running site (S9, D4): by the operator's commands alone, and nothing is lost with them. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { quietLog } from '../../testkit/log.ts'
import { places } from '../../testkit/places.ts'
import { gatewayCommand } from '../processes.ts'
import { pin, SimulatedSite } from '../site.ts'
import { pictureOf } from '../test-pictures.ts'
import { until } from '../wait.ts'

interface Listed {
  server: string
  state: string
  replicas: number
  toDestroy: number
}

t.test('S9 D4: a data server is emptied, taken back, emptied and removed, and its data is elsewhere', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-leaving-'))
  const servers = places.filter(({ id }) => ['ishikari', 'osaka', 'singapore'].includes(id))
  const site = new SimulatedSite({ folder, servers, log: quietLog })
  t.teardown(async () => {
    await site.stop()
    await rm(folder, { recursive: true, force: true })
  })
  await site.start()
  const command = <T>(...words: string[]) => gatewayCommand<T>([...words, '--folder', folder])
  const listed = async () => await command<Listed[]>('servers')
  const camera = site.boards.get('camera')!
  camera.board.reader.insert(await site.issueCard('Hanako'))
  await until('the member’s session', () => camera.runtime.presence?.card?.session)
  const bytes = pictureOf(7, 1)
  const read = async (at: number, length: number) => bytes.subarray(at, at + length)
  const file = { name: 'a.bin', mediaType: 'application/octet-stream', sizeBytes: bytes.length, read }
  await camera.runtime.camera!.keepFile({ ...file, done: async () => {} }, pin)
  await until('the receipt', async () => (await camera.runtime.saves.list(10))[0]?.state === 'kept', 60_000)

  const leaving = (await listed()).toSorted((a, b) => b.replicas - a.replicas)[0]!.server
  await t.rejects(command('servers', 'remove', leaving), { code: 'server.not-leaving' }, 'one that is in use')
  await t.rejects(command('servers', 'undrain', leaving), { code: 'server.not-leaving' })
  await t.rejects(command('servers', 'remove', 'nowhere'), { code: 'config.invalid' })

  // While nothing may move, it stays full: nothing is removed then.
  await command('moves', 'pause')
  const draining = await command<{ state: string; copies: number }>('servers', 'drain', leaving)
  t.equal(draining.state, 'draining')
  t.ok(draining.copies > 0, 'nothing has left yet')
  await t.rejects(command('servers', 'remove', leaving), { code: 'server.in-use' }, 'copies lie there')
  t.match(await command('servers', 'undrain', leaving), { state: 'open' })
  await command('moves', 'resume')

  const drained = await command('servers', 'drain', leaving, '--follow')
  t.match(drained, { server: leaving, state: 'draining', copies: 0, toDestroy: 0 }, 'it is followed to the end')
  const left = await listed()
  t.match(
    left.find(({ server }) => server === leaving),
    { state: 'draining', replicas: 0, toDestroy: 0 },
  )
  t.ok(left.filter(({ server, replicas }) => server !== leaving && replicas > 0).length >= 2, 'two copies, elsewhere')
  t.same(await command('servers', 'remove', leaving), { server: leaving })
  const isNamed = async () => (await readFile(`${folder}/servers.json`, 'utf8')).includes(`"${leaving}"`)
  t.notOk(await isNamed(), 'servers.json names it no more')
  await t.rejects(command('servers', 'drain', leaving), { code: 'config.invalid' }, 'it is gone')

  // A gateway that starts anew does not know it either, and gives the data.
  await site.gateway!.stop()
  await site.startGateway()
  t.same((await listed()).map(({ server }) => server).includes(leaving), false)
})
