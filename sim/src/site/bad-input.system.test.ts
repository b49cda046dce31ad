/**
 * Everything that people, cards, devices, disks and strangers do wrong, at one running site of real processes (issue 2,
 * bad input). Each is told to the person with its own words, and in the end whatever was acknowledged opens from both
 * replicas.
 */
import { createHash } from 'node:crypto'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fetchObject } from '@azukari/device/apps/fetch'
import type { Save } from '@azukari/device/saves'
import { TestDevice } from '@azukari/gateway/test-client'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { readState } from '@azukari/protocol/contracts/fleet'
import { carryFrame } from '@azukari/protocol/contracts/read'
import { saveStatus } from '@azukari/protocol/contracts/save'
import { initTransfer } from '@azukari/protocol/contracts/transfer'
import { encodeRequest } from '@azukari/protocol/envelope'
import { describe } from '@azukari/protocol/problem'
import t from 'tap'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'
import { quietLog } from '../testkit/log.ts'
import { boardPlaces, places } from '../testkit/places.ts'
import { pin, SimulatedSite, type SiteBoard } from './site.ts'
import { pictureOf } from './test-pictures.ts'
import { until } from './wait.ts'

const puk = '87654321'
/** CONNACK of MQTT 3.1.1 (§3.2.2.3). */
const notAuthorized = 5
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const refused = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error) => (error as { code?: string | number }).code ?? String(error),
  )

const folder = await mkdtemp(join(tmpdir(), 'azukari-bad-input-'))
const servers = places.filter(({ id }) => ['ishikari', 'osaka', 'singapore'].includes(id))
const site = new SimulatedSite({ folder, servers, log: quietLog })
t.teardown(async () => {
  await site.stop()
  await rm(folder, { recursive: true, force: true })
})
await site.start()
const hanako = await site.issueCard('Hanako', { puk })
const taro = await site.issueCard('Taro')
const board = (id: string): SiteBoard => site.boards.get(id)!
/** What the site said yes to, with the bytes it was given. */
const acknowledged: { card: VirtualCard; save: Save; bytes: Uint8Array }[] = []
let pictures = 0

/** Whether a display has shown a problem, in its words, since a moment of its history. */
const shownAt = (on: SiteBoard, code: string, since: number) =>
  on.board.display.history
    .slice(since)
    .some(({ lines }) => lines.some((line) => line.includes(describe(code, 'en').title)))
const shown = (on: SiteBoard, code: string, since: number) =>
  until(`“${describe(code, 'en').title}” on the ${on.place.id}`, () => shownAt(on, code, since))

async function insert(on: SiteBoard, card: VirtualCard): Promise<void> {
  on.board.reader.insert(card)
  await until('the member’s session', () => on.runtime.presence?.card?.session)
}

async function takeOut(on: SiteBoard): Promise<void> {
  on.board.reader.remove()
  on.board.reader.remove('contactless')
  await until('the card to leave', () => !on.runtime.presence?.card)
}

/** Keeps a file by way of the PC link; what is acknowledged is remembered for the end. */
async function keep(card: VirtualCard, bytes = pictureOf(7, pictures)): Promise<Save> {
  const name = `picture-${++pictures}.bin`
  const read = async (at: number, length: number) => bytes.subarray(at, at + length)
  const file = { name, mediaType: 'application/octet-stream', sizeBytes: bytes.length, read, done: async () => {} }
  const save = await board('camera').runtime.camera!.keepFile(file, pin)
  acknowledged.push({ card, save, bytes })
  return save
}

const stateOf = async (save: Save) =>
  (await board('camera').runtime.saves.list(1000)).find(({ object }) => hex(object) === hex(save.object))
const received = (save: Save) =>
  until(`${save.name} in the buffer`, async () => (await stateOf(save))?.state === 'buffered', 60_000)
const kept = (save: Save) =>
  until(`the receipt of ${save.name}`, async () => (await stateOf(save))?.state === 'kept', 60_000)

async function stranger(role: 'device' | 'claim' = 'device'): Promise<TestDevice> {
  const device = new TestDevice('site')
  await device.enrol(site.broker, await site.newClaim('JP-27'))
  await device.connect(site.broker, role)
  await device.greet()
  return device
}

