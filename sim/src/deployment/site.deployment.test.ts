/**
 * A site by the book (J2, J3, J5, J6): hosts of their own, packages from files, set up with the very commands of
 * docs/operators.md, worked through the boards' pages in Chromium and a card that is carried.
 */
import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { encodeJpeg } from '@azukari/device/picture'
import { Problem } from '@azukari/protocol/problem'
import type { Browser, Page } from 'playwright-core'
import t from 'tap'
import { cycloneOver } from '../demo/placement/documents.ts'
import { typePin } from '../site/device-processes.ts'
import { samePixels } from '../site/independent-decoder.ts'
import { until } from '../site/wait.ts'
import { drawScene } from '../testkit/boards/scene.ts'
import { SeededRandom } from '../testkit/world/chance.ts'
import {
  type Host,
  HostNetwork,
  type HostProcess,
  hostsRefused,
  refusedWords,
  removeAfterUs,
  type Said,
} from './hosts.ts'
import { type Step, stepsOf } from './walkthrough.ts'

t.setTimeout(3_600_000)
/** Only what hangs: a busy machine makes everything slow. */
const pageMs = 900_000
const pin = '2468'
const parts = '/var/lib/azukari-device/parts'
const project = resolve(import.meta.dirname, '../../..')

const places = {
  ishikari: { latitude: 43.17, longitude: 141.32 },
  osaka: { latitude: 34.69, longitude: 135.5 },
  fukuoka: { latitude: 33.59, longitude: 130.4 },
  naha: { latitude: 26.21, longitude: 127.68 },
}
const picture = (seed: number) => encodeJpeg(drawScene(new SeededRandom(seed), 160, 120), 90)

const refused = hostsRefused()
/** Why this machine cannot make hosts; `npm run test:deployment` names what is left out. */
const skip = refused ? `${refusedWords} (${refused})` : false
const root = await mkdtemp(join(tmpdir(), 'azukari-deployment-'))
removeAfterUs(root)
endWithParent()
const packages = process.env['AZUKARI_PACKAGES'] ?? join(root, 'packages')
const network = new HostNetwork({ folder: root, packages })
const hosts = new Map<string, Host>()
const running = new Map<string, HostProcess>()
const browsers: Browser[] = []
t.teardown(async () => {
  for (const browser of browsers) await browser.close()
  await network.close()
  await rm(root, { recursive: true, force: true })
})

/** What somebody has read off a screen and types elsewhere. */
const claims = new Map<string, string>()
let password = ''
let lost = ''
let pages: { camera: Page; printer: Page }
/** Where the card is; it was made at the gateway's office. */
let card: { at: string; process?: HostProcess } = { at: 'gateway' }
/** How a card is put in. */
const inserting: string[] = []

function note(line: string, said: Said): void {
  const text = said.out + said.err
  password = /First operator[^\n]*\s+admin\s+(\S+)/.exec(text)?.[1] ?? password
  const server = /servers add (\S+)/.exec(line)?.[1]
  const claim = /--claim (\S+)/.exec(text)?.[1] ?? /claim[^\n]*?: (\S+)/i.exec(text)?.[1]
  if (server && claim) claims.set(server, claim)
  if (/claim new/.test(line)) claims.set(claims.has('camera') ? 'printer' : 'camera', text.trim().split('\n')[0]!)
}

/** Types one line as it stands, but for the claim. */
async function type(host: Host, written: string): Promise<void> {
  const line = written.replace('CLAIM', claims.get(host.name) ?? 'CLAIM').replace('LOST', lost)
  if (line === 'systemctl enable --now pcscd')
    return void (await host.start('bash -c "pcscd --foreground --error & echo up; wait"'))
  // The card is put in when a person does it, below.
  if (/ card insert /.test(line)) return void inserting.push(line)
  if (/^azukari-(gateway (run|data-server)|device run) --/.test(line)) {
    running.set(host.name, await host.start(line))
    return
  }
  const isInstalling = /^(npm install|apt-get) /.test(line)
  const isAsking = /^azukari-gateway login/.test(line)
  const said = isAsking
    ? await host.run(`script -qec '${line}' /dev/null`, { input: `${password}\n` })
    : await host.run(line, { outside: isInstalling, more: isInstalling ? registry : {} })
  if (said.code !== 0) throw new Problem('service.unavailable', `${host.name}: ${line}: ${said.out}${said.err}`)
  note(line, said)
}

