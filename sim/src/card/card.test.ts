import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { CardClient } from '@azukari/device/card'
import type { CardChannel } from '@azukari/device/drivers'
import { chain, checkStatus, decodeResponse, encodeCommand, instructions as ins } from '@azukari/protocol/card/apdu'
import {
  type CardKind,
  cardFiles,
  cardFolders,
  conditionsOnCard,
  conditionsTag,
  pinBlock,
  providerProofMessage,
} from '@azukari/protocol/card/layout'
import { decodeFile, slotBytes, slotHeaderBytes } from '@azukari/protocol/card/slots'
import { encryptTo, encryptToRsa, sign1With, signerOf, toBeSigned, verify1 } from '@azukari/protocol/cose'
import { coseKey, generateKey, generateRsaKey, parseCoseKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Random } from '@azukari/protocol/ports'
import { isProblem, Problem, type ProblemCode } from '@azukari/protocol/problem'
import t from 'tap'
import { type CardRegistration, issueCard } from './issue.ts'
import { type PowerCut, VirtualCard } from './virtual-card.ts'

const utf8 = new TextEncoder()
const never = new AbortController().signal
const random: Random = { bytes: (n) => new Uint8Array(randomBytes(n)), float: () => 0.5 }
const timer = { cancel() {}, [Symbol.dispose]() {} }
const clock: Clock = { now: () => 0, monotonicMs: () => 0, sleep: async () => {}, timer: () => timer }
const providerKey = generateKey('ed25519', random)
const sessionDomain = utf8.encode('azukari/session/1')
const offerDomain = utf8.encode('azukari/offer/1')
const conditionsDomain = utf8.encode('azukari/conditions/1')
const [pin, puk] = ['2468', '12345678']

const rsaKeys = { authentication: generateRsaKey(), acts: generateRsaKey(), agreement: generateRsaKey() }

function issue(
  kind: CardKind = 'ed25519',
  more: { extended?: boolean; providerKey?: KeyObject } = {},
): { card: VirtualCard; registration: CardRegistration } {
  return issueCard({
    kind,
    member: { id: random.bytes(16), number: 'A-000123', name: '預かり 花子' },
    level: 2,
    homeRegion: 'JP-13',
    pin,
    puk,
    providerKey: coseKey(publicOf(more.providerKey ?? providerKey)),
    random,
    extended: more.extended ?? true,
    ...(kind === 'rsa' ? { keys: rsaKeys } : {}),
  })
}

/** The bare card as a channel. */
function channel(card: VirtualCard): CardChannel {
  return { kind: 'contact', transmit: async (apdu) => card.transmit(apdu), disconnect: async () => card.reset() }
}

const open = (card: VirtualCard, expected?: Uint8Array) => CardClient.open(channel(card), clock, never, expected)

/** A client that may write. */
async function openToWrite(card: VirtualCard, key = providerKey): Promise<CardClient> {
  const client = await open(card)
  await client.authenticateProvider(
    async (challenge) => signerOf(key).sign(providerProofMessage(client.facts.card, challenge)),
    never,
  )
  return client
}

async function code(work: Promise<unknown>): Promise<ProblemCode | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    if (!isProblem(error)) throw error
    return error.code
  }
}

/** Sends one raw command; the status word. */
function sw(card: VirtualCard, ...bytes: number[]): number {
  return decodeResponse(card.transmit(Uint8Array.from(bytes))).sw
}

function send(
  card: VirtualCard,
  command: Parameters<typeof encodeCommand>[0],
  extended = true,
): { data: Uint8Array; sw: number } {
  return decodeResponse(card.transmit(encodeCommand(command, extended)))
}

const record = (n: number, bytes = 700) => Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + n * 31) & 255)
const object = (n: number) => new Uint8Array(16).fill(n + 1)

