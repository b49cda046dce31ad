/** Scanners in the loop: our driver and SANE's `scanimage`, against SANE's test device. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Scanner, type ScannerOptions } from '@azukari/boards/scanner'
import { inputConforms } from '@azukari/device/conformance/input'
import { caught, fails, limit } from '@azukari/device/conformance/suite'
import { decodePicture } from '@azukari/device/picture'
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import t from 'tap'

t.setTimeout(120_000)
const folders: string[] = []
t.teardown(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

const page = ['--mode=Color', '--test-picture=Color pattern', '-x', '40', '-y', '30']
const make = async (more: Partial<ScannerOptions> = {}) => {
  const directory = await mkdtemp(join(tmpdir(), 'azukari-scans-'))
  folders.push(directory)
  return new Scanner({
    files: systemFiles(),
    clock,
    directory,
    device: 'test',
    resolution: 150,
    lookMs: 20,
    more: page,
    ...more,
  })
}

t.test('S14 S17: SANE', (t) => {
  let directory = ''
  return inputConforms(t, {
    make: () => {
      const scanner = make()
      directory = folders.at(-1)!
      return scanner
    },
    own: 'image/jpeg',
    put: async (input) => void (await (input as Scanner).scan(limit())),
    restart: async (input) => {
      await input.close()
      directory = folders.at(-1)!
      return make({ directory })
    },
  })
})

t.test('S14: the page has the size and the resolution that were asked for, and its picture', async (t) => {
  const scanner = await make()
  t.equal(await scanner.scan(limit()), 1)
  for await (const file of scanner.files(limit())) {
    const { width, height, rgba } = decodePicture(await file.read(0, file.sizeBytes))
    t.ok(Math.abs(width - 236) <= 2 && Math.abs(height - 177) <= 2, `${width} × ${height} of 40 × 30 mm at 150 dpi`)
    t.ok(new Set(rgba).size > 50)
    break
  }
  await scanner.close()
})

t.test('S14: paper put into the feeder is scanned unasked, page by page', async (t) => {
  const scanner = await make({ feeder: 'Automatic Document Feeder', resolution: 50 })
  const stop = new AbortController()
  let pages = 0
  for await (const file of scanner.files(AbortSignal.any([stop.signal, limit()]))) {
    await file.done()
    // The test device's feeder holds ten sheets.
    if (++pages === 10) stop.abort()
  }
  t.equal(pages, 10)
  await scanner.close()
})

t.test('S17: what a scanner may say, and one that hangs', async (t) => {
  const saying = async (status: string, more: Partial<ScannerOptions> = {}) =>
    make({ more: [...page, `--read-return-value=SANE_STATUS_${status}`], ...more })
  t.equal(await (await saying('NO_DOCS')).scan(limit()), 0, 'no paper is no page')
  await fails(t, 'input', (await saying('DEVICE_BUSY')).scan(limit()), 'part.busy')
  for (const status of ['JAMMED', 'COVER_OPEN', 'IO_ERROR', 'NO_MEM', 'ACCESS_DENIED']) {
    const scanner = await saying(status)
    await fails(t, 'input', scanner.scan(limit()), 'part.failed')
    t.same(
      (await readdir(folders.at(-1)!)).filter((name) => !name.startsWith('.')),
      [],
      'no half page is kept',
    )
  }
  await fails(t, 'input', (await make({ device: 'nobody:1' })).scan(limit()), 'part.absent')
  await fails(t, 'input', (await make({ more: ['--no-such-option'] })).scan(limit()), 'part.unsupported')
  const slow = await make({ more: [...page, '--read-delay=yes', '--read-delay-duration=200000'], limitMs: 500 })
  await fails(t, 'input', slow.scan(limit()), 'part.timeout')
  const jammed = await saying('JAMMED', { feeder: 'Automatic Document Feeder' })
  const waiting = (async () => {
    for await (const _ of jammed.files(limit())) t.fail('no page')
  })()
  await fails(t, 'input', waiting, 'part.failed')
  const nowhere = await make({ directory: '/nonexistent' })
  t.ok(await caught(nowhere.scan(limit())))
})
