/** What plays on a board's local page, asked as browsers do (C13, C14): ranges, who gets it, and when it is gone. */
import { request } from 'node:http'
import type { Medium } from '@azukari/device/drivers'
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import { systemRandom as random } from '@azukari/protocol/adapters/random'
import { Problem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { KioskDisplay } from './kiosk-display.ts'

interface Answered {
  status: number | undefined
  headers: Record<string, unknown>
  body: Buffer
}

function ask(url: string, headers: Record<string, string> = {}, method = 'GET', said?: unknown): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, agent: false }, (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('error', reject)
      answer.on('end', () =>
        resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }),
      )
    })
    asked.once('error', reject)
    asked.end(said === undefined ? undefined : JSON.stringify(said))
  })
}

/** A page with somebody at it, who hears what it is told. */
async function open(t: Test) {
  const display = await KioskDisplay.open({ clock, random })
  const { address } = display
  const told: { type: string; n: number; src?: string }[] = []
  const { promise: there, resolve } = Promise.withResolvers<void>()
  const viewer = request(`${address}events`, { agent: false }, (events) => {
    events.setEncoding('utf8')
    events.on('error', () => undefined)
    events.on('data', (text: string) => {
      for (const [, data] of text.matchAll(/^data: (.*)$/gm)) told.push(JSON.parse(data!))
    })
    resolve()
  })
  viewer.once('error', () => undefined)
  viewer.end()
  await there
  t.teardown(async () => {
    viewer.destroy()
    await display.close()
  })
  const origin = new URL(address).origin
  const act = (said: unknown) => ask(`${address}act`, { origin }, 'POST', said)
  return { player: display.player, display, address, act, told, leave: () => viewer.destroy() }
}

const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7) % 251))
const song: Medium = {
  title: 'Harbour',
  mediaType: 'audio/wav',
  sizeBytes: bytes.length,
  read: async (at, length) => bytes.subarray(at, Math.min(at + length, at + 65_536)),
}
const never = () => new AbortController().signal

t.test('C14: a browser gets all of it, or the range that it asks for; one that it has not is 416', async (t) => {
  const { player, address, act } = await open(t)
  let begun = 0
  const played = player.play(song, () => begun++, never())
  const { n, src } = JSON.parse(player.state) as { n: number; src: string }
  const url = `${address}${src}`
  const whole = await ask(url)
  t.same([whole.status, whole.headers['accept-ranges'], whole.headers['content-type']], [200, 'bytes', 'audio/wav'])
  t.ok(whole.body.equals(bytes))
  t.equal(whole.headers['cache-control'], 'no-store', 'C13: no browser keeps it')
  for (const [range, from, to] of [
    ['bytes=0-', 0, 200_000],
    ['bytes=70000-140001', 70_000, 140_002],
    ['bytes=-1000', 199_000, 200_000],
    ['bytes=199999-300000', 199_999, 200_000],
  ] as const) {
    const part = await ask(url, { range })
    t.equal(part.status, 206, range)
    t.equal(part.headers['content-range'], `bytes ${from}-${to - 1}/200000`)
    t.ok(part.body.equals(bytes.subarray(from, to)))
  }
  for (const range of ['bytes=200000-', 'bytes=5-4', 'bytes=-0']) {
    const refused = await ask(url, { range })
    t.same([refused.status, refused.headers['content-range']], [416, 'bytes */200000'], range)
  }
  const both = await Promise.all([ask(url, { range: 'bytes=0-99' }), ask(url, { range: 'bytes=100000-100099' })])
  t.ok(both[0].body.equals(bytes.subarray(0, 100)) && both[1].body.equals(bytes.subarray(100_000, 100_100)))

  t.equal((await ask(`${address}medium/${n + 1}`)).status, 404, 'nothing else')
  t.equal((await ask(`${new URL(address).origin}/medium/${n}`)).status, 403, 'not without the page’s address')
  t.equal((await ask(url, { 'sec-fetch-site': 'cross-site' })).status, 403, 'not to other pages')
  t.equal((await act({ type: 'played', n: n + 1, what: 'ended' })).status, 409, 'something else has ended')
  t.equal((await act({ type: 'played', n, what: 'danced' })).status, 409)
  await act({ type: 'played', n, what: 'begun' })
  await act({ type: 'played', n, what: 'begun' })
  t.equal(begun, 1)
  await t.rejects(
    player.play(song, () => undefined, never()),
    { code: 'part.busy' },
  )
  t.equal((await act({ type: 'played', n, what: 'ended' })).status, 204)
  await played
  t.equal((await ask(url)).status, 404, 'gone when it has ended')
})

t.test('C13: when the card leaves, what plays is cut off and cannot be asked for any more', async (t) => {
  const { player, address } = await open(t)
  const card = new AbortController()
  const reading = Promise.withResolvers<void>()
  const stuck: Medium = {
    ...song,
    read: (at, length) => {
      if (at === 0) return song.read(at, length)
      reading.resolve()
      return new Promise(() => undefined)
    },
  }
  const played = player.play(stuck, () => undefined, card.signal)
  const gone = t.rejects(played, { code: 'card.absent' })
  const { src } = JSON.parse(player.state) as { src: string }
  const cut = t.rejects(ask(`${address}${src}`), 'the answer is broken off')
  await reading.promise
  card.abort(new Problem('card.absent'))
  await gone
  await cut
  t.equal((await ask(`${address}${src}`)).status, 404)
  t.same(JSON.parse(player.state), { type: 'player', n: 0 }, 'and the page is told to show it no more')
})

t.test('C14: what fails is told: why a read failed, no browser, a type that no browser plays', async (t) => {
  const { player, address, act, leave } = await open(t)
  const broken: Medium = { ...song, read: async () => Promise.reject(new Problem('object.unavailable')) }
  const failed = t.rejects(
    player.play(broken, () => undefined, never()),
    { code: 'object.unavailable' },
  )
  const { n, src } = JSON.parse(player.state) as { n: number; src: string }
  await t.rejects(ask(`${address}${src}`))
  await act({ type: 'played', n, what: 'failed' })
  await failed
  const strange = player.play(song, () => undefined, never())
  const unplayable = t.rejects(strange, { code: 'part.unsupported' })
  await act({ type: 'played', n: n + 1, what: 'failed' })
  await unplayable
  for (const mediaType of ['text/html', 'image/svg+xml', 'application/pdf', 'constructor/x'])
    t.notOk(player.plays(mediaType), mediaType)
  for (const mediaType of ['image/png', 'audio/mpeg', 'video/mp4']) t.ok(player.plays(mediaType), mediaType)
  const left = t.rejects(
    player.play(song, () => undefined, never()),
    { code: 'part.absent' },
    'the browser goes away',
  )
  leave()
  await left
})