t.test('S2, S8, S15: each kind of card identifies, signs, agrees and takes conditions', async (t) => {
  for (const kind of ['ed25519', 'p256', 'rsa'] as const) {
    for (const extended of [true, false]) {
      const { card, registration } = issue(kind, { extended })
      const client = await openToWrite(card)
      t.same(
        Buffer.from(client.facts.card),
        Buffer.from(registration.card),
        `${kind} ${extended ? 'extended' : 'short'}`,
      )
      t.equal(client.facts.member.name, '預かり 花子')
      t.same(client.facts.level, { level: 2, home: 'JP-13' })
      const payload = utf8.encode('x'.repeat(1200))
      const proof = await sign1With(payload, client.identify(never), sessionDomain)
      t.same(
        Buffer.from(verify1(proof, () => parseCoseKey(registration.authKey), sessionDomain).payload),
        Buffer.from(payload),
      )
      t.equal(
        await code(sign1With(payload, client.signAct(never), offerDomain)),
        'card.access-denied',
        'acts need the PIN',
      )
      await client.verifyPin(pin, never)
      const act = await sign1With(payload, client.signAct(never), offerDomain)
      verify1(act, () => parseCoseKey(registration.actsKey), offerDomain)
      const agreement = parseCoseKey(registration.agreementKey)
      const sealed =
        kind === 'rsa'
          ? encryptToRsa(agreement, utf8.encode('secret'), conditionsDomain, random)
          : encryptTo(agreement, utf8.encode('secret'), conditionsDomain, random)
      t.equal(Buffer.from(await client.open(sealed, conditionsDomain, never)).toString(), 'secret')
      t.equal(await code(client.open(sealed, offerDomain, never)), 'cose.decrypt-failed', 'another domain')
      t.equal(await client.writeConditions({ object: object(1), version: 1, record: sealed }, never), 'written')
      const again = await open(card)
      t.same(Buffer.from(again.readConditions()[0]!.record), Buffer.from(sealed))
      t.equal(again.counter, client.counter)
    }
  }
})

t.test('S2: a key signs only what it is for', async (t) => {
  const { card } = issue()
  const client = await open(card)
  await client.verifyPin(pin, never)
  const say = utf8.encode('x')
  t.equal(
    await code(sign1With(say, client.identify(never), offerDomain)),
    'card.failed',
    'no act with the authentication key',
  )
  t.equal(
    await code(sign1With(say, client.signAct(never), sessionDomain)),
    'card.failed',
    'no session with the key for acts',
  )
  t.equal(await code(sign1With(say, client.signAct(never), utf8.encode('bank/1'))), 'card.failed', 'nothing foreign')
  const raw = client.identify(never)
  t.equal(await code(Promise.resolve(raw.sign(utf8.encode('no structure at all')))), 'card.failed')
  const whole = toBeSigned(Uint8Array.of(0xa0), say, sessionDomain)
  t.equal(
    await code(Promise.resolve(raw.sign(Buffer.concat([whole, Uint8Array.of(0)])))),
    'card.failed',
    'nothing behind the structure',
  )
  t.ok(await raw.sign(whole))
})

t.test('S15: wrong PINs are counted, block at zero, and the PUK unblocks', async (t) => {
  const { card } = issue()
  const client = await open(card)
  t.equal(await client.pinTriesLeft(never), 3)
  t.equal(await code(client.verifyPin('abcd', never)), 'card.wrong-pin')
  t.equal(await client.pinTriesLeft(never), 3, 'what is no PIN costs no try')
  await t.rejects(client.verifyPin('0000', never), { code: 'card.wrong-pin', data: { triesLeft: 2 } })
  await client.verifyPin(pin, never)
  t.equal(await client.pinTriesLeft(never), undefined)
  card.reset()
  const fresh = await open(card)
  t.equal(await fresh.pinTriesLeft(never), 3, 'a right one gives all tries back; a reset forgets it')
  for (let i = 0; i < 2; i++) t.equal(await code(fresh.verifyPin('0000', never)), 'card.wrong-pin')
  t.equal(await code(fresh.verifyPin('0000', never)), 'card.blocked')
  t.equal(await code(fresh.verifyPin(pin, never)), 'card.blocked', 'the right one no longer helps')
  t.equal(await fresh.pinTriesLeft(never), 0)
  const loaded = await open(VirtualCard.load(card.save(), random))
  t.equal(await code(loaded.verifyPin(pin, never)), 'card.blocked', 'nor does taking the card out')
  await t.rejects(fresh.unblock('99999999', '1357', never), { code: 'card.wrong-pin', data: { triesLeft: 9 } })
  await fresh.unblock(puk, '1357', never)
  t.equal(await code(fresh.verifyPin(pin, never)), 'card.wrong-pin')
  await fresh.verifyPin('1357', never)
  await fresh.changePin('1357', '998877665544', never)
  await fresh.verifyPin('998877665544', never)
  t.equal(await code(fresh.changePin('1357', '1111', never)), 'card.wrong-pin')
  for (let i = 0; i < 9; i++) t.equal(await code(fresh.unblock('99999999', '1357', never)), 'card.wrong-pin')
  t.equal(await code(fresh.unblock('99999999', '1357', never)), 'card.puk-blocked')
  t.equal(await code(fresh.unblock(puk, '1357', never)), 'card.puk-blocked')
})

