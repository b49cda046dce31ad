import { systemRandom } from '@azukari/protocol/adapters/random'
import { recallSession } from '@azukari/protocol/contracts/audit'
import { offerSave } from '@azukari/protocol/contracts/save'
import { pendingConditions } from '@azukari/protocol/contracts/session'
import { generateKey } from '@azukari/protocol/keys'
import t from 'tap'
import { caller, site } from '../test-fixture.ts'

type Site = Awaited<ReturnType<typeof site>>

/** Saves until the impostor's turn comes: the third server is asked first or second by some objects only. */
async function meetImpostor(s: Site): Promise<Uint8Array> {
  s.servers[2]!.fault = 'impostor'
  for (let i = 0; i < 100; i++) {
    const { offer, request } = s.transferred(systemRandom.bytes(1_000))
    await s.ask(offerSave, request)
    const { stage } = await s.settled(offer.object)
    const met = (await s.placement.registry.servers()).find(({ id }) => id === 's3')!.impostors
    if (stage === 'waiting' || met > 0) return offer.object
  }
  throw new Error('the impostor was never asked')
}

/** The card answers when its session is called up. @returns the sessions that were */
function answerRecalls(s: Site, key: typeof s.card.auth): Uint8Array[] {
  const recalled: Uint8Array[] = []
  s.placement.onEvents((passing) => {
    for (const { contract, device, body } of passing) {
      if (contract !== recallSession.id || device !== caller.device) continue
      recalled.push((body as { session: Uint8Array }).session)
      void s
        .prove({}, key)
        .then((again) => again.answer())
        .catch(() => undefined)
    }
  })
  return recalled
}

const sentOf = (s: Site, object: Uint8Array) =>
  s.servers.filter(({ replicas }) =>
    [...replicas.keys()].some((name) => name.startsWith(Buffer.from(object).toString('hex'))),
  ).length

t.test(
  'S12: an impostor met while saving calls the member’s session up; the card proves itself, and it is kept',
  async (t) => {
    const s = await site()
    const { opened, answer } = await s.prove()
    const { token } = await answer()
    const recalled = answerRecalls(s, s.card.auth)
    const object = await meetImpostor(s)
    await s.waitFor(object, 'kept')
    t.same(recalled, [opened.session], 'called up once')
    s.useToken(token.token)
    await t.rejects(s.ask(pendingConditions, {}), { code: 'session.ended' })
    t.match(
      (await s.placement.registry.servers()).find((row) => row.id === 's3'),
      { state: 'contained' },
    )
    await t.rejects(() => s.placement.mayRead('s3'), { code: 'server.contained' }, 'nor is anything read there')
    await s.placement.releaseServer('s3', 'examined')
    await t.resolves(() => s.placement.mayRead('s3'))
    await s.placement.stop()
  },
)

t.test(
  'S12: a card that is rejected then, or is not there, has its data wait until it has proved itself',
  async (t) => {
    for (const isThere of [true, false]) {
      const s = await site()
      if (isThere) {
        await (await s.prove()).answer()
        answerRecalls(s, generateKey('ed25519', systemRandom))
      }
      const object = await meetImpostor(s)
      t.match(await s.settled(object), { stage: 'waiting', problem: 'card.unproven' })
      const before = sentOf(s, object)
      t.ok(before <= 1, 'at most the genuine server beside the impostor has it')
      // Whatever else is saved meanwhile gives the worker its turns.
      const { offer, request } = s.transferred(systemRandom.bytes(500))
      await s.ask(offerSave, request)
      await s.waitFor(offer.object, 'kept')
      t.match(await s.stageOf(object), { stage: 'waiting', problem: 'card.unproven' })
      t.equal(sentOf(s, object), before, 'nothing more is sent')

      await (await s.prove({}, s.card.auth, { ...caller, device: 'elsewhere' })).answer()
      await s.waitFor(object, 'kept')
      t.equal(sentOf(s, object), 2, 'kept twice once the card has proved itself, at any device')
      await s.placement.stop()
    }
  },
)

t.test('S3: an offer that shows another level waits until the card has proved itself', async (t) => {
  const s = await site()
  const { offer, request } = s.transferred(systemRandom.bytes(1_000), { level: 3 })
  await s.ask(offerSave, request)
  t.match(await s.settled(offer.object), { stage: 'waiting', problem: 'level.unproven' })
  t.equal(sentOf(s, offer.object), 0, 'not a byte')
  await t.rejects((await s.prove({ level: 3 })).answer(), { code: 'level.mismatch' })
  t.match(await s.stageOf(offer.object), { stage: 'waiting' }, 'nor after a card with that level')
  await (await s.prove()).answer()
  await s.waitFor(offer.object, 'kept')

  await s.placement.changeMember('1', { level: 3 })
  const late = s.transferred(systemRandom.bytes(1_000), { level: 2 })
  await s.ask(offerSave, late.request)
  await s.waitFor(late.offer.object, 'kept')
  t.pass('the level that the card showed before the change is no other level')
  await s.placement.stop()
})