t.test('D6: unknown devices and wrong claims are turned away, and the person is told', async (t) => {
  const unknown = new TestDevice('site')
  t.equal(await refused(unknown.connect(site.broker)), notAuthorized, 'no enrolment, no line')
  const wrong = `${(await site.newClaim('JP-13')).split('.')[0]}.${'a'.repeat(32)}`
  const place = { id: 'newcomer', role: 'camera', name: 'Newcomer', region: 'JP-13' } as const
  const newcomer = await site.startBoard(place, { claim: wrong })
  await shown(newcomer, 'claim.wrong', 0)
  await newcomer.runtime.stop()
  site.boards.delete('newcomer')
  const used = await site.newClaim('JP-13')
  await new TestDevice('site').enrol(site.broker, used)
  t.equal(await refused(new TestDevice('site').enrol(site.broker, used)), 'claim.used')
})

t.test('S2 S3: cards that do not belong are turned away, each with its own cause', async (t) => {
  const camera = board('camera')
  for (const [card, code] of [
    [await site.issueCard('Stranger', { register: false }), 'card.unknown'],
    [await site.issueCard('Pretender', { level: 3, registeredLevel: 1 }), 'level.mismatch'],
  ] as const) {
    const since = camera.board.display.history.length
    camera.board.reader.insert(card)
    await shown(camera, code, since)
    t.equal(await refused(camera.runtime.camera!.shutter(pin)), code, 'and nothing can be kept with it')
    await takeOut(camera)
  }
})

t.test('S15: a wrong PIN is counted, the card blocks at zero, and the PUK unblocks it', async (t) => {
  const camera = board('camera')
  await insert(camera, hanako)
  const since = camera.board.display.history.length
  camera.board.panel.person = () => '0000'
  camera.board.panel.press('shutter')
  await shown(camera, 'card.wrong-pin', since)
  for (let tries = 0; tries < 5 && !shownAt(camera, 'card.blocked', since); tries++) {
    const before = camera.board.display.history.length
    camera.board.panel.press('shutter')
    await until('an answer', () => camera.board.display.history.length > before)
  }
  await shown(camera, 'card.blocked', since)
  camera.board.panel.person = () => pin
  t.equal(await refused(camera.runtime.camera!.shutter(pin)), 'card.blocked', 'the right PIN is too late')
  await takeOut(camera)
  const terminal = board('terminal')
  await insert(terminal, hanako)
  t.equal(await refused(terminal.runtime.terminal!.unblock('00000000', pin)), 'card.wrong-pin')
  await shown(terminal, 'card.wrong-pin', 0)
  await terminal.runtime.terminal!.unblock(puk, pin)
  t.match(terminal.board.display.current?.lines[0], /unblocked/)
  await takeOut(terminal)
  await insert(camera, hanako)
  await kept(await keep(hanako))
})

t.test('S14: two cards at once are told apart from one', async (t) => {
  const camera = board('camera')
  await takeOut(camera)
  const since = camera.board.display.history.length
  camera.board.reader.insert(hanako)
  camera.board.reader.insert(taro, 'contactless')
  await shown(camera, 'card.two', since)
  t.equal(await refused(camera.runtime.camera!.shutter(pin)), 'card.absent')
  await takeOut(camera)
})

t.test('S8: a card pulled out in the middle', async (t) => {
  const camera = board('camera')
  await insert(camera, hanako)
  camera.board.panel.person = undefined
  const since = camera.board.display.history.length
  camera.board.panel.press('shutter')
  await until('the question for the PIN', () => camera.board.panel.asked)
  await takeOut(camera)
  await shown(camera, 'card.removed', since)
  camera.board.panel.person = () => pin
  await insert(camera, hanako)
  const save = await keep(hanako)
  // The power goes while the conditions are being written: the card has the old or the new, never half of it.
  hanako.cutPower({ writtenBytes: 40 })
  await kept(save)
  await shown(camera, 'card.torn', since)
  await takeOut(camera)
  await insert(camera, hanako)
  await until(
    'the conditions on the card',
    () => camera.runtime.presence?.card?.client.readConditions().length === acknowledged.length || undefined,
  )
  t.pass('brought up to date at the next insertion')
})

t.test('S4: blocks that do not match are asked for again', async (t) => {
  const { tap } = board('camera')
  let blocks = 0
  let damaged = 0
  tap.meddle = (topic, payload) => {
    if (!topic.includes('/up/') || blocks++ % 3 !== 0 || damaged > 5) return payload
    damaged++
    const bad = Uint8Array.from(payload)
    bad[bad.length >> 1]! ^= 1
    return bad
  }
  await kept(await keep(hanako, systemRandom.bytes(1_000_000)))
  tap.meddle = undefined
  t.ok(damaged > 3 && blocks >= 16 + damaged, `${damaged} of ${blocks} blocks damaged`)
})