t.test('S15: cutting the power never saves a try', async (t) => {
  const { card } = issue()
  for (let left = 2; left >= 0; left--) {
    card.reset()
    card.cutPower({ writtenBytes: 1 })
    const wrong = { cla: 0, ins: ins.verify, p1: 0, p2: 0x81, data: pinBlock('0000')! }
    const answer = card.transmit(encodeCommand(wrong))
    card.reset()
    t.equal(await (await open(card)).pinTriesLeft(never), left, `${answer.length} bytes answered`)
  }
})

t.test('S15: who may write', async (t) => {
  const { card } = issue()
  const client = await open(card)
  const condition = { object: object(1), version: 1, record: record(1) }
  await client.verifyPin(pin, never)
  for (const work of [
    client.writeConditions(condition, never),
    client.updateLevel({ level: 9, home: 'JP-13' }, never),
    client.updateMember(client.facts.member, never),
    client.updateRoot({}, never),
  ])
    t.equal(await code(work), 'card.access-denied', 'the PIN does not let the member raise the level')
  t.equal(client.tornSlots, 0, 'a refusal tears nothing')
  const forger = signerOf(generateKey('ed25519', random))
  const sign =
    (key: typeof forger, card = client.facts.card) =>
    async (challenge: Uint8Array) =>
      key.sign(providerProofMessage(card, challenge))
  t.equal(await code(client.authenticateProvider(sign(forger), never)), 'card.access-denied')
  t.equal(
    await code(client.authenticateProvider(sign(signerOf(providerKey), new Uint8Array(32)), never)),
    'card.access-denied',
    'a signature for another card',
  )
  const challenge = await client.challenge(never)
  const proof = signerOf(providerKey).sign(providerProofMessage(client.facts.card, challenge))
  await client.proveProvider(proof, never)
  t.equal(await code(client.proveProvider(proof, never)), 'card.failed', 'a challenge is good once')
  t.equal(await code(client.writeConditions(condition, never)), undefined)
  await client.updateLevel({ level: 5, home: 'JP-27' }, never)
  await client.updateRoot({ head: new Uint8Array(32).fill(7) }, never)
  await client.updateMember({ ...client.facts.member, name: '預かり 太郎' }, never)
  await client.writeReceipt(utf8.encode('receipt'), never)
  card.reset()
  const again = await open(card)
  t.same(again.facts.level, { level: 5, home: 'JP-27' })
  t.equal(again.facts.member.name, '預かり 太郎')
  t.same(Buffer.from(again.facts.root.head!), Buffer.alloc(32, 7))
  t.equal(
    await code(again.writeConditions({ ...condition, version: 2 }, never)),
    'card.access-denied',
    'a reset forgets the provider',
  )
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const other = issue('p256', { providerKey: p256 })
  t.equal(
    await (await openToWrite(other.card, p256)).writeConditions(condition, never),
    'written',
    'a provider with a P-256 key',
  )
  const readOnly = decodeResponse(select(other.card, 'keys'))
  t.equal(readOnly.sw, 0x9000)
  t.equal(
    send(other.card, { cla: 0, ins: ins.updateBinary, p1: 0, p2: 0, data: Uint8Array.of(1) }).sw,
    0x6982,
    'nobody writes the keys',
  )
})

function select(card: VirtualCard, name: keyof typeof cardFiles): Uint8Array {
  const file = cardFiles[name]
  const path =
    file.folder === 'master'
      ? [file.fid]
      : file.folder === 'provider'
        ? [cardFolders.provider.fid, file.fid]
        : [cardFolders.provider.fid, cardFolders[file.folder].fid, file.fid]
  return card.transmit(
    encodeCommand({
      cla: 0,
      ins: ins.select,
      p1: 8,
      p2: 0x0c,
      data: Uint8Array.from(path.flatMap((fid) => [fid >> 8, fid & 255])),
    }),
  )
}

