/** The site's page in Chromium: a person saves, moves the card, prints; pages of strangers are refused. */
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { launchBrowser, noBrowser } from '../testkit/browser.ts'
import { quietLog } from '../testkit/log.ts'
import { places } from '../testkit/places.ts'
import { Bulletin } from './bulletin.ts'
import { servePage } from './page-server.ts'
import { SimulatedSite } from './site.ts'

const csrf = 'a-token-of-the-test'

/** The status that a request with these headers gets. */
function ask(url: string, headers: Record<string, string>, method = 'GET', path = '/'): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(new URL(path, url), { method, headers, timeout: 60_000 }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    asked.once('error', reject)
    asked.end(method === 'POST' ? JSON.stringify({ action: 'shutter', target: 'camera' }) : undefined)
  })
}

t.test('D4 S10: a person works the site on its page', { skip: noBrowser }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-page-'))
  const site = new SimulatedSite({
    folder,
    servers: process.env['AZUKARI_SCREENSHOT'] ? places : places.filter(({ region }) => region !== 'US-OR'),
    log: quietLog,
  })
  const bulletin = new Bulletin(site, () => undefined)
  let page: Awaited<ReturnType<typeof servePage>> | undefined
  let browser: Awaited<ReturnType<typeof launchBrowser>> | undefined
  t.teardown(async () => {
    await browser?.close()
    await page?.close()
    await bulletin.end()
    await site.stop()
    await rm(folder, { recursive: true, force: true })
  })
  await site.start()
  await bulletin.begin()
  page = await servePage(bulletin, { port: 0, csrf })
  const { url } = page
  const host = new URL(url).host

  t.equal(await ask(url, { host }), 200)
  t.equal(await ask(url, { host: 'evil.example' }), 400, 'another name for this address (DNS rebinding)')
  t.equal(await ask(url, { host, origin: 'http://evil.example' }, 'GET', '/state'), 400, 'a page of another origin')
  t.equal(await ask(url, { host, origin: `http://${host}` }, 'POST', '/act'), 400, 'without the token')
  t.equal(await ask(url, { host, 'x-csrf': 'guessed' }, 'POST', '/act'), 400, 'with a wrong one')

  browser = await launchBrowser()
  const tab = await browser.newPage({ viewport: { width: 1280, height: 900 }, locale: 'en-US' })
  const errors: string[] = []
  tab.on('pageerror', (error) => errors.push(String(error)))
  await tab.goto(url)
  tab.setDefaultTimeout(300_000)
  const board = (name: string) => tab.locator('.board', { hasText: name })

  // By keyboard alone: Tab to the first button of the camera, Enter.
  const insert = board('Camera').getByRole('button', { name: 'Put the card in' })
  await insert.waitFor()
  for (let i = 0; i < 20; i++) {
    await tab.keyboard.press('Tab')
    if (await insert.evaluate((node) => node.matches(':focus'))) break
  }
  await tab.keyboard.press('Enter')
  await board('Camera').getByRole('button', { name: 'Press the shutter' }).click()
  await tab.locator('#saves .state.kept').first().waitFor()
  await board('Camera').getByText('kept in two places').waitFor()
  t.pass('S7: kept twice, and shown')
  await board('Camera').getByRole('button', { name: 'Press the shutter' }).click()
  await tab.locator('#saves .state.kept').nth(1).waitFor()

  await board('Printer').getByRole('button', { name: 'Put the card in' }).click()
  await board('Printer').getByRole('button', { name: 'What do I have?' }).click()
  await board('Printer').getByRole('combobox').waitFor()
  // A new state comes every two seconds and with every change: what was chosen stays chosen.
  const choice = board('Printer').getByRole('combobox')
  const names = await choice.locator('option').allTextContents()
  t.equal(names.length, 2, 'two photos to choose from')
  await choice.selectOption({ label: names[1]! })
  await board('Terminal').getByRole('button', { name: 'Cut the network' }).click()
  await board('Terminal').getByText('no line').waitFor()
  await board('Terminal').getByRole('button', { name: 'Join the network' }).click()
  await board('Terminal').getByText('connected').waitFor()
  t.equal(await choice.locator('option:checked').textContent(), names[1])
  const print = board('Printer').getByRole('button', { name: 'Print', exact: true })
  await print.click()
  const printed = tab.locator('#prints img').first()
  await printed.waitFor()
  await tab.waitForFunction("document.querySelector('#prints img').naturalWidth > 0")
  t.equal(await printed.getAttribute('alt'), names[1], 'S10: the printed page is seen, and it is the chosen one')

  // S15: a wrong PIN thrice blocks the card, told with the tries that are left; the terminal unblocks it with the PUK.
  await board('Terminal').getByRole('button', { name: 'Put the card in' }).click()
  await board('Terminal').getByLabel('PIN').fill('0000')
  const look = board('Terminal').getByRole('button', { name: 'What do I have?' })
  for (const told of ['2 tries are left', 'One try is left', 'The card is blocked']) {
    await look.click()
    await board('Terminal').getByText(told).waitFor()
  }
  await board('Terminal').getByRole('button', { name: 'Unblock with the PUK' }).click()
  await board('Terminal').getByText('Your card is unblocked').waitFor()
  await board('Terminal').getByLabel('PIN').fill('2468')
  await look.click()
  await board('Terminal').locator('.shelf li').nth(1).waitFor()
  t.pass('S15: what the card knows is listed where it was asked')

  // S9: a storm is forecast for where the photo lies: it leaves, and the page says so; then it is called off.
  const holder = tab.locator('#servers tr', { has: tab.locator('td:nth-child(4)', { hasText: /^[12]$/ }) }).first()
  const name = (await holder.locator('td').first().textContent()) ?? ''
  const row = tab.locator('#servers tr', { has: tab.locator('td:first-child', { hasText: name }) })
  await row.getByRole('button', { name: 'Forecast a storm' }).click()
  await row.getByText('arrives').waitFor()
  await row.locator('td:nth-child(4)', { hasText: /^0$/ }).waitFor()
  await tab.locator('#log').getByText('has moved').first().waitFor()
  t.pass(`S9: the photo left ${name}`)
  if (process.env['AZUKARI_SCREENSHOT'])
    await tab.screenshot({ path: process.env['AZUKARI_SCREENSHOT'], fullPage: process.env['AZUKARI_FULL'] === '1' })
  await row.getByRole('button', { name: 'Call it off' }).click()
  await row.getByText('arrives').waitFor({ state: 'detached' })

  await tab.getByRole('button', { name: '日本語' }).click()
  await tab.getByRole('heading', { name: '保存したもの' }).waitFor()
  t.equal(await tab.locator('html').getAttribute('lang'), 'ja')
  await board('端末機').getByRole('button', { name: '一覧を見る' }).waitFor()
  // The boards speak it too, a second window keeps its own language, and a reload keeps what was chosen.
  await board('カメラ').getByText('カードを入れてください').waitFor()
  await tab.locator('#log').getByText('保存しました').first().waitFor()
  const other = await browser.newPage({ viewport: { width: 390, height: 844 }, locale: 'en-US' })
  other.on('pageerror', (error) => errors.push(String(error)))
  await other.goto(url)
  await other.getByRole('heading', { name: 'What was saved' }).waitFor()
  await other.locator('#log').getByText('is kept in').first().waitFor()
  t.equal(await other.evaluate('document.documentElement.scrollWidth'), 390, 'nothing is cut off on a telephone')
  await other.close()
  await tab.reload()
  await tab.getByRole('heading', { name: '保存したもの' }).waitFor()
  await board('カメラ').waitFor()
  const labels = await tab.locator('#maps text').evaluateAll((nodes) =>
    nodes.map((node) => {
      const { x, y, width, height } = node.getBoundingClientRect()
      return { text: node.textContent, x, y, width, height }
    }),
  )
  const overlapping = labels.flatMap((a, i) =>
    labels
      .slice(i + 1)
      .filter((b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height)
      .map((b) => `${a.text} / ${b.text}`),
  )
  t.same(overlapping, [], 'no label of the map hides another')
  t.same(errors, [], 'no script failed')
})