/** How this machine reaches its registry. */
const registry = Object.fromEntries(
  [...Object.entries(process.env), ['npm_config_prefer_offline', 'true'], ['npm_config_ignore_scripts', 'true']].filter(
    ([name]) => !/^(TAP|NODE_OPTIONS|HOME|PATH|npm_(?!config_(prefer|ignore)))/.test(name!),
  ),
)

async function carryOut(step: Step): Promise<void> {
  const one = async (name: string) => {
    for (const line of step.lines) await type(hosts.get(name)!, line)
  }
  await Promise.all(step.hosts.map(one))
}

/** A browser on the host itself: the board's page is for nobody else. */
async function browserOn(host: Host): Promise<Browser> {
  const { chromium } = await import('playwright-core')
  const program = join(root, `chromium-${host.name}`)
  await writeFile(program, `#!/bin/sh\nexec ${host.words().join(' ')} /usr/bin/chromium "$@"\n`)
  await chmod(program, 0o755)
  process.env['TMPDIR'] = network.shared
  const browser = await chromium.launch({
    executablePath: program,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-dev-shm-usage'],
  })
  browsers.push(browser)
  return browser
}

const address = async (host: Host) =>
  (await host.run('azukari-device page --folder /var/lib/azukari-device')).out.trim()

async function pageOf(host: Host): Promise<Page> {
  const page = await (await browserOn(host)).newPage({ viewport: { width: 1024, height: 768 } })
  page.setDefaultTimeout(pageMs)
  await page.goto(await address(host))
  return page
}

t.test(
  'D1 D6 S5 S10 J2: from bare hosts to the first print, with the commands of docs/operators.md',
  { skip },
  async (t) => {
    if (!process.env['AZUKARI_PACKAGES']) {
      await mkdir(packages)
      const pack = ['--pdeathsig', 'KILL', process.execPath, join(project, 'scripts/pack.ts'), packages]
      const packing = spawn('setpriv', pack, { stdio: ['ignore', 2, 2] })
      t.equal(await new Promise((done) => packing.once('close', done)), 0, 'the packages are packed')
    }
    const document = await readFile(join(project, 'docs/operators.md'), 'utf8')
    const steps = stepsOf(document, 'From bare hosts to the first print')
    for (const name of new Set(steps.flatMap((step) => step.hosts))) hosts.set(name, await network.add(name))
    t.same([...hosts.keys()], ['gateway', 'ishikari', 'osaka', 'fukuoka', 'camera', 'printer'])
    const [gateway, camera, printer] = ['gateway', 'camera', 'printer'].map((name) => hosts.get(name)!) as [
      Host,
      Host,
      Host,
    ]
    // Cards are files here, in virtual readers behind the real daemon (docs/boards.md).
    const boards = await readFile(join(project, 'docs/boards.md'), 'utf8')
    const [reader] = stepsOf(boards, 'A card without a reader')
    for (const step of steps) {
      if (step.hosts.includes('camera'))
        for (const board of [camera, printer]) await network.carry(gateway, board, '/etc/azukari/mqtt.pem')
      await carryOut(step)
    }
    await carryOut(reader!)
    // The card, and two boards that stand elsewhere.
    pages = { camera: await pageOf(camera), printer: await pageOf(printer) }
    await takeCardTo('camera')
    await photograph(1)
    await pages.camera.getByText('kept in two places').waitFor()
    await takeCardTo('printer')
    await printNewest(t, 1)
  },
)

