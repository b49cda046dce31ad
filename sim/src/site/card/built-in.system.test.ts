/** The card built into a device: the card's application over the keystore, behind the reader's contract (S14, S15). */
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BuiltInReader } from '@azukari/boards/built-in-reader'
import { issueCard } from '@azukari/device/applet/issue'
import { KeptCard } from '@azukari/device/applet/kept-card'
import { CardClient } from '@azukari/device/card'
import { readerConforms } from '@azukari/device/conformance/reader'
import type { CardChannel, CardEvent } from '@azukari/device/drivers'
import { Keystore } from '@azukari/device/keystore'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { decodeResponse, encodeCommand, instructions as ins } from '@azukari/protocol/card/apdu'
import { pinBlock, providerProofMessage } from '@azukari/protocol/card/layout'
import { signerOf, toBeSigned } from '@azukari/protocol/cose'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import type { Files } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { quietLog as log } from '../../testkit/log.ts'
import { SeededRandom } from '../../testkit/world/chance.ts'
import { SimClock } from '../../testkit/world/clock.ts'
import { SimFiles } from '../../testkit/world/files.ts'
import { until } from '../wait.ts'

const never = new AbortController().signal
const random = new SeededRandom(7)
const providerKey = generateKey('ed25519', random)
const [pin, puk] = ['2468', '12345678']
const folder = '/keystore'
const temporary = mkdtempSync(join(tmpdir(), 'azukari-built-in-'))
t.teardown(() => rmSync(temporary, { recursive: true, force: true }))

function made(seed = 1) {
  return issueCard({
    kind: 'ed25519',
    member: { id: new SeededRandom(seed).bytes(16), number: 'A-1', name: '預かり 花子' },
    level: 2,
    homeRegion: 'JP-13',
    pin,
    puk,
    providerKey: coseKey(publicOf(providerKey)),
    random: new SeededRandom(seed),
  })
}

const storeOn = (files: Files) => new Keystore({ files, random, folder })
/** A medium with a card on it. */
async function issued(): Promise<SimFiles> {
  const files = new SimFiles({ random: new SeededRandom(2) })
  await KeptCard.install(storeOn(files), made().memory)
  return files
}
async function channelTo(files: Files): Promise<CardChannel> {
  const card = await KeptCard.load(storeOn(files), random)
  return { kind: 'built-in', transmit: (apdu) => card.transmit(apdu), disconnect: async () => undefined }
}
const open = async (files: Files) => CardClient.open(await channelTo(files), systemClock, never)
const verify = (digits: string) => encodeCommand({ cla: 0, ins: ins.verify, p1: 0, p2: 0x81, data: pinBlock(digits)! })
const prove = (client: CardClient) =>
  client.authenticateProvider(
    async (challenge) => signerOf(providerKey).sign(providerProofMessage(client.facts.card, challenge)),
    never,
  )
const settled = async (work: Promise<unknown>) => {
  try {
    return await work
  } catch (error) {
    if (!isProblem(error)) throw error
    return error
  }
}

t.test('S14 S17: the card built in conforms as every reader does', (t) => {
  let files = new SimFiles({ random })
  return readerConforms(t, {
    stalled: undefined,
    kinds: ['built-in'],
    make: async () => {
      files = new SimFiles({ random })
      return new BuiltInReader({ files, random, folder, clock: systemClock, log, lookMs: 2 })
    },
    insert: async (reader) => {
      await KeptCard.install(storeOn(files), made().memory)
      await until('the card', () => reader.cards().length === 1)
    },
    remove: async (reader) => {
      await KeptCard.erase(storeOn(files))
      await until('no card', () => reader.cards().length === 0)
    },
  })
})

t.test('S14: issued while the device runs, it is there without a restart; a closed reader looks no more', async (t) => {
  const clock = new SimClock()
  const files = new SimFiles({ random })
  const reader = new BuiltInReader({ files, random, folder, clock, log })
  const events: CardEvent[] = []
  reader.onCard((event) => events.push(event))
  await clock.runUntil(clock.now() + 10_000)
  t.same(reader.cards(), [])
  await t.rejects(reader.connect(never), { code: 'card.absent', detail: /azukari-device card issue/ })
  await KeptCard.install(storeOn(files), made().memory)
  await clock.runUntil(clock.now() + 2_000)
  t.same(events, [{ type: 'inserted', kind: 'built-in' }])
  await reader.close()
  await KeptCard.erase(storeOn(files))
  await clock.runUntil(clock.now() + 10_000)
  t.equal(events.length, 1)
  await t.rejects(reader.connect(never), { code: 'reader.failed' })
})

