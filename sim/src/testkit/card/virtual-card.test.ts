import { chain, checkStatus, decodeResponse, instructions as ins } from '@azukari/protocol/card/apdu'
import { cardFiles, cardFolders, pinBlock } from '@azukari/protocol/card/layout'
import { decodeFile, slotBytes } from '@azukari/protocol/card/slots'
import { toBeSigned } from '@azukari/protocol/cose'
import { coseKey } from '@azukari/protocol/keys'
import t from 'tap'
import {
  issue,
  never,
  object,
  open,
  openToWrite,
  pin,
  providerKey,
  puk,
  random,
  record,
  select,
  send,
  sessionDomain,
  sw,
  utf8,
} from './fixture.ts'
import { issueCard, VirtualCard } from './virtual-card.ts'

t.test('S15: SELECT finds every folder and file, and nothing else', (t) => {
  const { card } = issue()
  const selectBy = (p1: number, p2: number, ...data: number[]) =>
    send(card, { cla: 0, ins: ins.select, p1, p2, ...(data.length ? { data: Uint8Array.from(data) } : {}), le: 256 })
  for (const { aid, fid } of Object.values(cardFolders)) {
    if (!aid) continue
    const answer = selectBy(4, 0, ...aid)
    t.equal(answer.sw, 0x9000)
    t.ok(Buffer.from(answer.data).includes(Buffer.from([0x83, 2, fid >> 8, fid & 255])))
    t.ok(Buffer.from(answer.data).includes(Buffer.from(aid)))
  }
  t.equal(selectBy(4, 0, 1, 2, 3, 4, 5).sw, 0x6a82)
  t.equal(selectBy(0, 0x0c).sw, 0x9000)
  t.equal(selectBy(0, 0x0c, 0x3f, 0x00).sw, 0x9000)
  t.equal(selectBy(1, 0x0c, 0x51, 0x00).sw, 0x9000, 'child')
  t.equal(selectBy(2, 0x00, 0x51, 0x01).sw, 0x9000, 'file')
  t.equal(selectBy(2, 0x00, 0x52, 0x00).sw, 0x6a82, 'a folder is no file')
  t.equal(selectBy(1, 0x00, 0x51, 0x01).sw, 0x6a82, 'a file is no folder')
  t.equal(selectBy(9, 0x0c, 0x52, 0x00, 0x52, 0x03).sw, 0x9000, 'path from here')
  t.equal(selectBy(3, 0x0c).sw, 0x9000, 'parent')
  t.equal(selectBy(3, 0x0c).sw, 0x9000)
  t.equal(selectBy(3, 0x0c).sw, 0x6a82, 'nothing above the master file')
  t.equal(selectBy(8, 0x0c, 0x51, 0x00, 0x99, 0x99).sw, 0x6a82)
  t.equal(selectBy(8, 0x0c, 0x51).sw, 0x6700)
  t.equal(selectBy(0, 0x0c, 0x51).sw, 0x6700)
  t.equal(selectBy(7, 0x0c, 0x51, 0).sw, 0x6a86)
  t.equal(selectBy(0, 0x55, 0x51, 0).sw, 0x6a86)
  t.end()
})

