/** An operator's work in a browser: signs in at the console of a site that shipped commands started, and works there (D6). */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import t from 'tap'
import { launchBrowser, noBrowser } from '../testkit/browser.ts'
import { gatewayCommand, type Running, startGatewayCommand } from './processes.ts'

const root = mkdtempSync(join(tmpdir(), 'azukari-console-'))
const folder = join(root, 'gateway')
let gateway: Running | undefined
let browser: Browser | undefined
t.teardown(async () => {
  await browser?.close()
  await gateway?.stop()
  rmSync(root, { recursive: true, force: true })
})

interface Account {
  name: string
  password: string
}

/** A tab of its own for somebody who signs in. */
async function signedIn({ name, password }: Account, locale: string): Promise<Page> {
  // The certificate is of the site's own authority, which operators import once; this browser has imported none.
  const context = await browser!.newContext({ ignoreHTTPSErrors: true, locale, acceptDownloads: true })
  const page = await context.newPage()
  await page.goto(`https://127.0.0.1:${gateway!.fact['httpsPort']}/`)
  await page.fill('#name', name)
  await page.fill('#password', 'not this one')
  await page.click('button[type=submit]')
  await page.waitForSelector('[role=alert]:not([hidden])')
  await page.fill('#password', password)
  await page.click('button[type=submit]')
  await page.waitForSelector('header')
  return page
}

/** In how many lines a cell's text stands. */
function linesOf(cell: { firstChild: unknown }): number {
  const { document } = globalThis as unknown as { document: { createRange(): Span } }
  interface Span {
    selectNodeContents(node: unknown): void
    getClientRects(): { length: number }
  }
  const range = document.createRange()
  range.selectNodeContents(cell.firstChild)
  return range.getClientRects().length
}

async function open(page: Page, command: string): Promise<void> {
  await page.fill('nav input', command)
  await page.click(`nav a[data-name="${command}"]`)
  await page.waitForSelector(`h1:text-is("${command}")`)
}

t.test('D6: a browser does an operator’s work', { skip: noBrowser }, async (t) => {
  const at = ['--folder', folder, '--site', 'tokyo']
  const { operator } = await gatewayCommand<{ operator: Account }>(['init', ...at])
  const words = ['run', ...at, '--port', '0', '--https-port', '0', '--health-port', '0']
  gateway = await startGatewayCommand(words, { logFile: join(root, 'gateway.log'), limitMs: 60_000 })
  browser = await launchBrowser()
  const admin = await signedIn(operator, 'en-GB')

  await open(admin, 'operator add')
  await admin.fill('main input', 'hanako')
  await admin.fill('main textarea', 'clerk\nfleet')
  await admin.click('main button[type=submit]')
  await admin.waitForSelector('.state.good')
  const [, password = ''] = (await admin.textContent('.answer'))?.match(/([a-z0-9]{5}(?:-[a-z0-9]{5}){3})/) ?? []
  t.ok(password, 'the answer is shown')
  await open(admin, 'operator list')
  await admin.click('main button[type=submit]')
  await admin.waitForSelector('tbody tr')
  t.match(await admin.locator('tbody').textContent(), /admin[\s\S]*hanakofleet, clerk/)
  await admin.click('thead button:text-is("name")')
  await admin.click('thead button:text-is("name")')
  t.match(await admin.locator('tbody tr').first().textContent(), /^hanako/, 'sorted the other way')
  await admin.locator('tbody tr', { hasText: 'hanako' }).locator('summary').click()
  await admin.locator('tbody tr', { hasText: 'hanako' }).locator('button:text-is("operator totp")').click()
  await admin.waitForSelector('h1:text-is("operator totp")')
  t.equal(await admin.inputValue('main input'), 'hanako', 'a row’s value goes into the next command')

  await open(admin, 'operator list')
  await admin.setViewportSize({ width: 390, height: 800 })
  await admin.locator('main button[type=submit]').focus()
  await admin.keyboard.press('Enter')
  await admin.waitForSelector('tbody tr')
  t.ok(
    await admin
      .locator('main button[type=submit]')
      .evaluate((button: { matches(css: string): boolean }) => button.matches(':focus')),
    'whoever works by the keyboard stays where they are',
  )
  t.equal(await admin.locator('tbody td:text-is("hanako")').evaluate(linesOf), 1, 'no word is broken in a narrow table')
  await admin.setViewportSize({ width: 1280, height: 720 })
  await admin.goto(`https://127.0.0.1:${gateway.fact['httpsPort']}/console/#%`)
  await admin.reload()
  await admin.waitForSelector('main h1:text-is("Home")')
  t.same(await admin.getByRole('link', { name: 'To the content' }).count(), 1, 'an address that is none leads home')

  await open(admin, 'settlement statistics')
  await admin.locator('.field', { hasText: 'out' }).locator('input').first().fill('figures.svg')
  await admin.click('main button[type=submit]')
  await admin.waitForSelector('figure img')
  t.ok(
    await admin.locator('figure img').evaluate((image: { naturalWidth?: number }) => (image.naturalWidth ?? 0) > 100),
    'a plot is shown as a picture',
  )
  const saved = admin.waitForEvent('download')
  await admin.click('figure a')
  t.equal((await saved).suggestedFilename(), 'figures.svg')

  await open(admin, 'settlement payout')
  await admin.fill('main input[type=date]', '2026-12-25')
  await admin.click('main button[type=submit]')
  await admin.waitForSelector('.state.good')
  const clerk = await signedIn({ name: 'hanako', password }, 'ja-JP')
  t.equal(await clerk.locator('html').getAttribute('lang'), 'ja')
  t.equal(
    await clerk.locator('nav a[data-name="operator add"]').count(),
    0,
    'what her roles do not allow is not offered',
  )
  await clerk.click('article button:text-is("確認して実行")')
  await clerk.waitForSelector('text=待っているものはありません。')
  t.ok(
    await clerk.locator('article .state.good').isVisible(),
    'what the confirmed act answered stays, as it is given this once',
  )
  t.equal(await clerk.locator('article button:text-is("確認して実行")').count(), 0)
  await clerk.reload()
  await clerk.waitForSelector('header')
  t.pass('a reload keeps the session of the tab')
  await clerk.click('header button:text-is("サインアウト")')
  await clerk.waitForSelector('#password')
  const told = await gatewayCommand<{ command: string; operator: string; outcome: string }[]>([
    'operator',
    'log',
    '--folder',
    folder,
  ])
  t.ok(
    told.some(
      ({ command, operator, outcome }) =>
        command === 'settlement payout' && operator === 'hanako' && outcome === 'done',
    ),
    'what was done in the browser is in the operators’ log',
  )
})
