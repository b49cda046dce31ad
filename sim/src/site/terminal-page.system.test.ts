/**
 * A member and their money at a PC's board (J4, J11, J12): a site and a board of shipped commands in real processes; the
 * clerk works with commands, the member with the local page in Chromium and the letter alone.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@azukari/protocol/adapters/free-port'
import t from 'tap'
import { launchBrowser, noBrowser } from '../testkit/browser.ts'
import { codesOf } from '../testkit/settlement/fixture.ts'
import { deviceCommand, startBoard, typePin } from './device-processes.ts'
import { gatewayCommand, startGatewayCommand } from './processes.ts'
import { until } from './wait.ts'

const pin = '2468'
const [passwordA, passwordB] = ['correct horse', 'battery staple']

t.test(
  'D8 P1 P2 P5 P8 S17: becoming a member, topping up, history and consent at a PC’s page',
  { skip: noBrowser },
  async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'azukari-terminal-page-'))
    const [site, board] = [`${root}/site`, `${root}/board`]
    const ends: (() => Promise<unknown>)[] = [() => rm(root, { recursive: true, force: true })]
    t.teardown(async () => {
      for (const end of ends.reverse()) await end()
    })
    await mkdir(site)
    await gatewayCommand(['init', '--folder', site, '--site', 'home'])
    const ports = ['--port', '0', '--peer-port', String(await freePort())]
    const gateway = await startGatewayCommand(['run', '--folder', site, '--site', 'home', ...ports], {
      logFile: `${root}/gateway.log`,
    })
    ends.push(() => gateway.stop())
    const here = ['--folder', site, '--site', 'home']
    const { claim } = await gatewayCommand<{ claim: string }>(['claim', 'new', '--folder', site, '--region', 'JP-13'])
    const broker = `mqtt://127.0.0.1:${gateway.fact['port']}`
    const device = await startBoard([
      '--board',
      'pc-kiosk',
      '--broker',
      broker,
      '--site',
      'home',
      '--folder',
      board,
      '--claim',
      claim,
    ])
    ends.push(() => device.stop())
    const isUp = async () => (await deviceCommand(['status', '--folder', board])).out.includes('line up')
    await until('the enrolment', isUp, 60_000)
    const issue = [
      'card',
      'issue',
      '--folder',
      board,
      '--name',
      '山田 花子',
      '--home',
      'JP-13',
      '--record',
      `${root}/card.json`,
    ]
    t.equal((await deviceCommand(issue, { AZUKARI_PIN: pin })).code, 0)
    await gatewayCommand(['member', 'add', ...here, `${root}/card.json`])

    const browser = await launchBrowser()
    ends.push(() => browser.close())
    const page = await browser.newPage({ viewport: { width: 1024, height: 768 } })
    page.setDefaultTimeout(300_000)
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(String(error)))
    await page.goto(device.fact.page)
    const pick = (name: string) => page.getByRole('button', { name, exact: true }).click()
    const write = async (prompt: RegExp, text: string) => {
      await page.getByRole('heading', { name: prompt }).waitFor()
      await page.locator('#ask input.text').fill(text)
      await page.locator('#ask').getByRole('button', { name: 'OK', exact: true }).click()
    }
    const person = async () => {
      await write(/^Your name \(山田 花子\)$/, '山田 花子')
      await write(/^Your name in kana$/, 'ヤマダ ハナコ')
      await write(/^Postcode/, '1000001')
      await write(/^Your address$/, '東京都千代田区千代田1')
      await pick('Without one')
    }
    await page.getByText('Welcome, 山田 花子').waitFor()
    await pick('What I have, and more')
    await pick('Money and statements')
    await pick('Apply for membership')
    await person()
    await pick('Yes')
    await page.getByText('Number and codes come by letter').waitFor()

    // The clerk accepts; the letter is all that the member gets.
    const [application] = await gatewayCommand<{ id: string }[]>(['settlement', 'applications', ...here])
    const accept = ['settlement', 'accept', application!.id, ...here, '--out', `${root}/letter.pdf`]
    const { number } = await gatewayCommand<{ number: string }>(accept)
    const { code } = codesOf(await readFile(`${root}/letter.pdf`))
    await pick('Register with the letter that came')
    await pick('Two passwords')
    for (const [password, prompt] of [
      [passwordA, 'Your new password A'],
      [passwordB, 'Your new password B'],
    ] as const) {
      await page.getByRole('heading', { name: new RegExp(`^${prompt}[^(]*$`) }).waitFor()
      const covered = await page
        .locator('#ask input.text')
        .evaluate(
          (field) =>
            (globalThis as never as { getComputedStyle(of: unknown): Record<string, string> }).getComputedStyle(field)[
              'webkitTextSecurity'
            ],
        )
      t.equal(covered, 'disc', 'a password is not readable on the page')
      await write(new RegExp(`^${prompt}[^(]*$`), password)
      await write(new RegExp(`^${prompt}.*Once more`), password)
    }
    await write(/^Member number of the letter/, number)
    await write(/^Registration code of the letter/, code)
    await person()
    await write(/^Password B$/, passwordB)
    await page.getByText(`You are registered as ${number}`).waitFor()
    await pick('Back')

    // A payment number for cash; two passwords, as always when something is signed.
    await pick('Money and statements')
    await write(/^Password A$/, passwordA)
    await pick('Top up')
    await pick('Cash by registered post')
    await write(/^Amount in JPY$/, '5000')
    await write(/^Password B$/, passwordB)
    await page.getByText('State this number when you pay').waitFor()
    await pick('My history')
    await page.getByRole('button', { name: /Payment expected/ }).waitFor()
    for (let steps = 0; steps < 2; steps++) await pick('Back')

    // Consent is the card's word: the PIN, and the site's answer.
    await pick('Consent, how long, closing')
    await pick('My consent')
    await page.getByRole('heading', { name: /places of pictures.*now: No/ }).waitFor()
    await pick('Yes')
    await page.getByRole('heading', { name: /other countries/ }).waitFor()
    await pick('No')
    await typePin(page, pin)
    await page.getByText('Your wish is accepted').waitFor()
    await pick('My consent')
    await page.getByRole('heading', { name: /places of pictures.*now: Yes/ }).waitFor()
    const log = device.log()
    for (const secret of [passwordA, passwordB, code])
      t.notOk(log.includes(secret), 'nothing that was entered is logged')
    t.same(errors, [], 'no script failed')
  },
)
