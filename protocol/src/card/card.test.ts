import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { encodeDeterministic } from '../codec.ts'
import { checker } from '../contract.ts'
import { Conditions, conditionsDomain } from '../contracts/save.ts'
import { encryptTo, encryptToRsa, toBeSigned } from '../cose.ts'
import { coseKey, generateKey, generateRsaKey, publicOf } from '../keys.ts'
import fc from '../test-properties.ts'
import {
  type Command,
  chain,
  checkStatus,
  decodeCommand,
  decodeResponse,
  encodeCommand,
  encodeResponse,
  statusTable,
} from './apdu.ts'
import {
  cardBytes,
  cardFiles,
  type cardKeys,
  conditionsMaxBytes,
  conditionsTag,
  decodeContent,
  directoryContent,
  encodeContent,
  pinBlock,
  providerProofMessage,
} from './layout.ts'
import { maySign, signingDomain } from './signing.ts'
import {
  decodeFile,
  decodeSlot,
  encodeSlot,
  fileBytes,
  newest,
  type SlotShape,
  slotBytes,
  slotHeaderBytes,
  slotToWrite,
} from './slots.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const fixed = {
  bytes: (n: number) => new Uint8Array(createHash('shake256', { outputLength: n }).update(String(n)).digest()),
}

/** Every wire format of the card with fixed inputs. A change here breaks cards in the field. */
function vectors(): Record<string, string> {
  const id = Uint8Array.from({ length: 16 }, (_, i) => i)
  const key = coseKey(publicOf(generateKey('ed25519', fixed)))
  const agreement = coseKey(publicOf(generateKey('x25519', fixed)))
  return {
    directory: hex(encodeContent('directory', directoryContent(true))),
    serial: hex(encodeContent('serial', { serial: id })),
    member: hex(encodeContent('member', { id, number: 'A-000123', name: '預かり 花子' })),
    keys: hex(encodeContent('keys', { authentication: key, acts: key, agreement })),
    providerKey: hex(encodeContent('providerKey', { key })),
    level: hex(encodeContent('level', { level: 3, home: 'JP-13' })),
    rootEmpty: hex(encodeContent('root', {})),
    root: hex(encodeContent('root', { catalogue: new Uint8Array(64).fill(5), head: new Uint8Array(32).fill(6) })),
    levelSlot: hex(
      encodeSlot(cardFiles.level, { counter: 7, payload: encodeContent('level', { level: 3, home: 'JP-13' }) }),
    ),
    conditionsSlot: hex(
      encodeSlot(cardFiles.conditions, {
        counter: 2 ** 40,
        tag: conditionsTag(id),
        version: 9,
        payload: Uint8Array.of(1, 2, 3),
      }),
    ),
    conditionsTag: hex(conditionsTag(id)),
    providerProofMessage: hex(providerProofMessage(new Uint8Array(32).fill(1), new Uint8Array(32).fill(2))),
    pinBlock: hex(pinBlock('123456')!),
    selectPlacement: hex(
      encodeCommand({
        cla: 0,
        ins: 0xa4,
        p1: 4,
        p2: 0,
        data: directoryContent(true).providers[0]!.services[0]!.aid,
        le: 256,
      }),
    ),
    readExtended: hex(encodeCommand({ cla: 0, ins: 0xb0, p1: 0, p2: 0, le: 2048 }, true)),
    updateExtended: hex(
      encodeCommand({ cla: 0, ins: 0xd6, p1: 1, p2: 2, data: new Uint8Array(256).fill(9) }, true),
    ).slice(0, 20),
  }
}

t.test('S15: golden vectors of the card', (t) => {
  const path = new URL('../../vectors/card.json', import.meta.url)
  t.strictSame(vectors(), JSON.parse(readFileSync(path, 'utf8')))
  t.end()
})