t.test('S15: what the PIN opened is closed again after a while, for nobody takes the card out', async (t) => {
  const clock = new SimClock()
  const files = await issued()
  const reader = new BuiltInReader({ files, random, folder, clock, log, forgetMs: 60_000 })
  const events: CardEvent[] = []
  reader.onCard((event) => events.push(event))
  await clock.runUntil(clock.now() + 1)
  const channel = await reader.connect(never)
  const client = await CardClient.open(channel, clock, never)
  await clock.runUntil(clock.now() + 600_000)
  t.equal(events.length, 1, 'a card whose PIN was not shown stays as it is')
  await client.verifyPin(pin, never)
  await clock.runUntil(clock.now() + 50_000)
  await client.signAct(never).sign(actToSign())
  await clock.runUntil(clock.now() + 50_000)
  t.equal(await client.pinTriesLeft(never), undefined, 'used meanwhile, it is still open')
  await clock.runUntil(clock.now() + 61_000)
  t.same(
    events.slice(1).map(({ type }) => type),
    ['removed', 'inserted'],
  )
  await t.rejects(channel.transmit(verify(pin), never), { code: 'card.removed' })
  await channel.disconnect()
  const again = await CardClient.open(await reader.connect(never), clock, never)
  t.equal(await again.pinTriesLeft(never), 3, 'the PIN must be shown again')
  await reader.close()
})

t.test('S15: cutting the power at any step saves no try, blocks nobody who is right, and tears nothing', async (t) => {
  const image = (await issued()).image()
  const told: Record<string, (string | undefined)[]> = {}
  for (const [what, digits, rightAnswer] of [
    ['wrong', '0000', 0x63c2],
    ['right', pin, 0x9000],
  ] as const) {
    for (let cut = 0, isWhole = false; !isWhole; cut++) {
      const files = new SimFiles({ random: new SeededRandom(cut) })
      files.restore(image)
      const channel = await channelTo(files)
      const operations: string[] = []
      files.intercept = (operation) => operations.push(operation)
      files.cutAfterChanges = files.changes + cut
      const answer = await settled(channel.transmit(verify(digits), never))
      isWhole = !(answer instanceof Problem)
      if (!(answer instanceof Problem)) t.equal(decodeResponse(answer as Uint8Array).sw, rightAnswer)
      files.intercept = undefined
      files.powerLoss()
      const left = await (await open(files)).pinTriesLeft(never)
      told[what] ??= []
      told[what].push(`${operations.length}`)
      if (isWhole) t.equal(left, what === 'right' ? 3 : 2)
      else t.ok(left === 3 || left === 2, `${what}, cut after ${cut}: ${left} tries`)
    }
  }
  // A plug pulled at the same moment looks the same, right or wrong, until the try is counted for good.
  t.same(told['right']!.slice(0, told['wrong']!.length - 1), told['wrong']!.slice(0, -1))
  t.ok(told['right']!.length > told['wrong']!.length, 'a right one gives the tries back, afterwards')

  const files = new SimFiles({ random: new SeededRandom(3) })
  files.restore(image)
  const chance = new SeededRandom(4)
  let answers = 0
  for (let attempt = 0; attempt < 300; attempt++) {
    const channel = await channelTo(files)
    files.cutAfterChanges = files.changes + Math.floor(chance.float() * 14)
    const answer = await settled(channel.transmit(verify('0000'), never))
    if (!(answer instanceof Problem) && decodeResponse(answer as Uint8Array).sw !== 0x6983) answers++
    files.powerLoss()
  }
  t.ok(answers <= 2, `${answers} answers to 300 tries with a hand on the plug`)
  t.equal(await (await open(files)).pinTriesLeft(never), 0)
  await t.rejects((await open(files)).verifyPin(pin, never), { code: 'card.blocked' }, 'and it stays locked')
  await (await open(files)).unblock(puk, '9753', never)
  files.powerLoss()
  await (await open(files)).verifyPin('9753', never)
})

/** Work on a card, each with what must be so before and after it, and nothing between. */
const works: Record<
  string,
  { work: (client: CardClient) => Promise<unknown>; state: (client: CardClient) => unknown }
> = {
  conditions: {
    work: (client) =>
      client.writeConditions({ object: new Uint8Array(16).fill(9), version: 1, record: record(9) }, never),
    state: (client) => client.readConditions().map((held) => Buffer.from(held.record).toString('hex')),
  },
  level: {
    work: (client) => client.updateLevel({ level: 3, home: 'JP-27' }, never),
    state: (client) => client.facts.level,
  },
  pin: {
    work: (client) => client.changePin(pin, '1357', never),
    state: async (client) => (await settled(client.verifyPin('1357', never))) === undefined,
  },
}
function record(n: number): Uint8Array {
  return Uint8Array.from({ length: 700 }, (_, i) => (i * 7 + n * 31) & 255)
}

