/** Commands that are contracts: role, second person, words, reply and problems are held to, at the socket and from elsewhere (D6, D8). */
import { join } from 'node:path'
import { contract, Text, Type } from '@azukari/protocol/contract'
import { contracts } from '@azukari/protocol/contracts/all'
import { InternalError, Problem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { systemPorts } from '../adapters/system-ports.ts'
import { Budgets } from '../budgets/budgets.ts'
import { SiteFolder } from '../site-folder.ts'
import { silent } from '../test-contracts.ts'
import { operatedSite } from '../test-operator.ts'
import { startHttpsListener } from '../transport/https-listener.ts'
import { callSite } from './client.ts'
import { commandName, contractCommand } from './contract-command.ts'
import { operatorGroups } from './groups.ts'
import { isOperatorCommand } from './roles.ts'

const pay = contract({
  name: 'toy.pay',
  kind: 'command',
  service: 'gateway',
  authority: 'operator',
  operator: { role: 'fleet', twoPeople: true },
  title: 'Pays',
  serves: ['D6'],
  request: Type.Object({
    to: Type.String({ pattern: '^[a-z]{1,9}$', description: 'who gets it' }),
    minor: Type.Integer({ minimum: 1, description: 'how much' }),
    note: Type.Optional(Type.Array(Text(16), { description: 'what for' })),
    quiet: Type.Optional(Type.Boolean({ description: 'tell nobody' })),
  }),
  reply: Type.Object({ paid: Type.Integer(), to: Text(9), notes: Type.Integer(), quiet: Type.Boolean() }),
  problems: ['object.unknown'],
})
const look = contract({
  ...pay,
  name: 'toy.look',
  operator: { role: 'fleet' },
  request: Type.Object({ how: Type.Optional(Text(16)) }),
  signed: undefined,
})

async function toys(t: Test) {
  const carried: string[] = []
  const unlisted: string[] = []
  const commands = {
    'toy pay': contractCommand(pay, { positionals: ['to'] }, async (act, { to, minor, note = [], quiet = false }) => {
      carried.push(act.people.join('+'))
      return { reply: { paid: minor, to, notes: note.length, quiet }, text: `${act.siteUrl ?? 'here'}` }
    }),
    'toy look': contractCommand(look, {}, async (_act, { how }) => {
      if (how === 'listed') throw new Problem('object.unknown')
      if (how === 'unlisted') throw new Problem('pay.disputed')
      return { reply: { paid: 'much' } as never, text: '' }
    }),
  }
  const path = t.testdir()
  const budgets = new Budgets()
  const site = await operatedSite(t, path, {
    budgets,
    find: async (name) => (Object.hasOwn(commands, name) ? commands[name as keyof typeof commands] : undefined),
    unlisted: ({ id }, { code }) => unlisted.push(`${id} ${code}`),
  })
  const { keyring } = new SiteFolder(path, 'site', systemPorts)
  const tls = await keyring.identity('gateway', 'gateway')
  const listener = await startHttpsListener({
    tls,
    host: '127.0.0.1',
    port: 0,
    routes: [site.api.route],
    budgets,
    log: silent,
  })
  t.teardown(() => listener.stop())
  const sessionOf = async (name: string, roles: string[], via?: string) => {
    const password = site.api.accounts.newPassword()
    await site.api.accounts.add(name, roles, password)
    return site.api.accounts.login(name, password, undefined, via)
  }
  const url = `https://localhost:${listener.port}`
  const authority = tls.ca
  return {
    carried,
    unlisted,
    url,
    sessionOf,
    atSocket:
      (token: string) =>
      (command: string, values: object, ...words: string[]) =>
        callSite(command, { folder: path, ...values }, words, {}, { token }),
    remote:
      (token: string) =>
      (command: string, values: object, ...words: string[]) =>
        callSite(command, { 'site-url': url, ...values }, words, {}, { token, authority: String(authority) }),
    via: `localhost:${listener.port}`,
    file: join(path, 'x'),
  }
}

type Calling = (command: string, values: object, ...words: string[]) => Promise<{ json: unknown; text: string }>

async function refusals(t: Test, fleet: Calling, clerk: Calling): Promise<void> {
  const good = { minor: '5' }
  await t.rejects(clerk('toy pay', good, 'hanako'), { code: 'operator.forbidden' })
  for (const [values, words, detail] of [
    [{}, ['hanako'], /minor/],
    [{ minor: '0' }, ['hanako'], /^--minor must be >= 1$/],
    [{ minor: 'five' }, ['hanako'], /^--minor must be integer$/],
    [{ minor: '5' }, [], /^the command lacks to$/],
    [{ minor: '5' }, ['HANAKO'], /^TO does not fit: who gets it$/],
    [{ minor: '5' }, ['hanako', 'taro'], /taro/],
  ] as const)
    await t.rejects(
      fleet('toy pay', values, ...words),
      { code: 'command.invalid', detail },
      JSON.stringify([values, words]),
    )
  t.same((await fleet('pending', {})).json, [], 'none of it waits for a second person')
}

t.test('D6 D8: an operator’s contract names role and second person, at the socket and over HTTPS alike', async (t) => {
  const at = await toys(t)
  const here = at.atSocket(await at.sessionOf('fleet-1', ['fleet']))
  const clerk = at.atSocket(await at.sessionOf('clerk-1', ['clerk']))
  const there = at.remote(await at.sessionOf('fleet-2', ['fleet'], at.via))
  await refusals(t, here, clerk)
  await refusals(t, there, at.remote(await at.sessionOf('clerk-2', ['clerk'], at.via)))
  t.same(at.carried, [])
  const { json } = await here('toy pay', { minor: '5', note: ['a', 'b'], quiet: true }, 'hanako')
  const { pending } = json as { pending: string }
  await t.rejects(here('confirm', {}, pending), { code: 'operator.same-person' })
  await t.rejects(clerk('confirm', {}, pending), { code: 'operator.forbidden' })
  t.same(at.carried, [])
  const done = await there('confirm', {}, pending)
  t.same(done, { json: { paid: 5, to: 'hanako', notes: 2, quiet: true }, text: at.url })
  t.same(at.carried, ['fleet-1+fleet-2'])
  await t.rejects(there('confirm', {}, pending), { code: 'operator.pending-unknown' })
})

t.test('D6: what a command answers is held to its contract', async (t) => {
  const at = await toys(t)
  const fleet = at.atSocket(await at.sessionOf('fleet-1', ['fleet']))
  await t.rejects(fleet('toy look', { how: 'listed' }), { code: 'object.unknown' })
  t.same(at.unlisted, [])
  await t.rejects(fleet('toy look', { how: 'unlisted' }), { code: 'pay.disputed' })
  t.same(at.unlisted, ['toy.look@1 pay.disputed'])
  await t.rejects(fleet('toy look', {}), { code: 'internal' }, 'a reply that is none')
})

t.test('D6: every operator’s contract is a command of its name, role and second person', async (t) => {
  const commands = Object.fromEntries(
    (await Promise.all(Object.values(operatorGroups).map((load) => load()))).flatMap(Object.entries),
  )
  const asked = contracts.filter(({ authority }) => authority === 'operator')
  t.ok(asked.length >= 12, `${asked.length} contracts`)
  for (const one of asked) {
    const command = commands[commandName(one)]
    if (!command || !isOperatorCommand(command)) {
      t.fail(one.id)
      continue
    }
    t.equal(command.contract, one, one.id)
    t.equal(command.role, one.operator?.role, one.id)
    t.equal(command.twoPeople ?? false, one.operator?.twoPeople ?? false, one.id)
  }
  t.throws(() => contract({ ...pay, signed: undefined, operator: undefined }), InternalError, 'a role is named')
  t.throws(() => contract({ ...pay, signed: undefined, kind: 'call' }), InternalError)
})