t.test('S8: the ring keeps the latest sixteen, one per object, and the counter only grows', async (t) => {
  const { card } = issue()
  const client = await openToWrite(card)
  let counter = client.counter
  for (let n = 0; n < 40; n++) {
    t.equal(await client.writeConditions({ object: object(n), version: 1, record: record(n) }, never), 'written')
    t.equal(client.counter, ++counter)
  }
  const held = (await open(card)).readConditions()
  t.equal(held.length, conditionsOnCard)
  t.same(
    held.map(({ tag }) => Buffer.from(tag).toString('hex')),
    Array.from({ length: 16 }, (_, i) => Buffer.from(conditionsTag(object(39 - i))).toString('hex')),
  )
  const writer = await openToWrite(card)
  for (let version = 2; version < 30; version++)
    t.equal(await writer.writeConditions({ object: object(39), version, record: record(version) }, never), 'written')
  const after = (await open(card)).readConditions()
  t.equal(after.length, conditionsOnCard, 'versions of one object push out nothing else')
  t.equal(after[0]!.version, 29)
  t.equal(await writer.writeConditions({ object: object(39), version: 29, record: record(29) }, never), 'held')
  t.equal(await writer.writeConditions({ object: object(39), version: 28, record: record(28) }, never), 'older')
  t.equal(
    await writer.writeConditions({ object: object(39), version: 29, record: record(99) }, never),
    'written',
    'moved data: same version, new conditions',
  )
  t.same(Buffer.from((await open(card)).readConditions()[0]!.record), Buffer.from(record(99)))
  t.equal(
    await code(writer.writeConditions({ object: object(50), version: 1, record: record(1, 1025) }, never)),
    'card.full',
  )
})

t.test(
  'S8: power cut at every byte of an update leaves the old or the new record, and the client repairs it',
  async (t) => {
    for (const extended of [true, false]) {
      const { card } = issue('ed25519', { extended })
      const before = await openToWrite(card)
      for (let n = 0; n < 17; n++)
        await before.writeConditions({ object: object(n), version: 1, record: record(n, 300) }, never)
      const image = card.save()
      const old = before.readConditions().map(({ record }) => Buffer.from(record).toString('hex'))
      const fresh = record(77, 600)
      const wanted = Buffer.from(fresh).toString('hex')
      let torn = 0
      for (let cut = 0; cut <= slotHeaderBytes + fresh.length; cut++) {
        const copy = VirtualCard.load(image, random)
        const client = await openToWrite(copy)
        copy.cutPower({ writtenBytes: cut })
        const outcome = await code(client.writeConditions({ object: object(77), version: 1, record: fresh }, never))
        if (outcome !== (cut < slotHeaderBytes + fresh.length ? 'card.torn' : undefined))
          t.fail(`cut at ${cut}: ${outcome}`)
        copy.reset()
        const again = await openToWrite(copy)
        const held = again.readConditions().map(({ record }) => Buffer.from(record).toString('hex'))
        const hasNew = held[0] === wanted
        const expected = hasNew ? [wanted, ...old.slice(0, 15)] : old
        if (JSON.stringify(held) !== JSON.stringify(expected)) t.fail(`cut at ${cut}: the card holds something else`)
        if (hasNew !== cut >= slotHeaderBytes + fresh.length) t.fail(`cut at ${cut}: ${hasNew ? 'new' : 'old'}`)
        torn += again.tornSlots
        if (cut % 50 === 0) {
          const repaired = again.tornSlots
          t.equal(await again.repair(never), repaired)
          t.equal((await open(copy)).tornSlots, 0)
        } else {
          await again.writeConditions({ object: object(77), version: 1, record: fresh }, never)
          const now = await open(copy)
          if (
            now.tornSlots > 0 ||
            Buffer.from(now.readConditions()[0]!.record).toString('hex') !== wanted ||
            now.readConditions().length !== 16
          )
            t.fail(`cut at ${cut}: not repaired`)
        }
      }
      t.ok(torn > 500, `${torn} torn slots were met`)
    }
  },
)

t.test('S15: level, root and member survive a power cut at every byte, and a repair cut short', async (t) => {
  const { card } = issue()
  const image = card.save()
  for (let cut = 0; cut < 60; cut++) {
    const copy = VirtualCard.load(image, random)
    const client = await openToWrite(copy)
    copy.cutPower({ writtenBytes: cut })
    const outcome = await code(client.updateLevel({ level: 7, home: 'US-CA' }, never))
    copy.reset()
    const again = await openToWrite(copy)
    const { level } = again.facts.level
    if (level !== (outcome ? 2 : 7)) t.fail(`cut at ${cut}: level ${level}`)
    if (again.tornSlots) {
      copy.cutPower({ writtenBytes: cut % 32 })
      await code(again.repair(never))
      copy.reset()
      t.equal((await open(copy)).facts.level.level, 2)
    }
  }
})

