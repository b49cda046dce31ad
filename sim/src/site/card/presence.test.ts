import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { Presence } from '@azukari/device/apps/presence'
import { Consents } from '@azukari/device/consents'
import type { CallOptions } from '@azukari/device/link'
import type { Contract } from '@azukari/protocol/contract'
import { type Finding, findings, findingsBySession, findingsTold } from '@azukari/protocol/contracts/audit'
import {
  closeSession,
  openSession,
  pendingConditions,
  pendingConditionsBySession,
  proveSession,
  renewSession,
} from '@azukari/protocol/contracts/session'
import { publicOf, thumbprint } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { SimulatedReader } from '../../testkit/boards/reader.ts'
import { issue, providerKey, random } from '../../testkit/card/fixture.ts'
import { quietLog } from '../../testkit/log.ts'
import { SimClock } from '../../testkit/world/clock.ts'

const noConsents: Pick<Consents, 'allowsLocation' | 'remember' | 'withdraw'> = {
  allowsLocation: async () => false,
  remember: async () => false,
  withdraw: async () => {},
}

/** A device at whose reader a member stands, and a placement that has something to tell them: at most eight at once. */
function fixture(untold: number, lines: number, { isBefore = false, consents = noConsents, location = false } = {}) {
  const clock = new SimClock()
  const stop = new AbortController()
  const reader = new SimulatedReader({ clock })
  const placementKey = publicOf(providerKey)
  const site = {
    lines,
    /** The line is cut. */
    cut: false,
    /** Placement has ended the session. */
    over: false,
    untold: Array.from({ length: untold }, (_, i) => i + 1),
    /** What the member saw, a page each. */
    pages: [] as number[][],
    asked: 0,
    /** Tokens that placement gave, and with which of them a member's contract was asked; 0: by the session. */
    tokens: [] as number[],
    used: [] as number[],
    conditionsAsked: 0,
  }
  const newToken = () => ({ token: new Uint8Array(64).fill(site.tokens.push(clock.now())), lifeMs: 110_000 })
  const answers: Record<string, () => unknown> = {
    [openSession.id]: () => ({
      session: new Uint8Array(16),
      challenge: random.bytes(32),
      verifier: thumbprint(placementKey),
      expiresMs: clock.now() + 600_000,
    }),
    [proveSession.id]: () => ({
      member: new Uint8Array(16),
      name: 'Hanako',
      level: 2,
      home: 'JP-13',
      expiresMs: clock.now() + 600_000,
      ...(!isBefore && { token: newToken() }),
      pending: [],
      morePending: false,
      location,
    }),
    [renewSession.id]: newToken,
    [(isBefore ? pendingConditionsBySession : pendingConditions).id]: () => {
      site.conditionsAsked++
      return { pending: [], morePending: false }
    },
    [(isBefore ? findingsBySession : findings).id]: () => {
      site.asked++
      return { findings: site.untold.slice(0, 8).map(finding), more: site.untold.length > 8 }
    },
    [closeSession.id]: () => ({}),
  }
  const presence = new Presence({
    reader,
    clock,
    random,
    operation: 'look',
    log: quietLog,
    identity: { device: 'terminal-1' },
    keys: { isInUse: async (_service, kid) => Buffer.from(kid).equals(thumbprint(placementKey)) },
    link: {
      up: true,
      onState: () => () => false,
      onEvent: () => {},
      call: async (contract: Contract, _body: unknown, { token }: CallOptions = {}) => {
        if (site.cut) throw new Problem('link.offline')
        if (isMembers.has(contract.name)) site.used.push(token?.[0] ?? 0)
        if (site.over && token) throw new Problem('session.ended')
        if (token && clock.now() >= site.tokens[token[0]! - 1]! + 110_000) throw new Problem('session.expired')
        return answers[contract.id]!() as never
      },
    },
    outbox: {
      append: async (contract: Contract, body: unknown) => {
        if (contract.id !== findingsTold.id) return
        const told = new Set((body as { findings: number[] }).findings)
        site.untold = site.untold.filter((id) => !told.has(id))
      },
    },
    cardData: { apply: async () => {} },
    consents,
    askPin: async () => '',
    lines: () => site.lines,
  })
  presence.onNews((news) => {
    if (news.type === 'findings') site.pages.push(news.findings.map(({ id }) => id))
  })
  const run = presence.run(stop.signal)
  const end = async () => {
    reader.remove()
    stop.abort()
    await run
  }
  return { clock, reader, presence, site, end, pass: (ms: number) => clock.runUntil(clock.now() + ms) }
}

const isMembers = new Set([pendingConditions.name, findings.name])

const finding = (id: number): Finding => ({
  id,
  kind: 'tampering',
  atMs: 0,
  server: 'sapporo',
  ranges: [],
  differs: 1,
  restored: true,
})

