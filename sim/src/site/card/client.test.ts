import { generateKeyPairSync } from 'node:crypto'
import { CardClient } from '@azukari/device/card'
import type { CardChannel } from '@azukari/device/drivers'
import { decodeResponse, encodeCommand, instructions as ins } from '@azukari/protocol/card/apdu'
import { conditionsOnCard, conditionsTag, pinBlock, providerProofMessage } from '@azukari/protocol/card/layout'
import { slotHeaderBytes } from '@azukari/protocol/card/slots'
import { encryptTo, encryptToRsa, sign1With, signerOf, toBeSigned, verify1 } from '@azukari/protocol/cose'
import { generateKey, parseCoseKey } from '@azukari/protocol/keys'
import type { Clock } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import t from 'tap'
import {
  channel,
  clock,
  code,
  conditionsDomain,
  issue,
  never,
  object,
  offerDomain,
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
  utf8,
} from '../../testkit/card/fixture.ts'
import { type PowerCut, VirtualCard } from '../../testkit/card/virtual-card.ts'

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
    await code(writer.writeConditions({ object: object(50), version: 1, record: record(1, 1601) }, never)),
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
      const counted: CardChannel = {
        ...channel(copy),
        transmit: async (apdu) => {
          commands++
          return copy.transmit(apdu)
        },
      }
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

t.test('S8: a card that says "done" and stored something else is not believed', async (t) => {
  const { card } = issue()
  const worn: CardChannel = {
    ...channel(card),
    transmit: async (apdu) => {
      const copy = apdu.slice()
      // A worn cell: of each update the last byte but nine changes on its way into the memory.
      if (copy[1] === ins.updateBinary) copy[copy.length - 10]! ^= 1
      return card.transmit(copy)
    },
  }
  const client = await CardClient.open(worn, clock, never)
  await client.authenticateProvider(
    async (challenge) => signerOf(providerKey).sign(providerProofMessage(client.facts.card, challenge)),
    never,
  )
  const before = client.counter
  t.equal(await code(client.writeConditions({ object: object(1), version: 1, record: record(1) }, never)), 'card.torn')
  t.equal(client.counter, before)
  t.equal(client.readConditions().length, 0)
  t.equal((await open(card)).tornSlots, 1)
})

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
  const hasty: Clock = {
    ...clock,
    timer: (ms, fire) => {
      queueMicrotask(fire)
      return clock.timer(ms, fire)
    },
  }
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
        {
          ...silent,
          transmit: async (_, signal) => {
            signal.throwIfAborted()
            return new Uint8Array(0)
          },
        },
        clock,
        abort.signal,
      ),
    ),
    'link.timeout',
  )
})