t.test('S8 S15: a write that the power interrupts at any step leaves the old or the new', async (t) => {
  const image = (await issued()).image()
  const stateAfter = async (what: string, files: Files) => JSON.stringify(await works[what]!.state(await open(files)))
  for (const what of Object.keys(works)) {
    const seen = new Set<string>()
    let steps = 0
    for (let isWhole = false; !isWhole; steps++) {
      const files = new SimFiles({ random: new SeededRandom(steps) })
      files.restore(image)
      const client = await open(files)
      await prove(client)
      files.cutAfterChanges = files.changes + steps
      isWhole = (await settled(works[what]!.work(client))) instanceof Problem === false
      files.powerLoss()
      const after = await open(files)
      t.equal(after.tornSlots, 0, `${what}, cut after ${steps}: nothing is torn`)
      t.equal(after.facts.member.name, '預かり 花子')
      seen.add(await stateAfter(what, files))
    }
    t.equal(seen.size, 2, `${what}: the old and the new, and nothing else, in ${steps} cuts`)
  }
})

t.test('S15: a power cut while the card is issued leaves a whole card or none', async (t) => {
  const { memory } = made()
  for (let cut = 0, isWhole = false; !isWhole; cut++) {
    const files = new SimFiles({ random: new SeededRandom(cut) })
    files.cutAfterChanges = cut
    isWhole = !((await settled(KeptCard.install(storeOn(files), memory))) instanceof Problem)
    files.powerLoss()
    if (isWhole) t.equal(await KeptCard.isIssued(storeOn(files)), true, `whole after ${cut}`)
    if (!(await KeptCard.isIssued(storeOn(files)))) await KeptCard.install(storeOn(files), memory)
    t.equal((await open(files)).facts.member.number, 'A-1', `cut after ${cut}`)
  }
})

t.test(
  'S17: a medium that is full, protected or broken is told, and nothing is believed that was not kept',
  async (t) => {
    const files = await issued()
    const reader = new BuiltInReader({ files, random, folder, clock: systemClock, log, lookMs: 2 })
    await until('the card', () => reader.cards().length === 1)
    for (const [what, code] of [
      ['write', 'storage.full'],
      ['sync', 'storage.failed'],
      ['rename', 'storage.failed'],
      ['open', 'storage.failed'],
    ] as const) {
      const channel = await reader.connect(never)
      const client = await CardClient.open(channel, systemClock, never)
      await prove(client)
      files.intercept = (operation) => {
        if (operation === what) throw new Problem(code, 'the medium')
      }
      const failed = await settled(client.verifyPin(pin, never))
      t.match(failed, { code: 'reader.failed', detail: /the medium/ }, what)
      files.intercept = undefined
      t.equal((await channel.transmit(verify(pin), never)).length, 0, 'like a card that lost power, it answers nothing')
      await channel.disconnect()
      const again = await CardClient.open(await reader.connect(never), systemClock, never)
      t.ok(((await again.pinTriesLeft(never)) ?? 0) >= 2)
      await again.verifyPin(pin, never)
      await t.rejects(reader.connect(never), { code: 'part.busy' })
      await reader.close()
      break
    }
  },
)

