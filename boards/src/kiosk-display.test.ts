/** The local page's server, asked as browsers and others would (S17): who may work it, and what it takes. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Button } from '@azukari/device/drivers'
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom as random } from '@azukari/protocol/adapters/random'
import t, { type Test } from 'tap'
import { KioskDisplay } from './kiosk-display.ts'

const folder = mkdtempSync(join(tmpdir(), 'azukari-kiosk-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const limit = () => AbortSignal.timeout(10_000)

interface Answered {
  status: number | undefined
  body: Buffer
}

function ask(url: string, method = 'GET', headers: Record<string, string> = {}, body = ''): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers }, (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () => resolve({ status: answer.statusCode, body: Buffer.concat(parts) }))
    })
    asked.once('error', reject)
    asked.end(body)
  })
}

async function open(t: Test) {
  const addressFile = { files: systemFiles(), path: join(folder, 'page-address') }
  const display = await KioskDisplay.open({ clock, random, addressFile })
  t.teardown(() => display.close())
  const { origin } = new URL(display.address)
  const act = (said: unknown, headers: Record<string, string> = { origin }) =>
    ask(`${display.address}act`, 'POST', headers, typeof said === 'string' ? said : JSON.stringify(said))
  return { display, panel: display.touch!, origin, act, path: addressFile.path }
}

t.test('S17: pages of others, other names for this address and old addresses are refused', async (t) => {
  const { display, panel, origin, act } = await open(t)
  const pressed: Button[] = []
  panel.onButton((button) => pressed.push(button))
  const shutter = { type: 'button', button: 'shutter' }
  t.equal((await ask(display.address)).status, 200)
  t.equal((await ask(`${origin}/`)).status, 403, 'no token')
  t.equal((await ask(`${origin}/${'x'.repeat(32)}/`)).status, 403, 'another token')
  t.equal((await ask(display.address, 'GET', { host: 'board.evil.example' })).status, 421)
  t.equal((await ask(display.address, 'GET', { 'sec-fetch-site': 'cross-site' })).status, 403)
  t.equal((await act(shutter, { origin: 'http://evil.example' })).status, 403)
  t.equal((await act(shutter, { origin: 'null' })).status, 403)
  t.equal((await act(shutter, {})).status, 403, 'what changes something says where it comes from')
  t.same(pressed, [])
  t.equal((await act(shutter)).status, 204)
  t.same(pressed, ['shutter'])
  const other = await open(t)
  t.not(new URL(other.display.address).pathname, new URL(display.address).pathname, 'each start has its own')
})

t.test('S17: the address stands in a file of this account alone, and goes with the board', async (t) => {
  const { display, path } = await open(t)
  t.equal(readFileSync(path, 'utf8').trim(), display.address)
  t.equal(statSync(path).mode & 0o077, 0)
  await display.close()
  t.throws(() => readFileSync(path), { code: 'ENOENT' })
})

t.test('S15 S17: answers are taken for the open question alone, and only when they fit', async (t) => {
  const { panel, act } = await open(t)
  const question = { prompt: 'PIN', limitMs: 10_000, digits: { min: 4, max: 12 } }
  const asked = panel.askPin(question, limit())
  const { id } = JSON.parse(panel.state).ask
  for (const value of ['123', '1234567890123', '12a4', '', 1234])
    t.equal((await act({ type: 'answer', id, value })).status, 409)
  t.equal((await act({ type: 'answer', id: id + 1, value: '1234' })).status, 409, 'another question')
  t.equal((await act({ type: 'answer', id, value: '1234' })).status, 204)
  t.equal(await asked, '1234')
  t.equal((await act({ type: 'answer', id, value: '1234' })).status, 409, 'answered already')
  t.notMatch(panel.state, /1234/, 'nothing of it is kept')
  const text = panel.askText({ prompt: '名前', limitMs: 10_000, maxLength: 5 }, limit())
  const textId = JSON.parse(panel.state).ask.id
  for (const value of ['あいうえおか', '  ', 'a\nb', '\u0000'])
    t.equal((await act({ type: 'answer', id: textId, value })).status, 409)
  t.equal((await act({ type: 'answer', id: textId, value: '山田' })).status, 204)
  t.equal(await text, '山田')
  const chosen = panel.choose({ prompt: '', limitMs: 10_000, choices: [{ label: 'a' }] }, limit())
  const cancelled = t.rejects(chosen, { code: 'panel.cancelled' })
  const choiceId = JSON.parse(panel.state).ask.id
  for (const value of [1, -1, 0.5, '0']) t.equal((await act({ type: 'answer', id: choiceId, value })).status, 409)
  t.equal((await act({ type: 'cancel', id: choiceId })).status, 204)
  await cancelled
})

t.test('S17: what is no act is refused; what is too long is cut off', async (t) => {
  const { act } = await open(t)
  for (const said of ['', '{', '[]', 'null', { type: 'fly' }, { type: 'answer', id: 'x', value: '1' }])
    t.equal((await act(said)).status, 400)
  t.equal((await act({ type: 'button', button: 'eject' })).status, 409)
  await t.rejects(act('x'.repeat(100_000)))
})

t.test(
  'S17: pictures of a list are drawn when they are asked for, one at a time, and only while it is open',
  async (t) => {
    const { display, panel, act } = await open(t)
    let drawn = 0
    const picture = async () => {
      drawn++
      return { width: 1, height: 1, rgba: new Uint8Array(4) }
    }
    const chosen = panel.choose(
      { prompt: '', limitMs: 10_000, choices: [{ label: 'a', picture }, { label: 'b' }] },
      limit(),
    )
    const { id } = JSON.parse(panel.state).ask
    t.equal(drawn, 0)
    const { status, body } = await ask(`${display.address}picture/${id}/0`)
    t.same([status, body.subarray(1, 4).toString()], [200, 'PNG'])
    t.equal((await ask(`${display.address}picture/${id}/1`)).status, 404)
    t.equal((await ask(`${display.address}picture/${id + 1}/0`)).status, 404)
    await act({ type: 'answer', id, value: 1 })
    t.equal(await chosen, 1)
    t.equal((await ask(`${display.address}picture/${id}/0`)).status, 404)
    t.equal(drawn, 1)
  },
)
