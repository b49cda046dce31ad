import { mkdirSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { socketAddress } from '@azukari/protocol/adapters/socket-address'
import { Problem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { askBoard, LocalLine, listenLocally } from './local-socket.ts'

async function listening(t: Test, folder = t.testdir()) {
  const signals: AbortSignal[] = []
  const socket = await listenLocally(folder, async (request, signal) => {
    signals.push(signal)
    if (JSON.stringify(request) === '"refuse"') throw new Problem('work.no-member', 'why')
    return { heard: request }
  })
  t.teardown(() => socket.close())
  return { folder, socket, signals }
}

t.test('W8 W11: a program asks the running board, and hears what is wrong', async (t) => {
  const { folder } = await listening(t)
  t.same(await askBoard(folder, { n: 1 }), { heard: { n: 1 } })
  await t.rejects(askBoard(folder, 'refuse'), { code: 'work.no-member', detail: 'why' })
  t.equal(statSync(`${folder}/device.sock`).mode & 0o777, 0o600, 'only the folder’s own user connects')
})

t.test(
  'W9: who stays connected hears at once that the board has ended, and the board that the program has',
  async (t) => {
    const { folder, socket, signals } = await listening(t)
    const first = await LocalLine.open(folder)
    await first.ask(1)
    const { promise: gone, resolve } = Promise.withResolvers<void>()
    signals[0]!.addEventListener('abort', () => resolve())
    first.close()
    await gone
    const second = await LocalLine.open(folder)
    await second.ask(2)
    await socket.close()
    await second.closed
    await t.rejects(second.ask(3), { code: 'device.not-running' })
    await t.rejects(askBoard(folder, 4), { code: 'device.not-running' })
  },
)

t.test('W9: what is no line of JSON, and lines without an end, harm nobody else', async (t) => {
  const { folder } = await listening(t)
  const raw = connect(socketAddress(folder, 'device.sock').path)
  raw.on('error', () => undefined)
  const answer = new Promise<string>((done) => raw.once('data', (part) => done(String(part))))
  raw.write('{\n')
  t.match(JSON.parse(await answer), { problem: { code: 'message.invalid' } })
  const ended = new Promise<void>((done) => raw.once('close', () => done()))
  raw.write('x'.repeat(20_000))
  await ended
  t.same(await askBoard(folder, 1), { heard: 1 })
})

t.test('W9: a socket is reached however deep its folder lies', { skip: process.platform !== 'linux' }, async (t) => {
  const folder = `${t.testdir()}/${'deep/'.repeat(30)}`
  mkdirSync(folder, { recursive: true })
  await listening(t, folder)
  t.same(await askBoard(folder, 1), { heard: 1 })
})