t.test('S11, S12: findings are told as many at a time as can be seen, each once', async (t) => {
  const { reader, site, pass, presence, end } = fixture(11, 4)
  reader.insert(issue().card)
  await pass(1_000)
  t.same(site.pages, [[1, 2, 3, 4]])
  presence.refresh()
  await pass(1_000)
  t.equal(site.conditionsAsked, 1, 'conditions do not wait until all was read')
  t.equal(site.pages.length, 1, 'nothing takes the place of what is still being read')
  await pass(30_000)
  t.same(site.pages, [
    [1, 2, 3, 4],
    [5, 6, 7, 8],
    [9, 10, 11],
  ])
  const { asked } = site
  await pass(60_000)
  t.equal(site.asked, asked, 'and then nobody asks again')
  await end()
})

t.test('S11: what nobody could see is not taken for told', async (t) => {
  await t.test('no display', async (t) => {
    const { reader, site, pass, end } = fixture(3, 0)
    reader.insert(issue().card)
    await pass(60_000)
    t.equal(site.untold.length, 3)
    t.same(site.pages, [])
    await end()
  })
  await t.test('the card is taken out before all was shown', async (t) => {
    const { reader, site, pass, end } = fixture(5, 4)
    const { card } = issue()
    reader.insert(card)
    await pass(1_000)
    reader.remove()
    await pass(60_000)
    t.same(site.untold, [5])
    reader.insert(card)
    await pass(1_000)
    t.same(site.pages, [[1, 2, 3, 4], [5]], 'the rest at the next session')
    await end()
  })
  await t.test('the line is cut before it could be asked for', async (t) => {
    const { reader, site, pass, end } = fixture(5, 4)
    reader.insert(issue().card)
    await pass(1_000)
    site.cut = true
    await pass(20_000)
    t.equal(site.pages.length, 1)
    site.cut = false
    await pass(20_000)
    t.same(site.untold, [], 'and it is asked for again, in the same session')
    await end()
  })
})

t.test('S2: while the card is in, what is asked in the member’s name goes with a token that is fresh', async (t) => {
  const { reader, site, pass, presence, end } = fixture(0, 4)
  reader.insert(issue().card)
  await pass(1_000)
  t.same(site.used, [1], 'the token of the proof')
  await pass(60_000)
  presence.refresh()
  await pass(1_000)
  t.same(site.used, [1, 1], 'as long as it lasts')
  await pass(40_000)
  presence.refresh()
  await pass(1_000)
  t.same([site.used, site.tokens.length], [[1, 1, 2], 2], 'and then the next, before the last has ended')
  await pass(200_000)
  t.equal(site.tokens.length, 2, 'nobody renews what nobody uses')
  await end()
})

t.test('D5: a placement of the release before gives no tokens, and is asked by the session', async (t) => {
  const { reader, site, pass, presence, end } = fixture(3, 4, { isBefore: true })
  reader.insert(issue().card)
  await pass(1_000)
  t.same(site.pages, [[1, 2, 3]])
  presence.refresh()
  await pass(1_000)
  t.equal(site.conditionsAsked, 1)
  t.ok(site.used.length > 1 && site.used.every((token) => token === 0))
  await end()
})

t.test('S12: a session that is over while the card is in is opened anew', async (t) => {
  const { reader, site, pass, presence, end } = fixture(0, 4)
  reader.insert(issue().card)
  await pass(1_000)
  const before = presence.card?.session
  site.over = true
  await t.rejects(presence.require().ask(pendingConditions, pendingConditionsBySession, {}), { code: 'session.ended' })
  site.over = false
  await pass(5_000)
  t.ok(presence.card?.session && presence.card.session !== before)
  await end()
})

t.test('D8: a withdrawal that waits for the line outlasts a site that has not heard of it', async (t) => {
  const database = await openDeviceDatabase(':memory:')
  const consents = await Consents.open(database)
  const { reader, presence, pass, end } = fixture(0, 4, { consents, location: true })
  const { card } = issue()
  const allows = async () => {
    reader.insert(card)
    await pass(1_000)
    const allowed = await presence.require().allowsLocation()
    reader.remove()
    await pass(1_000)
    return allowed
  }
  t.equal(await allows(), true, 'as the site says')
  const act = random.bytes(16)
  reader.insert(card)
  await pass(1_000)
  const member = presence.require().facts.member.id
  await presence.require().withdrawLocation(act)
  t.equal(await presence.require().allowsLocation(), false, 'at once')
  reader.remove()
  await pass(1_000)
  t.equal(await allows(), false, 'in a later session, too: the act is not delivered yet')
  const restarted = await Consents.open(database)
  t.equal(await restarted.remember(member, true), false, 'and after a restart')
  await consents.settle(act)
  t.equal(await allows(), true, 'when the site has answered, its word counts')
  await end()
  await database.close()
})