t.test('S15: contents come back as they were, and nothing else is taken for them', (t) => {
  for (const extended of [true, false])
    t.strictSame(
      decodeContent('directory', encodeContent('directory', directoryContent(extended))),
      directoryContent(extended),
    )
  const member = { id: new Uint8Array(16).fill(3), number: 'A-1', name: '名'.repeat(100) }
  t.same(decodeContent('member', encodeContent('member', member)).name, member.name)
  t.ok(encodeContent('member', member).length <= cardFiles.member.payloadBytes, 'the longest name fits')
  t.ok(
    encodeContent('root', { catalogue: new Uint8Array(1024), head: new Uint8Array(32) }).length <=
      cardFiles.root.payloadBytes,
  )
  t.throws(() => encodeContent('level', { level: 10, home: 'JP-13' }), { code: 'message.invalid' })
  t.throws(() => decodeContent('level', encodeDeterministic({ level: 1 })), { code: 'message.invalid' })
  t.throws(() => decodeContent('member', Uint8Array.of(0xff)), { code: /^cbor\./ })
  const identifiers = Object.values(cardFiles).map((file) => `${file.folder} ${file.sfi}`)
  t.equal(new Set(identifiers).size, identifiers.length, 'short identifiers are unique in a folder')
  t.equal(new Set(Object.values(cardFiles).map((file) => file.fid)).size, identifiers.length)
  for (const file of Object.values(cardFiles))
    t.ok(fileBytes(file) <= 32_768, 'READ BINARY reaches every byte with 15 bits')
  t.ok(cardBytes() < 48_000, `${cardBytes()} bytes fit a card of 64 KiB`)
  for (const wrong of ['', '123', '1'.repeat(13), '12a4', '１２３４']) t.equal(pinBlock(wrong), undefined)
  t.end()
})

t.test('S8: the longest conditions that the contract permits fit a slot, for each kind of card', (t) => {
  const replica = (slot: number) => ({
    slot,
    server: 'x'.repeat(32),
    serverKey: new Uint8Array(32),
    region: 'JP-ABC',
    algorithm: 'x'.repeat(32),
    keyId: new Uint8Array(8),
    dataKey: new Uint8Array(32),
    prefix: new Uint8Array(7),
    root: new Uint8Array(32),
    sealedBytes: Number.MAX_SAFE_INTEGER,
  })
  const conditions = {
    object: new Uint8Array(16),
    version: 0xffffffff,
    name: '写'.repeat(120),
    mediaType: 'x'.repeat(80),
    sizeBytes: Number.MAX_SAFE_INTEGER,
    sha256: new Uint8Array(32),
    takenMs: 8_640_000_000_000_000,
    replicas: [replica(1), replica(2)],
  }
  const plain = encodeDeterministic(checker(Conditions, 'conditions')(conditions))
  const sealed = [
    encryptTo(publicOf(generateKey('x25519', fixed)), plain, conditionsDomain, fixed),
    encryptTo(publicOf(generateKey('p256', fixed)), plain, conditionsDomain, fixed),
    encryptToRsa(publicOf(generateRsaKey()), plain, conditionsDomain, fixed),
  ]
  for (const { length } of sealed) t.ok(length <= conditionsMaxBytes, `${length} bytes`)
  t.end()
})

t.test('S15: APDUs of any shape come back as they were', (t) => {
  const byte = fc.integer({ min: 0, max: 255 })
  fc.assert(
    fc.property(
      byte,
      byte,
      byte,
      byte,
      fc.uint8Array({ maxLength: 600 }),
      fc.option(fc.integer({ min: 1, max: 65_536 }), { nil: undefined }),
      (cla, ins, p1, p2, data, le) => {
        const command: Command = {
          cla,
          ins,
          p1,
          p2,
          ...(data.length ? { data } : {}),
          ...(le === undefined ? {} : { le }),
        }
        const decoded = decodeCommand(encodeCommand(command, true))!
        return (
          decoded.cla === cla &&
          decoded.ins === ins &&
          decoded.p1 === p1 &&
          decoded.p2 === p2 &&
          hex(decoded.data ?? new Uint8Array(0)) === hex(data) &&
          decoded.le === le
        )
      },
    ),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 700 }), (data) => {
      const parts = chain({ cla: 0, ins: 0x2a, p1: 0, p2: 0, ...(data.length ? { data } : {}), le: 256 })
      const bytes = parts.map((part) => decodeCommand(encodeCommand(part))!)
      return (
        hex(Buffer.concat(bytes.map((part) => part.data ?? new Uint8Array(0)))) === hex(data) &&
        bytes.every((part, i) => part.chained === i < parts.length - 1)
      )
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => decodeCommand(bytes) !== null),
    { numRuns: 2000 },
  )
  t.throws(() => encodeCommand({ cla: 0, ins: 0, p1: 0, p2: 0, data: new Uint8Array(256) }), { code: 'card.failed' })
  t.throws(() => encodeCommand({ cla: 0, ins: 0, p1: 0, p2: 0, le: 0 }), { code: 'card.failed' })
  t.end()
})

