import { createHash } from 'node:crypto'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import { findings, findingsBySession, findingsTold, recallSession } from '@azukari/protocol/contracts/audit'
import { readHistoryBySession, readSettingsBySession } from '@azukari/protocol/contracts/member-request'
import { Conditions, conditionsDomain, offerSave, receiptDomain, SaveReceipt } from '@azukari/protocol/contracts/save'
import {
  closeSession,
  conditionsWritten,
  openSession,
  pendingConditions,
  pendingConditionsBySession,
  renewSession,
} from '@azukari/protocol/contracts/session'
import { decryptFrom, peek1, verify1 } from '@azukari/protocol/cose'
import { coseKey, generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { Unsealer } from '@azukari/protocol/sealed'
import { blockPlainBytes } from '@azukari/protocol/transfer'
import t from 'tap'
import { memoryDatabase } from '../../adapters/database.ts'
import { rebuildPlacement } from './journal/rebuild.ts'
import { PlacementKeys } from './keys/keys.ts'
import {
  createKeys,
  keysFromBytes,
  keysToBytes,
  newPair,
  openKeystore,
  parseRecoverySecret,
  sealKeystore,
  unwrapMemberKey,
  wrapMemberKey,
} from './keys/keystore.ts'
import { caller, log, ports, site } from './test-fixture.ts'

const openConditions = checker(Conditions, 'conditions')

t.test('S1, S2: a card proves itself once, to this placement, on this device', async (t) => {
  const s = await site()
  const { answer } = await s.prove()
  t.match(await answer(), { name: 'Hanako', level: 2, home: 'JP-13', pending: [] })
  await t.rejects(answer(), { code: 'act.replayed' }, 'a challenge is answered once')
  for (const [what, change] of Object.entries({
    challenge: { challenge: new Uint8Array(32) },
    verifier: { verifier: new Uint8Array(32) },
    device: { device: 'other' },
    operation: { operation: 'print' },
  })) {
    const wrong = await s.prove(change)
    await t.rejects(wrong.answer(), { code: 'card.rejected' }, `another ${what}`)
    await t.rejects(wrong.answer(), { code: 'session.unknown' }, 'the line is closed')
  }
  const forged = await s.prove({}, generateKey('ed25519', systemRandom))
  await t.rejects(forged.answer(), { code: 'card.rejected' }, 'another key')
  await t.rejects(s.ask(openSession, { card: new Uint8Array(32), operation: 'save' }), { code: 'card.unknown' })
  const { opened } = await s.prove()
  await t.rejects(
    s.ask(renewSession, { session: opened.session }),
    { code: 'session.unknown' },
    'no token before the card has answered',
  )
  await s.placement.stop()
})

t.test('S2: what is a member’s to ask needs the token of a session whose card is in, on its device', async (t) => {
  const s = await site()
  const refused = (code: string, why: string, from = caller) =>
    t.rejects(s.ask(pendingConditions, {}, from), { code }, why)
  await refused('session.required', 'none')
  const { opened, answer } = await s.prove()
  const { token } = await answer()
  t.match(await s.ask(pendingConditions, {}), { pending: [] })
  await refused('session.elsewhere', 'from another device', { ...caller, device: 'thief' })
  s.useToken(token.token.map((byte: number, i: number) => (i === token.token.length - 1 ? byte ^ 1 : byte)))
  await refused('session.forged', 'changed')
  const next = await s.ask(renewSession, { session: opened.session })
  s.useToken(next.token)
  t.match(await s.ask(findings, {}), { findings: [] }, 'renewed')
  await t.rejects(
    s.ask(renewSession, { session: opened.session }, { ...caller, device: 'thief' }),
    { code: 'session.unknown' },
    'by its own device only',
  )
  await s.ask(closeSession, { session: opened.session })
  await refused('session.ended', 'at once when the card leaves')
  await t.rejects(s.ask(renewSession, { session: opened.session }), { code: 'session.unknown' }, 'nor is there another')
  await s.placement.stop()
})

t.test('S2: a card that was reported lost gets no other token', async (t) => {
  const s = await site()
  const { opened, answer } = await s.prove()
  await answer()
  await s.placement.takeWord({ card: thumbprint(publicOf(s.card.auth)), revision: 1, lost: true })
  await t.rejects(s.ask(renewSession, { session: opened.session }))
  await t.rejects(s.ask(pendingConditions, {}), { code: 'session.ended' })
  await s.placement.stop()
})

t.test('D5: devices of the release before name their session, and get the same answers', async (t) => {
  const s = await site()
  const { opened, answer } = await s.prove()
  const { session } = opened
  for (const asked of [pendingConditionsBySession, findingsBySession, readSettingsBySession])
    await t.rejects(s.ask(asked, { session }), { code: 'session.unknown' }, 'not before the card has answered')
  await answer()
  s.useToken(undefined)
  t.match(await s.ask(pendingConditionsBySession, { session }), { pending: [], morePending: false })
  t.match(await s.ask(findingsBySession, { session }), { findings: [] })
  t.match(await s.ask(readSettingsBySession, { session }), { retentionDays: 0 })
  t.match(await s.ask(readHistoryBySession, { session, limit: 8 }), { items: [] })
  for (const asked of [pendingConditionsBySession, findingsBySession, readSettingsBySession])
    await t.rejects(s.ask(asked, { session }, { ...caller, device: 'thief' }), { code: 'session.unknown' })
  await s.placement.stop()
})

t.test('S3: another level than the register is refused with its own cause', async (t) => {
  const s = await site()
  await t.rejects((await s.prove({ level: 3 })).answer(), { code: 'level.mismatch' })
  await s.placement.stop()
})

t.test('S4–S8: an offer becomes two replicas that open with the card’s keys alone', async (t) => {
  const s = await site()
  for (const size of [0, 1, blockPlainBytes, 3 * blockPlainBytes + 5]) {
    const content = new Uint8Array(size).map((_, i) => i * 7)
    const { offer, request } = s.transferred(content)
    await s.ask(offerSave, request)
    const { receipt } = await s.waitFor(offer.object, 'kept')
    const said = checker(SaveReceipt, 'receipt')(decode(verify1(receipt, () => s.placementKey, receiptDomain).payload))
    t.equal(new Set(said.replicas.map((replica) => replica.server)).size, 2)
    const { answer } = await s.prove()
    const session = await answer()
    const record = session.pending.at(-1)!.record
    const known = openConditions(decode(decryptFrom(record, s.card.agreement, conditionsDomain)))
    t.not(
      Buffer.from(known.replicas[0]!.dataKey).toString('hex'),
      Buffer.from(known.replicas[1]!.dataKey).toString('hex'),
      'S6: own keys',
    )
    for (const replica of known.replicas) {
      const held = s.servers
        .find((server) => server.id === replica.server)!
        .replicas.get(`${Buffer.from(offer.object).toString('hex')}.1.${replica.slot}`)!
      const unsealer = new Unsealer(
        { object: offer.object, version: 1, slot: replica.slot as 1 | 2 },
        { ...replica, algorithm: replica.algorithm as 'A256GCM' },
        held.segments.length,
      )
      t.ok(
        Buffer.concat(held.segments.map((segment, i) => unsealer.open(i, segment))).equals(content),
        `slot ${replica.slot} of ${size} bytes`,
      )
    }
  }
  t.equal(s.transfers.size, 0, 'the receive buffer is given back')
  await s.placement.stop()
})

t.test('S8: conditions are told until the card has them, and not again', async (t) => {
  const s = await site()
  const { offer, request } = s.transferred(new Uint8Array(10))
  await s.ask(offerSave, request)
  await s.waitFor(offer.object, 'kept')
  const { opened, answer } = await s.prove()
  t.equal((await answer()).pending.length, 1)
  t.equal((await s.ask(pendingConditions, {})).pending.length, 1, 'still not written')
  await s.ask(conditionsWritten, {
    session: opened.session,
    written: [{ object: offer.object, version: 1 }],
    counter: 5,
  })
  t.equal((await s.ask(pendingConditions, {})).pending.length, 0)
  await s.placement.stop()
})

t.test('S8: more than a card holds is in its catalogue, kept in two places like any object', async (t) => {
  const s = await site()
  const objects = new Set<string>()
  for (let i = 0; i < 18; i++) {
    const { offer, request } = s.transferred(new Uint8Array(10 + i))
    await s.ask(offerSave, request)
    await s.waitFor(offer.object, 'kept')
    objects.add(Buffer.from(offer.object).toString('hex'))
  }
  const itemsOf = (record: Uint8Array) => {
    const place = openConditions(decode(decryptFrom(record, s.card.agreement, conditionsDomain)))
    const bytes = place.replicas.map((replica) => {
      const held = s.servers
        .find((server) => server.id === replica.server)!
        .replicas.get(`${Buffer.from(place.object).toString('hex')}.${place.version}.${replica.slot}`)!
      const name = { object: place.object, version: place.version, slot: replica.slot as 1 | 2 }
      const unsealer = new Unsealer(
        name,
        { ...replica, algorithm: replica.algorithm as 'A256GCM' },
        held.segments.length,
      )
      return Buffer.concat(held.segments.map((segment, at) => unsealer.open(at, segment)))
    })
    t.ok(bytes[0]!.equals(bytes[1]!), 'both replicas say the same')
    return (decode(bytes[0]!, { maxItems: 1e6 }) as { items: Conditions[] }).items
  }
  let items: Conditions[] = []
  for (let i = 0; i < 200 && items.length < 18; i++) {
    s.placement.worker.wake()
    await new Promise((resolve) => setTimeout(resolve, 10))
    const { catalogue } = await (await s.prove()).answer()
    if (catalogue) items = itemsOf(catalogue)
  }
  t.same(new Set(items.map((item) => Buffer.from(item.object).toString('hex'))), objects)
  await s.placement.stop()
})

t.test('S4: an offer that is not what it says is refused, each with its code', async (t) => {
  const s = await site()
  const content = new Uint8Array(100)
  const stranger = generateKey('ed25519', systemRandom)
  await t.rejects(
    s.ask(offerSave, s.transferred(content, {}, stranger).request),
    { code: 'cose.unknown-key' },
    'an unknown signer',
  )
  await t.rejects(s.ask(offerSave, s.transferred(content, { audience: new Uint8Array(32) }).request), {
    code: 'cose.wrong-audience',
  })
  await t.rejects(s.ask(offerSave, s.transferred(content, { expiresMs: 1 }).request), { code: 'message.expired' })
  await t.rejects(s.ask(offerSave, s.transferred(content, { member: new Uint8Array(16) }).request), {
    code: 'cose.bad-signature',
  })
  const first = s.transferred(content)
  await s.ask(offerSave, first.request)
  await s.ask(offerSave, first.request)
  await s.waitFor(first.offer.object, 'kept')
  t.equal(
    s.servers.reduce((sum, server) => sum + server.puts, 0),
    2,
    'the same offer twice is one save',
  )
  await t.rejects(s.ask(offerSave, s.transferred(new Uint8Array(5), { object: first.offer.object }).request), {
    code: 'act.conflict',
  })
  const lying = s.transferred(content, { sha256: new Uint8Array(32) })
  await s.ask(offerSave, lying.request)
  t.equal(
    (await s.waitFor(lying.offer.object, 'refused')).problem,
    'transfer.bad-root',
    'content that the card did not sign is never kept',
  )
  const gone = s.transferred(content)
  s.transfers.clear()
  await s.ask(offerSave, gone.request)
  await s.waitFor(gone.offer.object, 'unknown')
  await s.placement.stop()
})

t.test('S7, S12: an impostor gets no byte, and another server is chosen', async (t) => {
  const s = await site(['JP-01', 'JP-40', 'SG', 'DE-HE'])
  s.servers[2]!.fault = 'impostor'
  const met = async () => (await s.placement.registry.servers()).find((row) => row.id === 's3')!.impostors
  // Which servers an object goes to is chance: there are as many as it takes until the impostor's turn comes.
  for (let i = 0; i < 6 || ((await met()) === 0 && i < 100); i++) {
    const { offer, request } = s.transferred(new Uint8Array(1000).fill(i))
    await s.ask(offerSave, request)
    if ((await s.settled(offer.object)).stage === 'waiting') await (await s.prove()).answer()
    await s.waitFor(offer.object, 'kept')
  }
  t.equal(s.servers[2]!.bytesSent, 0)
  t.ok((await met()) >= 1, 'it is counted')
  await s.placement.stop()
})

t.test('S12: an impostor met while a catalogue is written calls the member up, wherever the card is', async (t) => {
  const s = await site()
  const save = async () => {
    const { offer, request } = s.transferred(systemRandom.bytes(100))
    await s.ask(offerSave, request)
    await s.waitFor(offer.object, 'kept')
  }
  const elsewhere = { ...caller, device: 'terminal' }
  const { opened, answer } = await s.prove({}, s.card.auth, elsewhere)
  await answer()
  let recalled: unknown
  // After the twelfth object comes the catalogue; whichever two servers are chosen, one is played by somebody else.
  let puts = 0
  for (const server of s.servers)
    server.onPut = () => {
      if (++puts === 24) for (const other of s.servers.slice(1)) other.fault = 'impostor'
    }
  s.placement.onEvents((passing) => {
    for (const { contract, device, body } of passing) {
      if (contract !== recallSession.id || recalled) continue
      recalled = { device, session: (body as { session: Uint8Array }).session }
      void s.prove({}, s.card.auth, elsewhere).then((again) => again.answer())
    }
  })
  for (let i = 0; i < 12; i++) await save()
  for (let look = 0; look < 2_000 && !recalled; look++) {
    s.placement.worker.wake()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  t.same(recalled, { device: 'terminal', session: opened.session })
  await s.placement.stop()
})

t.test('S11: what happened to their data is told to the member whose session it is, once', async (t) => {
  const s = await site()
  const { offer, request } = s.transferred(systemRandom.bytes(1_000))
  await s.ask(offerSave, request)
  await s.waitFor(offer.object, 'kept')
  await s.database.run(
    `INSERT INTO verdicts (at, kind, server, object, version, slot, epoch, member, because, signed, outcome, done)
     VALUES (1, 'tampering', 's1', ?, 1, 1, 1, ?, 'x', x'00', 'remade', 2)`,
    offer.object,
    s.member,
  )
  await s.database.run(`INSERT INTO differences VALUES (1, '[[3,9],[20,21]]', 7, x'00')`)
  const { opened, answer } = await s.prove()
  await t.rejects(s.ask(findings, {}), { code: 'session.required' })
  await answer()
  const told = await s.ask(findings, {})
  t.match(told, {
    findings: [{ kind: 'tampering', name: 'a.jpg', sizeBytes: 1_000, differs: 7, ranges: [{ from: 3, to: 9 }, {}] }],
    more: false,
  })
  t.equal((await s.ask(findings, {})).findings.length, 1, 'until it is told')
  await s.ask(findingsTold, { session: opened.session, findings: [told.findings[0].id] })
  t.same((await s.ask(findings, {})).findings, [])
  await s.placement.stop()
})

t.test('S7: with too few servers the save waits with its reason and goes on by itself', async (t) => {
  const s = await site(['JP-01', 'SG'])
  s.servers[1]!.fault = 'server.unreachable'
  const { offer, request } = s.transferred(new Uint8Array(1000))
  await s.ask(offerSave, request)
  const waiting = await s.waitFor(offer.object, 'waiting')
  t.ok(['server.unreachable', 'placement.no-server'].includes(waiting.problem!), waiting.problem)
  s.servers[1]!.fault = undefined
  for (let i = 0; i < 200 && (await s.stageOf(offer.object)).stage !== 'kept'; i++) {
    s.placement.worker.wake()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  t.equal((await s.stageOf(offer.object)).stage, 'kept')
  await s.placement.stop()
})

t.test('S10: placement begins again from the journal with the recovery key', async (t) => {
  const s = await site()
  const offers = []
  for (let i = 0; i < 3; i++) {
    const { offer, request } = s.transferred(new Uint8Array(1000 * i))
    await s.ask(offerSave, request)
    await s.waitFor(offer.object, 'kept')
    offers.push(offer)
  }
  await s.placement.stop()
  const rebuild = (secret: string) =>
    rebuildPlacement({
      database: memoryDatabase(),
      recoverySecret: parseRecoverySecret(secret),
      servers: s.servers.map((server) => ({ id: server.id, url: 'https://x', key: new Uint8Array() })),
      dataServers: s.dataServers,
      ...ports,
      log,
    })
  s.servers[0]!.fault = 'server.unreachable'
  const rebuilt = await rebuild(s.recoverySecret)
  t.match(rebuilt, { members: 1, objects: 3, servers: 3 })
  t.same(coseKey(publicOf(rebuilt.keys.signing)), coseKey(s.placementKey), 'the same placement: receipts still verify')
  const { recoverySecret: other } = createKeys(systemRandom)
  await t.rejects(rebuild(other), { code: 'cose.decrypt-failed' }, 'another recovery key opens nothing')
  for (const server of s.servers) server.fault = 'server.unreachable'
  await t.rejects(rebuild(s.recoverySecret), { code: 'server.unreachable' })
  t.equal(offers.length, 3)
})

t.test('S6: the keystore opens with its passphrase only; root keys can be rotated', (t) => {
  const { keys } = createKeys(systemRandom)
  const cheap = (passphrase: string, salt: Uint8Array) =>
    new Uint8Array(createHash('sha256').update(salt).update(passphrase).digest())
  const box = sealKeystore(keys, 'right', systemRandom, cheap)
  t.equal(openKeystore(box, 'right', cheap).roots.length, 1)
  t.throws(() => openKeystore(box, 'wrong', cheap), { code: 'config.invalid' })
  const memberKey = systemRandom.bytes(32)
  const wrapped = wrapMemberKey(keys, memberKey, systemRandom)
  keys.roots.push({ version: 2, key: systemRandom.bytes(32) })
  t.same(unwrapMemberKey(keys, wrapped), memberKey, 'wrapped before the rotation')
  t.same(unwrapMemberKey(keys, wrapMemberKey(keys, memberKey, systemRandom)), memberKey)
  t.throws(() => unwrapMemberKey({ ...keys, roots: keys.roots.slice(1) }, wrapped), { code: 'cose.unknown-key' })
  t.end()
})

t.test(
  'D1, S4: placement’s keys are replaced; what was made for the former ones is taken for a stated time',
  async (t) => {
    const s = await site()
    const [former, formerCard] = [thumbprint(s.keys.signing), s.placement.keyPairs.cardKey]
    const before = s.transferred(new Uint8Array(100))
    const kept = s.transferred(new Uint8Array(100))
    await s.ask(offerSave, kept.request)
    await s.waitFor(kept.offer.object, 'kept')
    const sessionBefore = await s.prove()
    const now = Date.now()
    const takenUntilMs = now + 3_600_000

    const [one, two] = await Promise.allSettled([
      s.placement.keyPairs.rotate({ fromMs: now, takenUntilMs }),
      s.placement.keyPairs.rotate({ fromMs: now, takenUntilMs }),
    ])
    t.equal(one.status, 'fulfilled')
    t.match(two, { status: 'rejected', reason: { code: 'keys.under-way' } }, 'one at a time')
    t.not(hex(thumbprint(s.keys.signing)), hex(former), 'new keys are in use')
    t.same(s.placement.keyPairs.cardKey, formerCard, 'cards know the key that they were made with')
    t.match(await s.placement.keyPairs.held(), [
      { use: 'sign', untilMs: now, takenUntilMs },
      { use: 'agree', untilMs: now, takenUntilMs },
      { use: 'sign', fromMs: now },
      { use: 'agree', fromMs: now },
      { use: 'card', fromMs: 0 },
    ])

    t.match(await sessionBefore.answer(), { name: 'Hanako' }, 'a session that was under way')
    await s.ask(offerSave, before.request)
    const { receipt } = await s.waitFor(before.offer.object, 'kept')
    t.same(
      peek1(receipt).kid,
      thumbprint(s.keys.signing),
      'an offer and a transfer for the former keys, a receipt by the new',
    )
    const after = s.transferred(new Uint8Array(100))
    await s.ask(offerSave, after.request)
    await s.waitFor(after.offer.object, 'kept')

    s.keys.take(
      new PlacementKeys({
        ...parts(s.keys),
        pairs: s.keys.pairs.map((pair, at) => (at === 0 ? { ...pair, takenUntilMs: now } : pair)),
      }),
      now,
    )
    const late = s.transferred(new Uint8Array(100), { audience: former })
    await t.rejects(s.ask(offerSave, late.request), { code: 'keys.retired' }, 'after that time')
    await t.rejects((await s.prove({ verifier: former })).answer(), { code: 'card.rejected' })
    const wrong = s.transferred(new Uint8Array(100), { audience: new Uint8Array(32) })
    await t.rejects(s.ask(offerSave, wrong.request), { code: 'cose.wrong-audience' })

    await s.placement.stop()
    const rebuilt = await rebuildPlacement({
      database: memoryDatabase(),
      recoverySecret: parseRecoverySecret(s.recoverySecret),
      servers: s.servers.map((server) => ({ id: server.id, url: 'https://x', key: new Uint8Array() })),
      dataServers: s.dataServers,
      ...ports,
      log,
    })
    t.same(
      rebuilt.keys.pairs.map(({ signing }) => hex(thumbprint(signing))),
      s.keys.pairs.map(({ signing }) => hex(thumbprint(signing))),
      'both pairs come back from the journal',
    )
  },
)

t.test('D1: new keys that are not safe in the journal are neither written down nor told', async (t) => {
  const s = await site()
  const held = await s.placement.keyPairs.held()
  for (const server of s.servers) server.fault = 'server.unreachable'
  const order = { fromMs: Date.now(), takenUntilMs: Date.now() + 1 }
  await t.rejects(s.placement.keyPairs.rotate(order), { code: 'server.unreachable' })
  t.same(await s.placement.keyPairs.held(), held)
  for (const server of s.servers) server.fault = undefined
  await s.placement.keyPairs.rotate(order)
  t.equal((await s.placement.keyPairs.held()).length, held.length + 2, 'the next try succeeds')
  await s.placement.stop()
})

t.test('D1: a keystore of the release before opens, and one with several pairs keeps their times', async (t) => {
  const { keys } = createKeys(systemRandom)
  const next = keys.followedBy({ ...newPair(systemRandom), fromMs: 1_000 }, 9_000, 500)
  t.throws(() => next.followedBy({ ...newPair(systemRandom), fromMs: 2_000 }, 9_000, 500), { code: 'keys.under-way' })
  const again = keysFromBytes(keysToBytes(next))
  t.same(again.held(), next.held())
  t.equal(again.useAt(999), 1_000)
  t.ok(again.signing.equals(keys.signing))
  t.equal(again.useAt(1_000), undefined)
  t.ok(again.signing.equals(next.pairs[1]!.signing))
  const { pairs: _, card: __, ...older } = decode(keysToBytes(keys)) as Record<string, unknown>
  t.same(keysFromBytes(encodeDeterministic(older)).held(), keys.held())
})

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const parts = ({ card, roots, recovery }: PlacementKeys) => ({ card, roots, recovery })
