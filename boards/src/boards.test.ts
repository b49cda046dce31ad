import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cameraConforms } from '@azukari/device/conformance/camera'
import { inputConforms } from '@azukari/device/conformance/input'
import { memoryConforms } from '@azukari/device/conformance/memory'
import { printerConforms, testPage } from '@azukari/device/conformance/printer'
import { closeBoard } from '@azukari/device/drivers'
import { encodeJpeg } from '@azukari/device/picture'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import type { Files, Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { PNG } from 'pngjs'
import t from 'tap'
import { boardDefinition, boardDefinitions, buildBoard, parseDefinition } from './definitions.ts'
import { DirectoryMemory } from './directory-memory.ts'
import { FolderInput, mediaTypeOf } from './folder-input.ts'
import { FolderPrinter } from './folder-printer.ts'
import { WatchedFolderCamera } from './watched-folder-camera.ts'

const files = systemFiles()
const clock = systemClock
const silent = () => undefined
const log: Log = { debug: silent, info: silent, warn: silent, error: silent, child: () => log }
const never = new AbortController().signal
const lookMs = 2

const folders: string[] = []
const folder = async () => {
  const made = await mkdtemp(join(tmpdir(), 'azukari-boards-'))
  folders.push(made)
  return made
}
t.teardown(async () => {
  for (const made of folders) await rm(made, { recursive: true, force: true })
})

/** The files of the system, one call of which can be made to fail. */
function failing(fault: { code?: 'storage.full' | 'storage.failed'; detail?: string }): Files {
  return {
    ...files,
    open: async (path, mode) => {
      if (fault.code && mode === 'create') throw new Problem(fault.code, fault.detail)
      return files.open(path, mode)
    },
    rename: async (from, to) => {
      if (fault.code) throw new Problem(fault.code, fault.detail)
      return files.rename(from, to)
    },
  }
}

t.test('S17: a watched folder is a camera', async (t) => {
  let directory = ''
  let shots = 0
  const shoot = () =>
    writeFile(join(directory, `IMG_${String(++shots).padStart(4, '0')}.JPG`), encodeJpeg(testPage(32 + shots, 24)))
  await cameraConforms(t, {
    make: async () => {
      directory = await folder()
      return new WatchedFolderCamera({ files, clock, directory, lookMs })
    },
    stalled: async (clock) => new WatchedFolderCamera({ files, clock, directory: await folder(), lookMs }),
    shoot,
    unplug: async () => rm(directory, { recursive: true }),
  })
})

t.test('S17: a picture is taken whole and once, also after a restart', async (t) => {
  const directory = await folder()
  const whole = encodeJpeg(testPage(200, 200))
  const make = () => new WatchedFolderCamera({ files, clock, directory, lookMs, timeoutMs: 200 })
  const path = join(directory, 'a.jpg')
  await writeFile(join(directory, 'notes.txt'), 'no picture')
  await writeFile(join(directory, '.hidden.jpg'), whole)
  // A slow camera: each look finds a little more, until it is whole.
  let written = 0
  const slow = {
    ...files,
    list: async (where: string) => {
      written = Math.min(whole.length, written + 1000)
      await writeFile(path, whole.subarray(0, written))
      return files.list(where)
    },
  }
  const camera = new WatchedFolderCamera({ files: slow, clock, directory, lookMs })
  t.equal(Buffer.compare((await camera.capture(never)).bytes, whole), 0, 'never half of it')
  await t.rejects(make().capture(never), { code: 'camera.offline' }, 'nothing new came')
  await writeFile(path, whole)
  await make().capture(never)
  t.same(await files.list(join(directory, 'taken')), ['1-a.jpg', 'a.jpg'], 'of one name, both are kept')
})

t.test('S17: a folder is a printer', async (t) => {
  let directory = ''
  const fault: { code?: 'storage.full' } = {}
  await printerConforms(t, {
    make: async () => {
      directory = await folder()
      return new FolderPrinter({ files: failing(fault), directory })
    },
    stalled: undefined,
    printed: async () =>
      Promise.all(
        (await files.list(directory)).map(async (name) => {
          const { width, height, data } = PNG.sync.read(await readFile(join(directory, name)))
          return { width, height, rgba: new Uint8Array(data) }
        }),
      ),
  })
  const directoryOfFull = await folder()
  const full = new FolderPrinter({ files: failing({ code: 'storage.full' }), directory: directoryOfFull })
  await t.rejects(full.print({ page: testPage(4, 4), title: 'x', copies: 1 }, never), { code: 'printer.out-of-paper' })
  const gone = new FolderPrinter({ files, directory: join(directoryOfFull, 'nowhere') })
  await t.rejects(gone.print({ page: testPage(4, 4), title: 'x', copies: 1 }, never), { code: 'printer.offline' })
})

t.test('S17: a mounted directory is removable memory', async (t) => {
  let directory = ''
  const fault: { code?: 'storage.full' | 'storage.failed'; detail?: string } = {}
  await memoryConforms(t, {
    make: async () => {
      directory = await folder()
      delete fault.code
      return new DirectoryMemory({ files: failing(fault), directory })
    },
    reopen: async () => {
      await writeFile(join(directory, '.part-b.bin-1'), 'half')
      return new DirectoryMemory({ files, directory })
    },
    fill: async () => {
      fault.code = 'storage.full'
    },
    protect: async () => void Object.assign(fault, { code: 'storage.failed', detail: 'EROFS' }),
    pullOut: async () => rm(directory, { recursive: true }),
  })
  t.same(await files.list(directory), [])
})

t.test('S14: a folder is local input', async (t) => {
  let directory = ''
  await inputConforms(t, {
    make: async () => {
      directory = await folder()
      return new FolderInput({ files, clock, directory, lookMs })
    },
    put: (_, name, bytes) => writeFile(join(directory, name), bytes),
    restart: async (input) => {
      await input.close()
      return new FolderInput({ files, clock, directory, lookMs })
    },
  })
  t.equal(mediaTypeOf('A.JPEG'), 'image/jpeg')
  t.equal(mediaTypeOf('film.webm'), 'video/webm')
  t.equal(mediaTypeOf('noending'), 'application/octet-stream')
})

t.test('D2: board definitions are data, and boards are built from them', async (t) => {
  const directory = await folder()
  for (const part of ['camera', 'prints', 'memory', 'scanner', 'pc']) await files.makeDirectory(join(directory, part))
  t.ok(Object.keys(boardDefinitions).length >= 2)
  const ports = { files, clock, random: systemRandom, log, directory }
  const board = await buildBoard(boardDefinition('pc-kiosk'), ports)
  t.teardown(() => closeBoard(board))
  t.equal(board.model, 'pc-kiosk')
  t.ok(board.camera instanceof WatchedFolderCamera)
  t.ok(board.printer instanceof FolderPrinter)
  t.ok(board.memory instanceof DirectoryMemory)
  t.same(Object.keys(board.inputs ?? {}), ['scanner', 'pc'])
  t.throws(() => boardDefinition('no-such-board'), { code: 'config.invalid' })
  const simulated = await buildBoard(boardDefinition('all-simulated'), {
    ...ports,
    makers: { simulated: (kind) => ({ model: `simulated ${kind}` }) as never },
  })
  t.equal(simulated.camera?.model, 'simulated camera')
  const invalid = (parts: object, detail: RegExp) =>
    t.rejects(buildBoard(parseDefinition({ model: 'x', what: 'x', parts }), ports), { code: 'config.invalid', detail })
  for (const driver of ['simulated', 'ipp'])
    await t.rejects(buildBoard(parseDefinition({ model: 'x', what: 'x', parts: { camera: { driver } } }), ports), {
      code: 'driver.missing',
      detail: new RegExp(`no driver ${driver} for a camera; there are watched-folder`),
    })
  await invalid({ printer: { driver: 'ipp', url: 'http://x' } }, /driver ipp: \/url/)
  await invalid({ memory: { driver: 'directory', fodler: 'x' } }, /directory/)
  for (const wrong of [{}, null, { model: 'x', what: 'x', parts: { toaster: { driver: 'x' } } }])
    t.throws(() => parseDefinition(wrong), { code: 'config.invalid' })
  for (const definition of Object.values(boardDefinitions))
    t.ok(parseDefinition(JSON.parse(JSON.stringify(definition))))
})

t.test('S17 D2: every board that docs/boards.md lists can be named on the command line', async (t) => {
  const { default: manifest } = await import('../package.json', { with: { type: 'json' } })
  const listed = await readFile(join(import.meta.dirname, '../../docs/boards.md'), 'utf8')
  const names = Object.keys(boardDefinitions).filter((name) => name !== 'all-simulated')
  const rows = [...listed.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, name]) => name!)
  t.same(rows.filter((name) => name in boardDefinitions).sort(), names.sort())
  for (const name of names) {
    t.ok(`./${name}` in manifest.exports, `${name} has a door`)
    const text = await readFile(join(import.meta.dirname, `${name}.ts`), 'utf8')
    t.match(text, `boardDefinition('${name}')`, `${name} makes its own parts`)
  }
})
