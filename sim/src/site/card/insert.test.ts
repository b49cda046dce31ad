import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { pinBlock } from '@azukari/protocol/card/layout'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import t from 'tap'
import { pin, random } from '../../testkit/card/fixture.ts'
import { VirtualCard } from '../../testkit/card/virtual-card.ts'
import { insertCard } from './insert.ts'
import { cardIssue } from './issue.ts'

const folder = mkdtempSync(join(tmpdir(), 'azukari-insert-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const ports = { files: systemFiles(), random, clock: systemClock }
const file = join(folder, 'hanako.azcard')

/** What vpcd does: sends one message with its length, and reads one. */
function ask(line: Socket, message: number[]): Promise<Buffer> {
  line.write(Buffer.from([0, message.length, ...message]))
  return new Promise((resolve) => line.once('data', (answer) => resolve(Buffer.from(answer).subarray(2))))
}

t.test('S15 S17: a card’s file in a virtual reader: answers, and is written before an answer is heard', async (t) => {
  const key = Buffer.from(coseKey(publicOf(generateKey('ed25519', random)))).toString('hex')
  await cardIssue(
    { kind: 'ed25519', name: 'Hanako', level: '1', home: 'JP-13', pin, providerKey: key, out: file },
    ports,
  )
  const lines: Socket[] = []
  const reader = createServer((line) => lines.push(line))
  await new Promise<void>((resolve) => reader.listen(0, '127.0.0.1', resolve))
  const { port } = reader.address() as { port: number }
  const arrived = new Promise<Socket>((resolve) => reader.once('connection', resolve))
  const card = await insertCard(file, { host: '127.0.0.1', port }, ports)
  const line = await arrived
  t.equal((await ask(line, [4])).toString('hex'), '3b80800101', 'the answer to reset')
  line.write(Buffer.from([0, 1, 1]))
  const triesLeft = () => VirtualCard.load(readFileSync(file), random).triesLeft
  t.equal(triesLeft(), 3)
  const wrong = pinBlock('9999')!
  const answer = await ask(line, [0, 0x20, 0, 0x81, wrong.length, ...wrong])
  t.equal(answer.toString('hex'), '63c2', 'a wrong PIN')
  t.equal(triesLeft(), 2, 'the try is in the file')
  card.remove()
  await card.out
  reader.close()
})

t.test('S17: without a reader it says what to install', async (t) => {
  const nowhere = { host: '127.0.0.1', port: 9 }
  await t.rejects(insertCard(file, nowhere, ports), { code: 'service.unavailable', message: /vsmartcard-vpcd/ })
})