t.test('S15: every command refuses wrong lengths, parameters and states', (t) => {
  const { card } = issue()
  const table: [string, number, ...number[]][] = [
    ['too short', 0x6700, 0, 0xa4, 0],
    ['Lc without data', 0x6700, 0, 0xa4, 0, 0, 5, 1],
    ['class', 0x6e00, 0x80, 0xa4, 0, 0],
    ['instruction', 0x6d00, 0, 0x99, 0, 0],
    ['READ without a file', 0x6986, 0, 0xb0, 0, 0, 0],
    ['READ without Le', 0x6700, 0, 0xb0, 0, 0],
    ['READ with data', 0x6700, 0, 0xb0, 0, 0, 1, 1, 0],
    ['READ by an unknown short identifier', 0x6a82, 0, 0xb0, 0x80 | 9, 0, 0],
    ['READ with a bad P1', 0x6a86, 0, 0xb0, 0xe1, 0, 0],
    ['UPDATE without data', 0x6700, 0, 0xd6, 0, 0],
    ['UPDATE without a file', 0x6986, 0, 0xd6, 0, 0, 1, 1],
    ['VERIFY P1', 0x6a86, 0, 0x20, 1, 0x81],
    ['VERIFY P2', 0x6a86, 0, 0x20, 0, 0x01],
    ['VERIFY no block', 0x6a80, 0, 0x20, 0, 0x81, 4, 0x31, 0x32, 0x33, 0x34],
    ['VERIFY letters', 0x6a80, 0, 0x20, 0, 0x81, 12, ...Buffer.from('abcdefghijkl')],
    ['CHANGE P2', 0x6a86, 0, 0x24, 0, 0x82, 1, 1],
    ['CHANGE length', 0x6700, 0, 0x24, 0, 0x81, 1, 1],
    ['RESET RETRY P1', 0x6a86, 0, 0x2c, 9, 0x81],
    ['RESET RETRY length', 0x6700, 0, 0x2c, 0, 0x81],
    ['GET CHALLENGE P1', 0x6a86, 0, 0x84, 1, 0, 8],
    ['GET CHALLENGE too short', 0x6700, 0, 0x84, 0, 0, 7],
    ['GET CHALLENGE too long', 0x6700, 0, 0x84, 0, 0, 33],
    ['EXTERNAL AUTHENTICATE without challenge', 0x6985, 0, 0x82, 0, 0, 1, 1],
    ['EXTERNAL AUTHENTICATE without data', 0x6700, 0, 0x82, 0, 0],
    ['EXTERNAL AUTHENTICATE P2', 0x6a86, 0, 0x82, 0, 1, 1, 1],
    ['INTERNAL AUTHENTICATE before MSE', 0x6985, 0, 0x88, 0, 0, 1, 1, 0],
    ['INTERNAL AUTHENTICATE without data', 0x6700, 0, 0x88, 0, 0],
    ['INTERNAL AUTHENTICATE P1', 0x6a86, 0, 0x88, 1, 0, 1, 1],
    ['MSE P1', 0x6a86, 0, 0x22, 0x81, 0xa4, 6, 0x84, 1, 1, 0x80, 1, 1],
    ['MSE P2', 0x6a86, 0, 0x22, 0x41, 0xaa, 6, 0x84, 1, 1, 0x80, 1, 1],
    ['MSE shape', 0x6a80, 0, 0x22, 0x41, 0xa4, 3, 0x84, 1, 1],
    ['MSE a key for another purpose', 0x6a88, 0, 0x22, 0x41, 0xa4, 6, 0x84, 1, 2, 0x80, 1, 1],
    ['MSE an algorithm of another card', 0x6a88, 0, 0x22, 0x41, 0xa4, 6, 0x84, 1, 1, 0x80, 1, 3],
    ['PSO P1P2', 0x6a86, 0, 0x2a, 0x9e, 0x9b, 1, 1],
    ['PSO signature before MSE', 0x6985, 0, 0x2a, 0x9e, 0x9a, 1, 1],
    ['PSO signature without data', 0x6700, 0, 0x2a, 0x9e, 0x9a],
    ['DECIPHER before MSE', 0x6985, 0, 0x2a, 0x80, 0x86, 1, 1],
    ['MSE for DECIPHER', 0x9000, 0, 0x22, 0x41, 0xb8, 6, 0x84, 1, 3, 0x80, 1, 1],
    ['DECIPHER before VERIFY', 0x6982, 0, 0x2a, 0x80, 0x86, 1, 1],
    ['VERIFY', 0x9000, 0, 0x20, 0, 0x81, 12, ...pinBlock(pin)!],
    ['DECIPHER rubbish', 0x6a80, 0, 0x2a, 0x80, 0x86, 1, 1],
    [
      'DECIPHER of a point of small order',
      0x6a80,
      0,
      0x2a,
      0x80,
      0x86,
      39,
      0xa6,
      37,
      0x7f,
      0x49,
      34,
      0x86,
      32,
      ...new Uint8Array(32),
    ],
    ['GET RESPONSE with nothing left', 0x6985, 0, 0xc0, 0, 0, 0],
    ['GET RESPONSE P1', 0x6a86, 0, 0xc0, 1, 0, 0],
  ]
  for (const [what, wanted, ...bytes] of table) t.equal(sw(card, ...bytes).toString(16), wanted.toString(16), what)
  t.equal(decodeResponse(select(card, 'level')).sw, 0x9000)
  const size = 2 * slotBytes(cardFiles.level)
  t.equal(
    send(card, { cla: 0, ins: ins.readBinary, p1: 0, p2: size - 10, le: 20 }, false).sw,
    0x6c0a,
    'the right length is told',
  )
  t.equal(send(card, { cla: 0, ins: ins.readBinary, p1: 0, p2: size - 10, le: 300 }).sw, 0x6282)
  t.equal(send(card, { cla: 0, ins: ins.readBinary, p1: 0, p2: size, le: 1 }).sw, 0x6b00)
  t.equal(
    send(card, { cla: 0, ins: ins.readBinary, p1: 0x81, p2: 0, le: 256 }, false).data.length,
    size,
    'by short identifier',
  )
  const { card: short } = issue('ed25519', { extended: false })
  t.equal(sw(short, 0, 0xb0, 0, 0, 0, 4, 0), 0x6700, 'no extended length on a card without it')
  t.end()
})