t.test('D3: malformed and oversized messages have coded answers, and nobody else notices', async (t) => {
  const device = await stranger()
  for (const bytes of [
    Uint8Array.of(0xff),
    Uint8Array.of(0xbf, 0xff),
    Uint8Array.from([...Array(64).fill(0x81), 0]),
    Uint8Array.of(0xa2, 1, 1, 1, 1),
    systemRandom.bytes(1000),
  ]) {
    const topic = device.topic('call', readState.name)
    device.client.publish(topic, Buffer.from(device.channel.seal(bytes, topic)), { qos: 1 })
    device.client.publish(topic, Buffer.from(bytes), { qos: 1 })
  }
  for (const wrong of [{ object: 'text', version: 1 }, { object: systemRandom.bytes(15), version: 1 }, {}, [], 7])
    t.equal((await device.ask(saveStatus, wrong)).problem?.code, 'message.invalid')
  const unknown = { id: 'save.everything@1', name: 'save.everything' }
  t.equal((await device.ask(unknown, {})).problem?.code, 'message.unknown-contract')
  t.match(await device.call(readState, {}), { device: device.id }, 'and the line still stands')
  await device.close()
})

t.test('D3: a PUBLISH that declares 256 MB is cut off, and the gateway does not grow', async (t) => {
  const device = await stranger()
  await device.close()
  const before = await memoryOf(site.gateway!.pid)
  const sent = await pour(device)
  t.ok(sent < 8 * 2 ** 20, `cut off after ${sent} bytes`)
  const grown = (await memoryOf(site.gateway!.pid)) - before
  t.ok(grown < 64, `${grown} MB more`)
  await kept(await keep(hanako))
})

t.test('D3: a subscriber that stops reading holds up nobody', async (t) => {
  const stalled = await stranger()
  stalled.client.stream.pause()
  const topic = stalled.topic('call', carryFrame.name)
  const ask = (n: number) =>
    encodeRequest({
      contract: carryFrame.id,
      id: systemRandom.bytes(16),
      atMs: Date.now(),
      body: { server: 'osaka', frame: new Uint8Array(8_000).fill(n) },
    })
  for (let n = 0; n < 2_000 && stalled.client.connected; n++)
    stalled.client.publish(topic, Buffer.from(stalled.channel.seal(ask(n), topic)), { qos: 0 })
  await kept(await keep(hanako))
  t.pass('a save went through meanwhile')
  stalled.client.stream.resume()
  await stalled.close()
})

t.test('S10: what is another member’s is not given out, whoever asks and however', async (t) => {
  const mine = acknowledged.find(({ card }) => card === hanako)!
  const device = await stranger()
  t.same(await device.call(saveStatus, { object: mine.save.object, version: 1 }), { stage: 'unknown' })
  // The same content, announced by its hash from elsewhere: nothing is known of it there, all of it must be sent.
  const have = await device
    .call(initTransfer, {
      transfer: systemRandom.bytes(16),
      to: 'placement',
      sizeBytes: 65_552,
      blockBytes: 65_552,
      blocks: 1,
      root: Buffer.from(sha256(mine.bytes), 'hex'),
      leaves: [Buffer.from(sha256(mine.bytes), 'hex')],
      expiresMs: Date.now() + 60_000,
    })
    .catch((error) => error)
  t.ok(have.code === 'transfer.bad-root' || (have.complete === false && have.ranges.length === 0), 'no shortcut')
  await device.close()
  const printer = board('printer')
  await takeOut(board('camera'))
  await insert(printer, hanako)
  const conditions = (await printer.runtime.printer!.list(pin)).find(
    ({ object }) => hex(object) === hex(mine.save.object),
  )!
  await takeOut(printer)
  await insert(printer, taro)
  t.equal(await refused(printer.runtime.printer!.print(mine.save.object, { pin })), 'object.unknown')
  const present = printer.runtime.presence!.require()
  t.equal(await refused(fetchObject(readPorts(), present, conditions)), 'replica.foreign', 'the data servers say so')
  await takeOut(printer)
  await insert(board('camera'), hanako)
})

t.test('S4: a receive buffer without room: the save waits on the device, and goes when there is room', async (t) => {
  await site.gateway!.stop()
  await site.startGateway(['--buffer-mb', '1'])
  const since = board('camera').board.display.history.length
  const save = await keep(hanako, systemRandom.bytes(2_000_000))
  await shown(board('camera'), 'storage.full', since)
  t.equal((await stateOf(save))?.state, 'here')
  await site.gateway!.stop()
  await site.startGateway()
  await kept(save)
})

