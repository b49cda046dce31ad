import { sealLoss } from '@azukari/device/pay/member'
import { memoryDatabase } from '@azukari/gateway/adapters/database'
import { createServiceHost, type ServiceHost } from '@azukari/gateway/service/host'
import { type ServiceReply, type ServiceRequest, serviceAct } from '@azukari/gateway/service/service'
import { throwUnlisted } from '@azukari/gateway/service/unlisted'
import { createKeys } from '@azukari/gateway/services/placement/keys/keystore'
import { changesSince, refuseLost, takeWord } from '@azukari/gateway/services/placement/members/register-sync'
import { placementMigrations } from '@azukari/gateway/services/placement/migrations'
import { type ChangePorts, changeMember } from '@azukari/gateway/services/placement/moves/changes'
import type { PlacementKeeping } from '@azukari/gateway/services/settlement/members/register-sync'
import { register, reportFound, reportLoss } from '@azukari/protocol/contracts/settlement-members'
import { keepCard } from '@azukari/protocol/contracts/settlement-placement'
import { isProblem, Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { quietLog } from '../../testkit/log.ts'
import { SettlementFixture, seeded } from '../../testkit/settlement/fixture.ts'

const card = new Uint8Array(32).fill(5)
const blob = (byte: number, length = 16) => new Uint8Array(length).fill(byte)

/** Placement's register as it is, with its own database; the line to it loses questions and answers. */
class Register {
  readonly random = seeded(3)
  readonly keys = createKeys(this.random).keys
  ports!: ChangePorts
  /** Of what comes next: `before`: it does not arrive; `after`: its answer is lost. */
  fate: () => 'before' | 'after' | undefined = () => undefined
  words = 0
  asked = 0

  readonly clock: SettlementFixture['clock']

  constructor(clock: SettlementFixture['clock']) {
    this.clock = clock
  }

  #host: ServiceHost | undefined

  async rebuild(): Promise<void> {
    this.#host = await createServiceHost({
      unlisted: throwUnlisted,
      name: 'placement',
      database: memoryDatabase(),
      clock: this.clock,
      random: this.random,
      log: quietLog,
      migrations: placementMigrations,
      handlers: [
        serviceAct(keepCard, ['settlement'], async (word, context) => {
          this.words++
          const { taken: _, ...reply } = await takeWord(context, this.ports, word)
          return reply
        }),
      ],
    })
    this.ports = { store: this.#host.store, keys: this.keys, clock: this.clock, random: this.random }
    await this.#host.start()
  }

  /** Where settlement's acts are taken. */
  readonly peer = {
    handle: async (request: ServiceRequest): Promise<ServiceReply> => {
      this.asked++
      const fate = this.fate()
      if (fate === 'before') return { problem: new Problem('server.unreachable').toWire() }
      const reply = await this.#host!.handle(request)
      return fate === 'after' ? { problem: new Problem('link.timeout').toWire() } : reply
    },
  }

  async add(): Promise<void> {
    await this.ports.store.sql.run(
      `INSERT INTO members (id, number, name, level, home, since, status, auth_key, auth_kid, acts_key, acts_kid, agreement_key,
         wrapped_key) VALUES (?, 'A-1', 'Hanako', 2, 'JP-13', 500, 'active', ?, ?, ?, ?, ?, ?)`,
      blob(1),
      blob(2, 64),
      card,
      blob(4, 64),
      blob(5, 32),
      blob(6, 64),
      blob(7, 64),
    )
  }

  async lost(): Promise<boolean> {
    try {
      await refuseLost(this.ports.store.sql, { auth_kid: card })
      return false
    } catch (error) {
      if (isProblem(error, 'card.lost')) return true
      throw error
    }
  }

  readonly keeping: PlacementKeeping = {
    changes: async (question) => {
      if (this.fate()) throw new Problem('server.unreachable')
      return changesSince(this.ports.store.sql, question)
    },
  }
}