t.test('S14: what rests in the keystore opens with its secret alone, in its own place alone', async (t) => {
  const files = systemFiles()
  const own = join(temporary, 'own')
  const store = new Keystore({ files, random, folder: own })
  const { memory } = made()
  await KeptCard.install(store, memory)
  const [secret, sealed] = [join(own, 'secret'), join(own, 'card.sealed')]
  t.equal(statSync(secret).mode & 0o777, 0o600)
  t.equal(statSync(sealed).mode & 0o777, 0o600)
  const bytes = readFileSync(sealed)
  for (const key of Object.values(memory.keys))
    t.notOk(bytes.includes(key.export({ format: 'der', type: 'pkcs8' }).subarray(-32)), 'no private key in clear')
  t.notOk(bytes.includes('預かり'))
  await t.rejects(KeptCard.install(store, memory), { code: 'config.invalid', detail: /not overwritten/ })
  chmodSync(secret, 0o644)
  await t.rejects(KeptCard.load(store, random), { code: 'config.invalid', detail: /others can read.*chmod 600/ })
  chmodSync(secret, 0o600)
  copyFileSync(sealed, join(own, 'other.sealed'))
  await t.rejects(store.read('other'), { code: 'card.damaged' }, 'another item’s place')
  writeFileSync(sealed, bytes.subarray(0, bytes.length - 1))
  await t.rejects(KeptCard.load(store, random), { code: 'card.damaged' })
  writeFileSync(sealed, bytes)
  const right = readFileSync(secret)
  writeFileSync(secret, 'short')
  await t.rejects(KeptCard.load(store, random), { code: 'config.invalid', detail: /no secret of 32 bytes/ })
  rmSync(secret)
  await t.rejects(KeptCard.load(store, random), { code: 'config.invalid', detail: /is not there/ })
  await t.rejects(
    store.write('card', bytes),
    { code: 'config.invalid' },
    'no new secret hides that the old one is missing',
  )
  const elsewhere = join(temporary, 'elsewhere')
  writeFileSync(elsewhere, right, { mode: 0o600 })
  await KeptCard.load(new Keystore({ files, random, folder: own, secret: elsewhere }), random)
  t.ok(
    await KeptCard.load(new Keystore({ files, random, folder: own, secret: elsewhere }), random),
    'it may lie elsewhere',
  )
})

t.test('S14 S15: azukari-device card issues, shows, changes the PIN of and erases the card built in', async (t) => {
  const cli = join(import.meta.dirname, '../../../../device/src/cli.ts')
  const device = join(temporary, 'device')
  mkdirSync(device)
  const run = (args: string[], env: Record<string, string> = {}) => {
    const done = spawnSync(process.execPath, [cli, 'card', ...args, '--folder', device, '--json'], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    })
    return { status: done.status, said: JSON.parse(done.stdout || '{}') }
  }
  const key = Buffer.from(coseKey(publicOf(providerKey))).toString('hex')
  const out = join(temporary, 'card.json')
  const issue = ['issue', '--name', '山田 太郎', '--home', 'JP-13', '--record', out]
  t.match(run(issue, { AZUKARI_PIN: pin }), { status: 1, said: { problem: { detail: /not enrolled yet/ } } })
  const { status, said } = run([...issue, '--provider-key', key], { AZUKARI_PIN: pin })
  t.equal(status, 0)
  t.match(said, { puk: /^\d{8}$/, registration: out, record: { name: '山田 太郎', level: 1, homeRegion: 'JP-13' } })
  t.same(JSON.parse(readFileSync(out, 'utf8')), said.record)
  t.match(run([...issue, '--provider-key', key], { AZUKARI_PIN: pin }), {
    status: 1,
    said: { problem: { detail: /not overwritten/ } },
  })
  const shown = run(['show'])
  t.match(shown.said, { card: said.record.card, member: { name: '山田 太郎' }, pinTriesLeft: 3, tornSlots: 0 })
  t.match(run(['pin', '--new-pin', '1111'], { AZUKARI_PIN: '9999' }), {
    status: 1,
    said: { problem: { code: 'card.wrong-pin' } },
  })
  t.equal(run(['show']).said.pinTriesLeft, 2, 'counted across processes')
  t.equal(run(['pin', '--new-pin', '1111'], { AZUKARI_PIN: pin }).status, 0)
  for (let i = 0; i < 3; i++) run(['pin', '--new-pin', '2222', '--pin', pin])
  t.match(run(['pin', '--new-pin', '2222', '--pin', '1111']), { said: { problem: { code: 'card.blocked' } } })
  t.equal(run(['pin', '--new-pin', '3333', '--puk', said.puk]).status, 0)
  t.equal(run(['pin', '--new-pin', '4444', '--pin', '3333']).status, 0)
  // The test's own parent is alive and is not this process.
  writeFileSync(join(device, 'running.json'), JSON.stringify({ pid: process.pid, link: 'up', sinceMs: 0 }))
  t.match(
    run(['show']),
    { status: 1, said: { problem: { code: 'part.busy' } } },
    'while the device runs the card is its own',
  )
  rmSync(join(device, 'running.json'))
  t.match(run(['erase', '--serial', '00']), { status: 1, said: { problem: { detail: new RegExp(shown.said.serial) } } })
  t.equal(run(['erase', '--serial', shown.said.serial]).status, 0)
  t.match(run(['show']), { status: 1, said: { problem: { code: 'card.absent' } } })
})

function actToSign(): Uint8Array {
  return toBeSigned(Uint8Array.of(0xa0), new TextEncoder().encode('x'), new TextEncoder().encode('azukari/offer/1'))
}