t.test(
  'a card pulled at every command of a session gives a coded problem, and loses nothing that was acknowledged',
  async (t) => {
    const { card } = issue()
    const image = card.save()
    const session = async (copy: VirtualCard, cut?: PowerCut): Promise<{ written: number; commands: number }> => {
      let commands = 0
      let written = 0
      if (cut) copy.cutPower(cut)
      const counted: CardChannel = { ...channel(copy), transmit: async (apdu) => (commands++, copy.transmit(apdu)) }
      const client = await CardClient.open(counted, clock, never)
      await sign1With(utf8.encode('proof'), client.identify(never), sessionDomain)
      await client.authenticateProvider(
        async (challenge) => signerOf(providerKey).sign(providerProofMessage(client.facts.card, challenge)),
        never,
      )
      await client.verifyPin(pin, never)
      await sign1With(utf8.encode('act'), client.signAct(never), offerDomain)
      try {
        for (; written < 3; written++)
          await client.writeConditions({ object: object(written), version: 1, record: record(written) }, never)
      } catch (error) {
        if (error instanceof Problem) error.cause = { written }
        throw error
      }
      return { written, commands }
    }
    const { commands } = await session(VirtualCard.load(image, random))
    const codes = new Map<string, number>()
    for (let index = 0; index < commands; index++) {
      for (const when of ['before', 'after'] as const) {
        const copy = VirtualCard.load(image, random)
        let acknowledged = 0
        try {
          await session(copy, { command: { index, when } })
          t.fail(`pulled ${when} command ${index}: nobody noticed`)
        } catch (error) {
          if (!isProblem(error)) throw error
          codes.set(error.code, (codes.get(error.code) ?? 0) + 1)
          acknowledged = (error.cause as { written?: number } | undefined)?.written ?? 0
        }
        copy.reset()
        const held = (await open(copy)).readConditions().length
        if (held < acknowledged) t.fail(`pulled ${when} command ${index}: ${held} of ${acknowledged} records`)
      }
    }
    t.same([...codes.keys()].sort(), ['card.removed', 'card.torn'])
  },
)

t.test('another card in the slot is noticed', async (t) => {
  const mine = issue().card
  const other = issue().card
  const serial = (await open(mine)).facts.serial
  t.equal(await code(open(other, serial)), 'card.swapped')
  t.equal(await code(open(mine, serial)), undefined)
  let inSlot = mine
  const slot: CardChannel = {
    kind: 'contact',
    transmit: async (apdu) => inSlot.transmit(apdu),
    disconnect: async () => {},
  }
  const client = await CardClient.open(slot, clock, never)
  await client.verifyPin(pin, never)
  inSlot = other
  t.equal((await code(client.checkSame(never))) !== undefined, true)
  t.ok(await code(sign1With(utf8.encode('x'), client.signAct(never), offerDomain)), 'and signs nothing')
})

t.test('a card that does not answer in time, answers rubbish, or is none of ours', async (t) => {
  const silent: CardChannel = {
    kind: 'contact',
    transmit: (_, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    disconnect: async () => {},
  }
  const hasty: Clock = { ...clock, timer: (_, fire) => (queueMicrotask(fire), timer) }
  t.equal(await code(CardClient.open(silent, hasty, never)), 'card.failed')
  const answering = (...bytes: number[]): CardChannel => ({
    kind: 'contact',
    transmit: async () => Uint8Array.from(bytes),
    disconnect: async () => {},
  })
  t.equal(await code(CardClient.open(answering(), clock, never)), 'card.removed')
  t.equal(await code(CardClient.open(answering(0x90), clock, never)), 'card.removed')
  t.equal(await code(CardClient.open(answering(0x6a, 0x82), clock, never)), 'card.unsupported')
  t.equal(await code(CardClient.open(answering(0x90, 0x00), clock, never)), 'card.failed')
  t.equal(await code(CardClient.open(answering(0x61, 0x10), clock, never)), 'card.failed', 'an answer without an end')
  t.equal(await code(CardClient.open(answering(1, 2, 3, 4, 0x90, 0), clock, never)), 'card.damaged')
  const abort = new AbortController()
  abort.abort(new Problem('link.timeout'))
  t.equal(
    await code(
      CardClient.open(
        { ...silent, transmit: async (_, signal) => (signal.throwIfAborted(), new Uint8Array(0)) },
        clock,
        abort.signal,
      ),
    ),
    'link.timeout',
  )
})

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
  t.ok(createPublicKey(rsaKeys.acts))
  t.equal(decodeFile(cardFiles.conditions, new Uint8Array(10))[0]!.state, 'torn')
})