t.test('S15: status words are problems that a person can act on', (t) => {
  t.same(checkStatus(decodeResponse(encodeResponse(Uint8Array.of(1), 0x9000)), 'x'), Uint8Array.of(1))
  for (const short of [[], [0x90]]) t.throws(() => decodeResponse(Uint8Array.from(short)), { code: 'card.removed' })
  const problem = (sw: number) => () => checkStatus({ data: new Uint8Array(0), sw }, 'VERIFY')
  t.throws(problem(0x63c2), { code: 'card.wrong-pin', data: { triesLeft: 2 } })
  t.throws(problem(0x63c0), { code: 'card.blocked' })
  t.throws(problem(0x1234), { code: 'card.failed' })
  for (const [sw, { problem: code }] of Object.entries(statusTable)) if (code) t.throws(problem(Number(sw)), { code })
  t.end()
})

t.test('S8: any mixture of two records in a slot is seen to be torn', (t) => {
  const shape = cardFiles.conditions
  const old = encodeSlot(shape, { counter: 1, payload: new Uint8Array(900).fill(1) })
  const fresh = encodeSlot(shape, {
    counter: 20,
    tag: conditionsTag(new Uint8Array(16)),
    version: 3,
    payload: new Uint8Array(500).fill(2),
  })
  const slot = new Uint8Array(slotBytes(shape))
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: fresh.length - 1 }), { minLength: 1 }), (arrived) => {
      slot.set(old)
      for (const at of arrived) slot[at] = fresh[at]!
      const { state } = decodeSlot(shape, 0, slot)
      const same = hex(slot.subarray(0, old.length)) === hex(old) || hex(slot.subarray(0, fresh.length)) === hex(fresh)
      return same ? state === 'whole' : state === 'torn'
    }),
    { numRuns: 500 },
  )
  slot.set(fresh)
  t.same(decodeSlot(shape, 4, slot), {
    index: 4,
    state: 'whole',
    counter: 20,
    tag: conditionsTag(new Uint8Array(16)),
    version: 3,
    payload: new Uint8Array(500).fill(2),
  })
  t.equal(decodeSlot({ ...shape, fid: 0x5201 }, 0, slot).state, 'torn', 'a slot of another file')
  t.equal(decodeSlot(shape, 0, new Uint8Array(slotHeaderBytes)).state, 'empty')
  t.equal(decodeSlot(shape, 0, slot.subarray(0, 100)).state, 'torn')
  t.throws(() => encodeSlot(shape, { counter: 0, payload: new Uint8Array(1) }), { code: 'card.full' })
  t.throws(() => encodeSlot(shape, { counter: 2 ** 48, payload: new Uint8Array(1) }), { code: 'card.full' })
  t.end()
})

t.test('S8: whatever is written and torn, a ring keeps its newest N records', (t) => {
  const shape: SlotShape = { fid: 1, slots: 5, payloadBytes: 4 }
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 60 }), (cuts) => {
      const file = new Uint8Array(fileBytes(shape))
      const written: number[] = []
      for (const cut of cuts) {
        const slots = decodeFile(shape, file)
        const counter = (newest(slots)?.counter ?? 0) + 1
        const bytes = encodeSlot(shape, { counter, payload: Uint8Array.of(counter & 255) })
        file.set(bytes.subarray(0, cut), slotToWrite(slots) * slotBytes(shape))
        if (cut >= bytes.length) written.push(counter)
        const held = decodeFile(shape, file).flatMap((slot) => (slot.state === 'whole' ? [slot.counter] : []))
        if (!written.slice(-4).every((record) => held.includes(record))) return false
      }
      return true
    }),
  )
  t.end()
})

t.test('S2: a card sees for what it is asked to sign', (t) => {
  const say = (domain: string) =>
    toBeSigned(Uint8Array.of(0xa1, 1, 0x27), new Uint8Array(300), new TextEncoder().encode(domain))
  t.equal(signingDomain(say('azukari/session/1')), 'azukari/session/1')
  const may = (key: keyof typeof cardKeys) =>
    ['azukari/session/1', 'azukari/read/2', 'azukari/offer/1', 'azukari/session/1x', 'other/1', ''].filter((domain) =>
      maySign(key, say(domain)),
    )
  t.same(may('authentication'), ['azukari/session/1', 'azukari/read/2'])
  t.same(may('acts'), ['azukari/offer/1'])
  t.same(may('agreement'), [])
  const whole = say('azukari/session/1')
  for (let length = 0; length < whole.length; length++)
    if (signingDomain(whole.subarray(0, length)) !== undefined) t.fail(`cut at ${length}`)
  t.equal(
    signingDomain(encodeDeterministic(['Signature', new Uint8Array(0), new Uint8Array(0), new Uint8Array(0)])),
    undefined,
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => signingDomain(bytes) === undefined))
  t.end()
})
