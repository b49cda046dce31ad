/** What is given in the place of photos, or of a free port, is looked at before a whole site is started (issue 2). */
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { photosIn } from './photos.ts'
import { runSite } from './start.ts'

t.test('S14: photos of a folder, whatever their names; what is left out is told', async (t) => {
  const folder = t.testdir({
    'b.jpg': '',
    'a photo.JPEG': 'x',
    '富士山.jpg': 'x',
    'note.txt': 'x',
    'sound.mp3': 'x',
    'folder.jpg': {},
    empty: {},
  })
  const told: string[] = []
  t.same(await photosIn(folder, (line) => told.push(line)), ['a photo.JPEG', 'b.jpg', '富士山.jpg'])
  t.equal(told.length, 1)
  for (const name of ['note.txt', 'sound.mp3', 'folder.jpg']) t.match(told[0], name)
  const refused = (path: string) => photosIn(path, () => undefined)
  await t.rejects(refused(join(folder, 'none')), { code: 'config.invalid', message: /is not there/ })
  await t.rejects(refused(join(folder, 'note.txt')), { code: 'config.invalid', message: /is no folder/ })
  await t.rejects(refused(join(folder, 'empty')), { code: 'config.invalid', message: /holds no photo/ })
})

t.test('D6: a port of the page that is in use is told before anything is made', async (t) => {
  const folder = join(t.testdir(), 'site')
  const other = createServer()
  t.teardown(() => other.close())
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const address = other.address()
  const port = typeof address === 'object' && address ? address.port : 0
  await t.rejects(runSite({ folder, port, signal: AbortSignal.timeout(60_000) }), { code: 'config.invalid' })
  t.notOk(existsSync(folder))
})