t.test('D4 S9 J16: a data server’s host is destroyed and another takes its place', { skip }, async (t) => {
  const before = await held()
  t.equal(before.length, 3)
  lost = before.toSorted((a, b) => b.replicas - a.replicas)[0]!.server
  await hosts.get(lost)!.destroy()
  hosts.set('naha', await network.add('naha'))
  const [declared, joined] = await inDanger()
  await carryOut(declared!)
  await carryOut(joined!)
  const all = before.reduce((sum, { replicas }) => sum + replicas, 0)
  await until(
    'all replicas are there again',
    async () => {
      const now = (await held()).filter(({ server }) => server !== lost)
      return now.length === 3 && now.reduce((sum, { replicas }) => sum + replicas, 0) >= all
    },
    120_000,
  )
})

t.test('S9 J9: what lies in the way of a forecast leaves before it arrives', { skip }, async (t) => {
  const stay = Object.keys(places).filter((name) => name !== lost)
  const endangered = (await held())
    .filter(({ server }) => stay.includes(server))
    .toSorted((a, b) => b.replicas - a.replicas)[0]!
  t.ok(endangered.replicas > 0)
  const forecast = cycloneOver('T2601', places[endangered.server as keyof typeof places], Date.now(), 6 * 3_600_000)
  await put(hosts.get('gateway')!, '/root/FORECAST', Buffer.from(forecast))
  const [, , pushed] = await inDanger()
  await carryOut(pushed!)
  await until(
    `${endangered.server} is empty`,
    async () => (await held()).find(({ server }) => server === endangered.server)!.replicas === 0,
    120_000,
  )
  // At the next board the picture comes from where it is now.
  await takeCardTo('camera')
  await takeCardTo('printer')
  await printNewest(t, 1)
})

t.test('D5 J8: what is taken while the board has no line is delivered once, when it has one', { skip }, async (t) => {
  const camera = hosts.get('camera')!
  await takeCardTo('camera')
  camera.plug(false)
  await until('the board sees that it has no line', async () => !(await hasLine(camera)), 300_000)
  await photograph(2)
  await pages.camera.getByText('No line now').waitFor()
  await photograph(3, false)
  await until('both are kept here', async () => (await statusOf(camera)).includes('2 here'))
  camera.plug(true)
  await until('both are elsewhere', async () => !/\d (here|sent|buffered)\b/.test(await statusOf(camera)), 300_000)
  await pages.camera.getByText('kept in two places').waitFor()
  await takeCardTo('printer')
  await openList(3)
  t.equal(await pages.printer.locator('#list button').count(), 3, 'D5: each is there once')
  await back(pages.printer)
})

t.test('D8 J13: one thing is deleted where it lies, and all else is taken out', { skip }, async (t) => {
  const { printer: page } = pages
  const gateway = hosts.get('gateway')!
  const before = await count()
  await openList(3, false)
  await page.locator('#list button').first().click()
  await open(page, 'Delete', 'Yes, delete it everywhere')
  await page.getByText('Your wish is accepted').waitFor()
  const erasures = 'azukari-gateway erasures --folder /var/lib/azukari'
  await until(
    'every copy is destroyed',
    async () => /^0 objects are being erased, 1 were/.test((await gateway.run(erasures)).out),
    120_000,
  )
  t.equal(await count(), before - 2, 'its two copies, and no other')
  await back(page)
  await open(page, 'What I have, and more', 'Take everything out, onto the memory card')
  await page.getByText('All of it').waitFor()
  const memory = hosts.get('printer')!.path(`${parts}/memory`)
  const manifest = JSON.parse(await readFile(join(memory, 'azukari-manifest.json'), 'utf8'))
  const taken = (manifest.files as { file: string; takenMs: number }[]).toSorted((a, b) => a.takenMs - b.takenMs)
  t.equal(taken.length, 2)
  for (const [index, { file }] of taken.entries())
    t.ok(await samePixels(await readFile(join(memory, file)), picture(index + 1)), `D8: picture ${index + 1}`)
  await back(page)
})

/** What `azukari-device status` says on a board. */
const statusOf = async (board: Host) => (await board.run('azukari-device status --folder /var/lib/azukari-device')).out

