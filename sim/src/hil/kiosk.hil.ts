/** The kiosk display in the loop: our page in a real browser. */
import { KioskDisplay } from '@azukari/boards/kiosk-display'
import { displayConforms, panelConforms } from '@azukari/device/conformance/panel'
import { fails } from '@azukari/device/conformance/suite'
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import { systemRandom as random } from '@azukari/protocol/adapters/random'
import { chromium } from 'playwright-core'
import t from 'tap'
import { until } from '../site/wait.ts'
import { drawScene } from '../testkit/boards/scene.ts'
import { SeededRandom } from '../testkit/world/chance.ts'

t.setTimeout(120_000)
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
})
t.teardown(() => browser.close())
const page = await browser.newPage()
const make = async () => {
  const display = await KioskDisplay.open({ clock, random, port: 0 })
  await page.goto(display.address)
  await until('the browser', () => display.isReady)
  return display
}
const lines = () => page.locator('#lines p').allTextContents()

t.test('S17: a browser as display', (t) => displayConforms(t, { make, seen: async () => ({ lines: await lines() }) }))

t.test('S17: words, tone and picture are drawn when it says so; what looks like markup is words', async (t) => {
  const display = await make()
  const faults: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  await display.show({
    lines: ['写真: 二か所に預けました', '<b>x</b>'],
    tone: 'good',
    picture: drawScene(new SeededRandom(3), 800, 600),
  })
  t.same(await lines(), ['写真: 二か所に預けました', '<b>x</b>'])
  t.equal(await page.locator('#sign').textContent(), '✓', 'not by colour alone')
  const picture = page.locator('img')
  t.same(await picture.evaluate((image) => [(image as unknown as { naturalWidth: number }).naturalWidth]), [800])
  await display.show({ lines: ['next'] })
  t.equal(await picture.getAttribute('src'), null)
  t.same(faults, [], 'nothing that its own policy forbids')
  await display.close()
})

t.test('S17: no browser is told; one that comes later shows what is to be shown; strangers get nothing', async (t) => {
  const display = await KioskDisplay.open({ clock, random, port: 0 })
  await page.goto('about:blank')
  await fails(t, 'display', display.show({ lines: ['early'] }), 'part.absent')
  await page.goto(display.address)
  await page.getByText('early').waitFor()
  const taken = Number(new URL(display.address).port)
  await t.rejects(KioskDisplay.open({ clock, random, port: taken }), { code: 'part.busy' })
  const { request } = await import('node:http')
  const status = await new Promise((resolve, reject) => {
    request({ port: taken, host: '127.0.0.1', headers: { host: 'evil.example' } }, (reply) => resolve(reply.statusCode))
      .on('error', reject)
      .end()
  })
  t.equal(status, 421)
  await display.close()
})

t.test('S17: a browser as panel', async (t) => {
  const displays: KioskDisplay[] = []
  const press = (name: string | RegExp) => page.getByRole('button', { name, exact: true }).click()
  await panelConforms(t, {
    make: async () => {
      displays.push(await make())
      const panel = displays.at(-1)!.touch!
      panel.guide({ language: 'en', buttons: { shutter: 'Photo', ok: 'Go', cancel: 'Leave', up: 'Up', down: 'Down' } })
      return panel
    },
    press: async (panel, button) => {
      const words = { shutter: 'Photo', ok: 'Go', cancel: 'Leave', up: 'Up', down: 'Down' }
      let isTold = false
      using _ = panel.onButton(() => {
        isTold = true
      })
      await press(words[button])
      await until(button, () => isTold)
    },
    type: async (_, pin) => {
      if (pin === undefined) return press('Cancel')
      for (const digit of pin) await press(digit)
      await press('OK')
    },
    write: async (_, text) => {
      await page.getByLabel('Text').fill(text)
      await press('OK')
    },
    pick: async (_, index) => page.locator('#list button').nth(index).click(),
  })
  for (const display of displays) await display.close()
})
