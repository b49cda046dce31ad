/**
 * A person at a PC's board (J3, J5, J6): a site and a board of shipped commands in real processes, worked through the
 * local page in Chromium, the camera's folder and the printer's folder alone.
 */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeJpeg } from '@azukari/device/picture'
import { jpegWithoutPlace } from '@azukari/device/place/jpeg'
import { freePort } from '@azukari/protocol/adapters/free-port'
import t from 'tap'
import { drawScene } from '../testkit/boards/scene.ts'
import { launchBrowser, noBrowser } from '../testkit/browser.ts'
import { SeededRandom } from '../testkit/world/chance.ts'
import { deviceCommand, startBoard, typePin } from './device-processes.ts'
import { samePixels } from './independent-decoder.ts'
import { gatewayCommand, startGatewayCommand } from './processes.ts'
import { until } from './wait.ts'

const pin = '2468'

/** The status that a request gets. */
function ask(url: string, headers: Record<string, string>, method = 'GET', body = ''): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, timeout: 60_000 }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    asked.once('error', reject)
    asked.end(body)
  })
}

t.test('S4 S10 S15 S17: a person saves and prints at a PC’s page', { skip: noBrowser }, async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'azukari-local-page-'))
  const site = `${root}/site`
  const board = `${root}/board`
  const ends: (() => Promise<unknown>)[] = [() => rm(root, { recursive: true, force: true })]
  t.teardown(async () => {
    for (const end of ends.reverse()) await end()
  })

  // The operator, with the commands of docs/boards.md.
  await mkdir(site)
  await gatewayCommand(['init', '--folder', site, '--site', 'home'])
  const peerPort = String(await freePort())
  const gateway = await startGatewayCommand(
    ['run', '--folder', site, '--site', 'home', '--port', '0', '--peer-port', peerPort],
    { logFile: `${root}/gateway.log` },
  )
  ends.push(() => gateway.stop())
  for (const [id, region, latitude, longitude] of [
    ['ishikari', 'JP-01', '43.17', '141.32'],
    ['osaka', 'JP-27', '34.69', '135.5'],
    ['fukuoka', 'JP-40', '33.59', '130.4'],
  ] as const) {
    const place = ['--region', region, '--latitude', latitude, '--longitude', longitude]
    const { claim } = await gatewayCommand<{ claim: string }>(['servers', 'add', id, ...place, '--folder', site])
    const own = `${root}/${id}`
    await mkdir(own)
    const urls = ['--gateway', `https://127.0.0.1:${peerPort}`, '--url', `https://127.0.0.1:${await freePort()}`]
    await gatewayCommand(['data-server', 'enrol', '--folder', own, ...urls, '--claim', claim])
    const server = await startGatewayCommand(['data-server', '--folder', own], { logFile: `${root}/${id}.log` })
    ends.push(() => server.stop())
  }
  const { claim } = await gatewayCommand<{ claim: string }>(['claim', 'new', '--folder', site, '--region', 'JP-13'])
  const words = ['--board', 'pc-kiosk', '--broker', `mqtt://127.0.0.1:${gateway.fact['port']}`, '--site', 'home']
  let device = await startBoard([...words, '--folder', board, '--claim', claim])
  ends.push(() => device.stop())
  await until(
    'the enrolment',
    async () => (await deviceCommand(['status', '--folder', board])).out.includes('line up'),
    60_000,
  )
  const record = `${root}/card.json`
  const issued = await deviceCommand(
    ['card', 'issue', '--folder', board, '--name', '山田 花子', '--home', 'JP-13', '--record', record],
    { AZUKARI_PIN: pin },
  )
  t.equal(issued.code, 0)
  await gatewayCommand(['member', 'add', '--folder', site, '--site', 'home', record])
  t.equal(
    (await deviceCommand(['page', '--folder', board])).out.trim(),
    device.fact.page,
    'the page’s address is told by a command, too',
  )

  // Who is not at this machine, or does not know this start's address, gets nothing.
  const address = new URL(device.fact.page)
  const { host, origin } = address
  t.equal(await ask(device.fact.page, { host: 'azukari.evil.example' }), 421, 'another name for this address')
  t.equal(await ask(`${origin}/`, { host }), 403, 'without the token')
  t.equal(await ask(`${origin}/${'A'.repeat(32)}/`, { host }), 403, 'with a wrong token')
  const act = JSON.stringify({ type: 'button', button: 'shutter' })
  t.equal(await ask(`${device.fact.page}act`, { host, origin: 'http://evil.example' }, 'POST', act), 403)
  t.equal(await ask(`${device.fact.page}act`, { host }, 'POST', act), 403, 'without an origin')
  t.equal(await ask(`${device.fact.page}events`, { host, 'sec-fetch-site': 'cross-site' }), 403, 'from another page')

  const browser = await launchBrowser()
  ends.push(() => browser.close())
  const page = await browser.newPage({ viewport: { width: 1024, height: 768 } })
  page.setDefaultTimeout(300_000)
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(String(error)))
  await page.goto(device.fact.page)
  const shutter = page.getByRole('button', { name: 'Take a picture' })
  // The card was there before its member was registered: it is met again by itself.
  await page.getByText('Welcome, 山田 花子').waitFor()

  // An entry that is abandoned changes nothing.
  await shutter.click()
  await page.getByText('PIN of 山田 花子').waitFor()
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByText('You cancelled').waitFor()

  // A wrong PIN is told with the tries that are left; then the right one, and the picture is kept in two places.
  const picture = encodeJpeg(drawScene(new SeededRandom(5), 160, 120), 90)
  await shutter.click()
  await typePin(page, '0000')
  await page.getByText('2 tries are left').first().waitFor()
  await typePin(page, pin)
  await page.getByText(`Put it into ${board}/parts/camera`).waitFor()
  await writeFile(`${root}/IMG_1.JPG`, picture)
  await rename(`${root}/IMG_1.JPG`, `${board}/parts/camera/IMG_1.JPG`)
  await page.getByText('kept in two places').waitFor()

  // The list has its picture; it is printed into the printer's folder, pixel by pixel.
  await page.getByRole('button', { name: 'What I have, and more' }).click()
  await page.getByRole('button', { name: 'What I have', exact: true }).click()
  const first = page.locator('#list button').first()
  await first.locator('img').waitFor()
  const width = () =>
    first.locator('img').evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth)
  t.equal(await until('the small picture', width), 160)
  await first.click()
  await page.getByRole('button', { name: 'Print', exact: true }).click()
  const sheets = async () => (await readdir(`${board}/parts/prints`)).filter((name) => /^[^.].*\.png$/.test(name))
  const sheet = await until('the sheet', async () => (await sheets())[0], 60_000)
  t.ok(await samePixels(await readFile(`${board}/parts/prints/${sheet}`), picture), 'S10: what came out is the picture')
  await page.getByText('printed').first().waitFor()

  // Onto removable memory, byte by byte, as it was kept.
  await page.getByRole('button', { name: 'Save on the memory card' }).click()
  await page.getByText('On the memory card as').waitFor()
  const taken = (await readdir(`${board}/parts/memory`)).find((name) => name.endsWith('.jpg'))
  t.same(
    new Uint8Array(await readFile(`${board}/parts/memory/${taken}`)),
    jpegWithoutPlace(picture),
    'D8: what was taken out is the file; nobody has said yet that its place may be kept',
  )
  for (let steps = 0; steps < 3; steps++) {
    const back = page.getByRole('button', { name: 'Back' })
    await back.click()
  }
  await shutter.waitFor()

  // A board that starts anew has another address, and the old one opens nothing.
  const before = device.fact.page
  await device.stop()
  await page.getByText('The device does not answer').waitFor()
  const log = device.log()
  device = await startBoard([...words, '--folder', board])
  t.not(device.fact.page, before)
  await page.goto(device.fact.page)
  await page.getByRole('button', { name: 'What I have, and more' }).click()
  await page.getByRole('button', { name: 'What I have', exact: true }).click()
  await typePin(page, pin)
  await page.locator('#list button').first().waitFor()
  t.notMatch(log + device.log(), new RegExp(`\\b${pin}\\b`), 'no PIN is logged')
  t.same(errors, [], 'no script failed')
})