const hasLine = async (board: Host) => (await statusOf(board)).includes('line up')

/** Replicas on all servers that are left. */
async function count(): Promise<number> {
  return (await held()).reduce((sum, { server, replicas }) => (server === lost ? sum : sum + replicas), 0)
}

async function inDanger(): Promise<Step[]> {
  return stepsOf(await readFile(join(project, 'docs/operators.md'), 'utf8'), 'A host is lost, or in danger')
}

/** What the operator sees of each data server. */
async function held(): Promise<{ server: string; replicas: number }[]> {
  const { out } = await hosts.get('gateway')!.run('azukari-gateway servers --folder /var/lib/azukari')
  return [...out.matchAll(/^(\S+) +\S+ +(\d+) replicas/gm)].map(([, server, count]) => ({
    server: server!,
    replicas: Number(count),
  }))
}

/** The member pulls the card out where it is, walks, and puts it in. */
async function takeCardTo(board: 'camera' | 'printer'): Promise<void> {
  await card.process?.stop()
  const path = '/root/hanako.azcard'
  await network.carry(hosts.get(card.at)!, hosts.get(board)!, path)
  card = { at: board, process: await insert(hosts.get(board)!) }
  await pages[board].getByText('Welcome, 山田 花子').waitFor()
}

/** @param isFirst since the card was put in: the PIN is asked once */
async function photograph(seed: number, isFirst = true): Promise<void> {
  await open(pages.camera, 'Take a picture')
  if (isFirst) await typePin(pages.camera, pin)
  await pages.camera.getByText(`Put it into ${parts}/camera`).waitFor()
  await put(hosts.get('camera')!, `${parts}/camera/IMG_${seed}.JPG`, picture(seed))
}

/** The list at the printer. @param isFirst since the card was put in */
async function openList(things: number, isFirst = true): Promise<void> {
  const { printer: page } = pages
  await open(page, 'What I have, and more', 'What I have')
  if (isFirst) await typePin(page, pin)
  await page.getByText(`You have ${things} things`).waitFor()
}

async function printNewest(t: Tap, seed: number): Promise<void> {
  const { printer: page } = pages
  const folder = hosts.get('printer')!.path(`${parts}/prints`)
  const sheets = async () => (await readdir(folder).catch(() => [])).filter((name) => /^[^.].*\.png$/.test(name))
  const before = new Set(await sheets())
  await open(page, 'What I have, and more', 'What I have')
  await typePin(page, pin)
  await page.locator('#list button').first().click()
  await open(page, 'Print')
  const sheet = await until('the sheet', async () => (await sheets()).find((name) => !before.has(name)), 60_000)
  t.ok(await samePixels(await readFile(join(folder, sheet)), picture(seed)), 'S10: it is the picture')
  await page.getByText('printed').first().waitFor()
  await back(page)
}

/** As often as it takes to where a picture is taken. */
async function back(page: Page): Promise<void> {
  const start = page.getByRole('button', { name: 'Take a picture' })
  const one = page.getByRole('button', { name: 'Back' })
  for (;;) {
    await start.or(one).first().waitFor()
    if (await start.isVisible()) return
    // The page may have gone on by itself since.
    await one.click({ timeout: 2_000 }).catch(() => undefined)
  }
}

type Tap = Pick<typeof t, 'ok'>

/** Chooses one after the other. */
async function open(page: Page, ...names: string[]): Promise<void> {
  for (const name of names) await page.getByRole('button', { name, exact: true }).click()
}

/** A file comes into a folder whole. */
async function put(host: Host, path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(host.path('/root/coming'), bytes)
  await rename(host.path('/root/coming'), host.path(path))
}

/** The card into a board's reader. It is a file here, and the reader a virtual one; the PC/SC daemon is the real one. */
function insert(host: Host): Promise<HostProcess> {
  return host.start(inserting[0]!)
}

/** Whoever runs this may be killed; then nobody reads what comes of it. */
function endWithParent(): void {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
  }, 1_000)
  timer.unref()
}