t.test('S15: chained commands: whole, interrupted, endless', async (t) => {
  const { card } = issue()
  await (await open(card)).identify(never).sign(toBeSigned(Uint8Array.of(0xa0), utf8.encode('x'), sessionDomain))
  const parts = chain({
    cla: 0,
    ins: ins.internalAuthenticate,
    p1: 0,
    p2: 0,
    data: toBeSigned(Uint8Array.of(0xa0), new Uint8Array(600), sessionDomain),
    le: 256,
  })
  t.equal(parts.length, 3)
  const answers = parts.map((part) => send(card, part, false))
  t.same(
    answers.map((answer) => answer.sw),
    [0x9000, 0x9000, 0x9000],
  )
  t.equal(checkStatus(answers[2]!, 'sign').length, 64)
  send(card, parts[0]!, false)
  t.equal(sw(card, 0, 0x84, 0, 0, 8), 0x6883, 'a chain that is not finished')
  t.equal(sw(card, 0, 0x84, 0, 0, 8), 0x9000, 'and forgotten')
  let last = 0x9000
  for (let i = 0; i < 40 && last === 0x9000; i++)
    last = send(card, { ...parts[0]!, data: new Uint8Array(255) }, false).sw
  t.equal(last, 0x6700, 'a chain has an end')
})

t.test('a card without power answers nothing, and its image holds all that outlasts power', async (t) => {
  const { card } = issue('p256')
  const client = await openToWrite(card)
  await client.writeConditions({ object: object(1), version: 1, record: record(1) }, never)
  card.powerOff()
  t.equal(card.powered, false)
  t.equal(card.transmit(Uint8Array.of(0, 0xa4, 0, 0)).length, 0)
  const loaded = VirtualCard.load(card.save(), random)
  const again = await open(loaded)
  t.same(again.facts.serial, client.facts.serial)
  t.equal(again.readConditions().length, 1)
  t.same(card.save(), loaded.save())
  t.throws(() => VirtualCard.load(Uint8Array.of(1, 2, 3), random), { code: 'cbor.trailing' })
  t.throws(
    () =>
      issueCard({
        kind: 'ed25519',
        member: { id: random.bytes(16), number: '1', name: 'x' },
        level: 1,
        homeRegion: 'JP-13',
        pin: '12',
        puk,
        providerKey: coseKey(providerKey),
        random,
      }),
    { code: 'message.invalid' },
  )
  t.equal(decodeFile(cardFiles.conditions, new Uint8Array(10))[0]!.state, 'torn')
})