async function site(known = true) {
  let register!: Register
  const keeping: PlacementKeeping = { changes: (question) => register.keeping.changes(question) }
  const peers = () => ({ handle: (request: ServiceRequest) => register.peer.handle(request) })
  const fixture = new SettlementFixture({ more: { keeping, peers } })
  register = new Register(fixture.clock)
  await register.rebuild()
  if (known) await register.add()
  await fixture.start()
  const person = { name: 'A', kana: 'A', postcode: '100-0001', address: 'x' }
  const { number, code, blockCode } = await fixture.invite('general', person, 'term-1')
  const pay = fixture.memberOf(fixture.newKeys())
  const enrol = (card: Uint8Array, code: string) =>
    fixture.act(registerContract, { registration: pay.registration({ number, code, person, card }) }, 'term-1')
  await enrol(card, code)
  const standing = () => fixture.settlement.enrolment.standing(number)
  /** Whatever can happen at this moment has happened. */
  const settled = async () => {
    for (let before = -1; before !== register.asked; ) {
      before = register.asked
      await fixture.settlement.inStepIdle()
      for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  /** Turns the clock until it is so. */
  const reach = async (what: string, so: () => boolean | Promise<boolean>, turns = 400) => {
    for (let i = 0; i < turns; i++) {
      await settled()
      if (await so()) return
      fixture.clock.turn(5_000)
    }
    throw new Error(`${what} was not reached`)
  }
  const lose = () =>
    fixture.act(
      reportLoss,
      { loss: sealLoss(fixture.centre, { number, code: blockCode, what: 'card' }, fixture.random) },
      'term-1',
    )
  return { fixture, register, number, pay, standing, reach, lose, settled }
}
const registerContract = register

t.test(
  'P4 a loss is told until it is heard, once, through lost questions and answers, and lifted when it is found',
  async (t) => {
    for (let seed = 1; seed <= 20; seed++) {
      const { fixture, register, pay, standing, reach, lose } = await site()
      const random = seeded(seed)
      register.fate = () => (['before', 'after', undefined] as const)[Math.floor(random.float() * 3)]
      await lose()
      await reach('told', async () => (await standing()).inStep)
      t.ok((await register.lost()) && (await standing()).lost)
      await fixture.act(reportFound, { found: pay.found() }, 'term-1')
      await lose()
      await fixture.act(reportFound, { found: pay.found() }, 'term-1')
      await reach('the last word', async () => (await standing()).inStep)
      t.notOk((await register.lost()) || (await standing()).lost)
      await fixture.settlement.stop()
    }
  },
)

t.test(
  'P4 a register that was rebuilt hears of every lost card again, and is followed from its beginning',
  async (t) => {
    const { fixture, register, standing, reach, lose, settled } = await site()
    t.teardown(() => fixture.settlement.stop())
    await lose()
    await reach('told', async () => (await register.lost()) && (await standing()).level === 2)
    const late = { card, revision: 1, lost: false }
    const again = await register.ports.store.transaction((context) => takeWord(context, register.ports, late))
    t.match(again, { taken: false }, 'a word that comes late changes nothing')
    const { words } = register
    fixture.clock.turn(3_600_000)
    await settled()
    t.equal(register.words, words, 'it is not told again and again')
    await register.rebuild()
    await register.add()
    await changeMember(register.ports, 'A-1', { level: 1, home: 'JP-27' })
    await reach('followed', async () => (await standing()).level === 1 && (await standing()).home === 'JP-27')
    t.notOk(await register.lost())
    fixture.clock.turn(86_400_000)
    await reach('told anew', () => register.lost())
    await register.rebuild()
    await fixture.restart()
    await reach('and at every start', () => register.lost())
  },
)

t.test(
  'P4 S9 changes: the later over the earlier, for a card that is known later, and refused ones are told',
  async (t) => {
    const { fixture, register, number, standing, reach, settled } = await site(false)
    t.teardown(() => fixture.settlement.stop())
    const { enrolment } = fixture.settlement
    register.fate = () => 'before'
    await enrolment.change(number, 'clerk-1', { level: 3, home: 'JP-27' })
    await enrolment.change(number, 'clerk-1', { plan: 'light' })
    await settled()
    register.fate = () => undefined
    for (let turn = 0; turn < 3; turn++) {
      fixture.clock.turn(60_000)
      await settled()
    }
    t.equal(register.words, 2, 'told')
    t.match(await standing(), { inStep: false }, 'placement does not know the card yet')
    await register.add()
    await reach('known later', async () => (await standing()).inStep && (await standing()).plan === 'light')
    t.match(await standing(), { level: 1, home: 'JP-27' }, 'the plan took the level’s place, the region stayed')
    await enrolment.change(number, 'clerk-1', { home: 'XX-99' })
    await reach('refused', async () => (await standing()).refused !== undefined)
    t.match(await standing(), { inStep: true, home: 'JP-27', refused: /XX-99/ })
    await enrolment.change(number, 'clerk-1', { home: 'JP-13' })
    await reach('another', async () => (await standing()).home === 'JP-13')
    t.equal((await standing()).refused, undefined)
  },
)

t.test('P4 what waited before the host delivered words is told by it', async (t) => {
  const { fixture, register, standing, reach, lose } = await site()
  t.teardown(() => fixture.settlement.stop())
  register.fate = () => 'before'
  await lose()
  await fixture.settlement.stop()
  // As settlement of the release before left it: a word that placement has not answered, and no act that waits.
  await fixture.database.run('DELETE FROM outbox')
  await fixture.database.run('UPDATE card_standings SET next = 0')
  register.fate = () => undefined
  await fixture.restart()
  await reach('told', async () => (await standing()).inStep && (await register.lost()))
  t.match(await standing(), { lost: true })
})