t.test('S5: full data servers, and none at all: never one replica, the save waits and says why', async (t) => {
  const camera = board('camera')
  for (const place of servers) {
    await site.servers.get(place.id)!.process!.stop()
    await site.startServer({ ...place, capacityBytes: 1_200_000 })
  }
  let since = camera.board.display.history.length
  const first = await keep(hanako, systemRandom.bytes(3_000_000))
  // Nowhere is there room for two: a problem of the site, told while the data stays where it is.
  await received(first)
  await shown(camera, 'placement.no-server', since)
  t.equal((await stateOf(first))?.state, 'buffered', 'received, and not called kept')
  for (const place of servers) await site.servers.get(place.id)!.process!.stop()
  since = camera.board.display.history.length
  const second = await keep(hanako)
  await received(second)
  await shown(camera, 'placement.no-server', since)
  t.equal((await stateOf(second))?.state, 'buffered')
  for (const place of servers) await site.startServer(place)
  await kept(first)
  await kept(second)
})

t.test('D5: kill -9 of the gateway in the middle of a transfer', async (t) => {
  const { tap } = board('camera')
  const half = Promise.withResolvers<void>()
  let blocks = 0
  tap.onBlock = () => {
    if (++blocks === 12) half.resolve()
  }
  const save = await keep(hanako, systemRandom.bytes(2_500_000))
  await half.promise
  tap.onBlock = undefined
  await site.gateway!.kill()
  t.equal((await stateOf(save))?.state, 'here', 'not called received')
  await site.startGateway()
  await kept(save)
})

t.test('D5: an old image of a device’s system is put back', async (t) => {
  const place = boardPlaces.find(({ id }) => id === 'camera')!
  const device = `${folder}/devices/camera`
  await takeOut(board('camera'))
  await board('camera').runtime.stop()
  await cp(device, `${folder}/image`, { recursive: true })
  await site.startBoard(place)
  await insert(board('camera'), hanako)
  await kept(await keep(hanako))
  await kept(await keep(hanako))
  await takeOut(board('camera'))
  await board('camera').runtime.stop()
  await rm(device, { recursive: true })
  await cp(`${folder}/image`, device, { recursive: true })
  await site.startBoard(place)
  await insert(board('camera'), hanako)
  await until('the line', () => board('camera').runtime.link.up)
  await kept(await keep(hanako))
  // The card is in, so that the act of its new conditions may still be on its way: it ends, too.
  const empty = async () => (await board('camera').runtime.outbox.waiting()).rows === 0
  t.ok(await until('an empty outbox: the act of the old image was not taken for another', empty))
  await takeOut(board('camera'))
})

t.test('S7 S10: in the end both replicas of everything acknowledged open with the card', async (t) => {
  const printer = board('printer')
  await insert(printer, hanako)
  const present = printer.runtime.presence!.require()
  const shelf = await printer.runtime.printer!.list(pin)
  t.ok(acknowledged.length > 10, `${acknowledged.length} saves`)
  for (const { save, bytes } of acknowledged) {
    const conditions = shelf.find(({ object }) => hex(object) === hex(save.object))
    if (!conditions) {
      t.fail(`${save.name} is not known to the card`)
      continue
    }
    for (const slot of [1, 2]) {
      const fetched = await fetchObject(readPorts(), present, conditions, undefined, [slot])
      t.equal(sha256(fetched.bytes), sha256(bytes), `${save.name}, slot ${slot}`)
    }
  }
})

function readPorts() {
  const { runtime } = board('printer')
  const { link, identity } = runtime
  return { link, device: identity.device, log: quietLog, clock: systemClock, random: systemRandom }
}

/** Resident memory of a process, MB. */
async function memoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024)
}

/** Connects as a device over plain TCP and sends a PUBLISH of 256 MB. @returns bytes until it was cut off */
async function pour(device: TestDevice): Promise<number> {
  const socket = connectTcp(site.port, '127.0.0.1')
  const field = (bytes: Buffer) => Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes])
  const variable = Buffer.concat([
    field(Buffer.from('MQTT')),
    Buffer.of(4, 0xc2, 0, 30),
    field(Buffer.from(device.id)),
    field(Buffer.from('device')),
    field(Buffer.from(device.token())),
  ])
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => {})
  socket.write(Buffer.concat([Buffer.of(0x10, (variable.length & 127) | 128, variable.length >> 7), variable]))
  await new Promise((resolve) => socket.once('data', resolve))
  socket.write(Buffer.of(0x32, 0xff, 0xff, 0xff, 0x7f))
  const chunk = Buffer.alloc(65_536)
  let sent = 0
  const more = () => {
    while (!socket.destroyed && sent < 256 * 2 ** 20) {
      sent += chunk.length
      if (!socket.write(chunk)) return void socket.once('drain', more)
    }
  }
  more()
  await closed
  return sent
}
