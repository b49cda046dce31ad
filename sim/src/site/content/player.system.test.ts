/**
 * Sound, films and pictures on a board's local page (C13, C14): a site of real processes, what was registered by command, and a
 * member who buys and plays it in Chromium, and takes the card away in the middle.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KioskDisplay } from '@azukari/boards/kiosk-display'
import { encodePng } from '@azukari/boards/png'
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom as random } from '@azukari/protocol/adapters/random'
import type { Page } from 'playwright-core'
import t from 'tap'
import { drawScene } from '../../testkit/boards/scene.ts'
import { launchBrowser, noBrowser } from '../../testkit/browser.ts'
import { quietLog } from '../../testkit/log.ts'
import { boardPlaces, places } from '../../testkit/places.ts'
import { SeededRandom } from '../../testkit/world/chance.ts'
import { typePin } from '../device-processes.ts'
import { gatewayCommand } from '../processes.ts'
import { pin, SimulatedSite } from '../site.ts'
import { until } from '../wait.ts'
import { filesWith } from './member.ts'

interface Charges {
  sums: { ledger: string; state: string; charges: number; reversals: number; minor: number }[]
}

/** PCM of 8 kHz, 16 bits, one channel (RIFF WAVE): noise that no file holds by chance. */
function wave(seconds: number): Buffer {
  const data = randomBytes(seconds * 16_000)
  const head = Buffer.alloc(44)
  head.write('RIFF', 0)
  head.writeUInt32LE(36 + data.length, 4)
  head.write('WAVEfmt ', 8)
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(8_000, 24)
  head.writeUInt32LE(16_000, 28)
  head.writeUInt16LE(2, 32)
  head.writeUInt16LE(16, 34)
  head.write('data', 36)
  head.writeUInt32LE(data.length, 40)
  return Buffer.concat([head, data])
}

/** A second of a film, recorded by the browser that is to play it; MP4. */
async function film(page: Page): Promise<Buffer> {
  const text = await page.evaluate(`(async () => {
    const canvas = document.createElement('canvas')
    const paint = canvas.getContext('2d')
    const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: 'video/mp4;codecs=vp9' })
    const parts = []
    recorder.ondataavailable = ({ data }) => parts.push(data)
    const stopped = new Promise((resolve) => { recorder.onstop = resolve })
    recorder.start()
    for (let i = 0; i < 20; i++) {
      paint.fillStyle = 'hsl(' + i * 18 + ', 80%, 50%)'
      paint.fillRect(0, 0, canvas.width, canvas.height)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    recorder.stop()
    await stopped
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer())
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
  })()`)
  return Buffer.from(String(text), 'base64')
}

t.test('C13 C14: a member plays a song, a film and a picture on a board’s page', { skip: noBrowser }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-player-'))
  const site = new SimulatedSite({
    folder,
    servers: places.filter(({ id }) => id === 'ishikari'),
    boards: [],
    log: quietLog,
  })
  const ends: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true }), () => site.stop()]
  t.teardown(async () => {
    for (const end of ends.reverse()) await end()
  })
  const browser = await launchBrowser()
  ends.push(() => browser.close())
  const page = await browser.newPage({ viewport: { width: 1024, height: 768 } })
  page.setDefaultTimeout(300_000)
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (message) => {
    // What is cut off, as it shall be, the browser calls an error, too.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) faults.push(message.text())
  })

  await site.start()
  const song = wave(60)
  const files = {
    'song.wav': song,
    'film.mp4': await film(page),
    'map.png': encodePng(drawScene(new SeededRandom(3), 300, 200)),
    'broken.mp4': randomBytes(5_000),
  }
  const ids: string[] = []
  for (const [name, bytes] of Object.entries(files)) {
    await writeFile(`${folder}/${name}`, bytes)
    const add = ['content', 'add', `${folder}/${name}`, '--folder', folder, '--site', 'site']
    const of = ['--provider', '12345678901234', '--title', `The ${name}`, '--price', '10']
    ids.push((await gatewayCommand<{ id: string }>([...add, ...of])).id)
  }

  const addressFile = { files: systemFiles(), path: join(folder, 'page-address') }
  const display = await KioskDisplay.open({ clock, random, addressFile })
  ends.push(() => display.close())
  await page.goto(display.address)
  const place = boardPlaces.find(({ role }) => role === 'terminal')!
  const { board, runtime } = await site.startBoard(place, { page: display })
  const card = await site.issueCard('山田 花子')
  const pick = (name: string | RegExp) => page.getByRole('button', { name }).click()
  const enter = async () => {
    await page.locator('#pad').waitFor()
    await typePin(page, pin)
  }
  const open = async () => {
    board.reader.insert(card)
    await until('the session', () => runtime.presence?.card?.session !== undefined)
    await pick('What I have, and more')
    await pick('Pictures, music, films')
    await pick('Everything that is offered')
  }
  const buy = async (title: RegExp, how: 'Play here' | 'Show here') => {
    await pick(title)
    await pick(how)
    await pick(/^Get it/)
  }
  const media = page.locator('#player audio, #player video, #player img')
  const is = (what: string, look: string) =>
    until(what, async () =>
      page.evaluate(`(() => { const medium = document.querySelector('#player > *'); return medium && (${look}) })()`),
    )

  // The film, to its end; it goes away by itself.
  await open()
  await buy(/The film.mp4/, 'Play here')
  await enter()
  await is('the film plays', 'medium.currentTime > 0 && medium.videoWidth > 0')
  await media.waitFor({ state: 'detached' })

  // The picture, until the person goes back; a file that is no film is told of.
  await pick('Back')
  await buy(/The map.png/, 'Show here')
  await is('the picture is drawn', 'medium.naturalWidth === 300')
  await pick('Stop')
  await media.waitFor({ state: 'detached' })
  await pick('Back')
  await buy(/The broken.mp4/, 'Play here')
  await page.locator('body[data-tone=problem]').waitFor()
  await pick('Back')

  // The song, from its middle at once, and then the card leaves.
  await buy(/The song.wav/, 'Play here')
  await is('the song plays', 'medium.currentTime > 0')
  await page.evaluate(`document.querySelector('#player audio').currentTime = 50`)
  await is('it goes on from there', 'medium.currentTime > 50.05 && !medium.seeking')
  const source = `${display.address}${await media.getAttribute('src')}`
  board.reader.remove()
  await media.waitFor({ state: 'detached' })
  t.equal((await fetch(source)).status, 404, 'C13: whoever remembers its name gets nothing')
  t.same(await filesWith(`${folder}/devices`, song.subarray(70_000, 70_064)), [], 'C13: the board kept nothing')
  t.same(faults, [], 'nothing that the page’s own policy forbids')

  // Told by the board at once, though the card is out: nothing waits for the offer to expire (C7).
  const here = ['--folder', folder, '--site', 'site']
  for (const id of ids)
    await until('its delivery is at its end', async () => {
      const { deliveries } = await gatewayCommand<{ deliveries: number }>(['content', 'show', id, ...here])
      return deliveries === 1
    })
  const { sums } = await gatewayCommand<Charges>(['content', 'charges', ...here])
  t.match(
    sums.filter(({ ledger }) => ledger === 'content'),
    [{ state: 'counted', charges: 4, reversals: 0, minor: 40 }],
    'what has left whole was delivered, whatever a browser can do with it',
  )
})
