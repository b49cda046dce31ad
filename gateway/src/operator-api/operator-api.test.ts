/** Operators sign in, act within their roles, two where two are needed, and the log keeps it all (D6, D8). */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { isProblem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { openDatabase } from '../adapters/database.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import { Budgets } from '../budgets/budgets.ts'
import { throwUnlisted } from '../service/unlisted.ts'
import { migrate } from '../storage/migrate.ts'
import { silent } from '../test-contracts.ts'
import { cheapPasswords, jsonOf, operatedSite } from '../test-operator.ts'
import { Accounts } from './accounts.ts'
import type { CallPort } from './act.ts'
import { callSite } from './client.ts'
import { OperatorDesk } from './desk.ts'
import { firstAccount } from './first-account.ts'
import { operatorGroups } from './groups.ts'
import { totpCode, totpStep } from './passwords.ts'
import { PendingActs } from './pending.ts'
import { roles } from './role-list.ts'
import { isOperatorCommand, type OperatorCommand } from './roles.ts'
import { SignIns } from './sign-ins.ts'
import { operatorMigrations } from './tables.ts'
import { frame } from './wire.ts'

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return isProblem(error) ? error.code : String(error)
  }
}

async function problemOf(t: Test, ...words: string[]): Promise<unknown> {
  return ((await jsonOf(t, ...words)).answer['problem'] as { code: string } | undefined)?.code
}

t.test('D6: with nothing running a command says so, and the socket is for its owner alone', async (t) => {
  const folder = t.testdir()
  const at = ['--folder', folder]
  const { stop } = await operatedSite(t, folder)
  t.equal(statSync(join(folder, 'operator.sock')).mode & 0o777, 0o600)
  t.match(await jsonOf(t, 'device', 'list', ...at), { exit: 0, answer: [] })
  await stop()
  t.notOk(existsSync(join(folder, 'operator.sock')), 'it is gone with the site')
  t.equal(await problemOf(t, 'device', 'list', ...at), 'operator.not-running')
})

t.test('D6: a socket left over is replaced; one that answers is not taken over', async (t) => {
  const folder = t.testdir()
  writeFileSync(join(folder, 'operator.sock'), 'left over')
  await operatedSite(t, folder)
  t.match(await jsonOf(t, 'whoami', '--folder', folder), { exit: 0, answer: { operator: 'admin' } })
  t.equal(await codeOf(operatedSite(t, folder)), 'folder.in-use')
  t.match(await jsonOf(t, 'whoami', '--folder', folder), { exit: 0 }, 'the first one goes on')
})

t.test('D6: the socket alone gives no role, nor does a wrong, foreign, ended or expired session', async (t) => {
  const folder = t.testdir()
  const at = ['--folder', folder]
  let skew = 0
  const clock = { ...systemPorts.clock, now: () => Date.now() + skew }
  const { api, signIn } = await operatedSite(t, folder, { ports: { ...systemPorts, clock } })
  const state = process.env['XDG_STATE_HOME']
  process.env['XDG_STATE_HOME'] = join(folder, 'nobody')
  t.equal(await problemOf(t, 'device', 'list', ...at), 'operator.unauthenticated', 'nobody is signed in')
  process.env['XDG_STATE_HOME'] = state
  t.match(await jsonOf(t, 'device', 'list', ...at), { exit: 0 })
  for (const token of ['', 'x', '0'.repeat(64), `${'0'.repeat(63)}Z`])
    t.equal(await codeOf(api.accounts.session(token)), 'operator.unauthenticated', token)
  skew = 61 * 60_000
  t.equal(await problemOf(t, 'device', 'list', ...at), 'operator.unauthenticated', 'an hour without use')
  skew = 0
  const file = await signIn('second')
  for (let hours = 0; hours < 12; hours++) {
    skew = hours * 3_600_000
    t.equal(await problemOf(t, 'whoami', ...at), undefined, `${hours} h`)
    skew += 30 * 60_000
    t.equal(await problemOf(t, 'whoami', ...at), undefined, `${hours} h 30`)
  }
  skew = 12 * 3_600_000
  t.equal(await problemOf(t, 'whoami', ...at), 'operator.unauthenticated', 'however often it is used')
  t.equal(await problemOf(t, 'login', 'second', '--password-file', file, ...at), undefined)
  await jsonOf(t, 'logout', ...at)
  t.equal(await problemOf(t, 'whoami', ...at), 'operator.unauthenticated', 'signed out')
  t.equal(await problemOf(t, 'login', 'second', '--password-file', file, ...at), undefined)
  await api.accounts.disable('second')
  t.equal(await problemOf(t, 'whoami', ...at), 'operator.unauthenticated', 'a closed account')
  t.equal(await problemOf(t, 'login', 'second', '--password-file', file, ...at), 'operator.login-refused')
})

t.test('D6: a reader that can read nothing yet is told so', async (t) => {
  const folder = t.testdir()
  const { site } = await operatedSite(t, folder)
  const made = async (name: string) => (await callSite('reader new', { folder }, [name])).text
  t.match(await made('one'), /password \S+\nTelemetry is off in the settings of this site/)
  site.isTelemetryOn = true
  t.notMatch(await made('two'), /Telemetry is off/)
})

t.test('D6: a role that is missing is told, and the last administrator stays', async (t) => {
  const folder = t.testdir()
  const at = ['--folder', folder]
  const { signIn } = await operatedSite(t, folder)
  t.equal(await problemOf(t, 'operator', 'disable', 'admin', ...at), 'config.invalid')
  t.equal(await problemOf(t, 'operator', 'add', 'x', '--role', 'king', ...at), 'config.invalid')
  t.match(await jsonOf(t, 'operator', 'add', 'helper', '--role', 'fleet', ...at), {
    exit: 0,
    answer: { password: String },
  })
  t.equal(await problemOf(t, 'operator', 'add', 'helper', '--role', 'fleet', ...at), 'config.invalid')
  await signIn('clerk', ['clerk'])
  for (const words of [
    ['device', 'list'],
    ['operator', 'list'],
    ['operator', 'log'],
  ])
    t.equal(await problemOf(t, ...words, ...at), 'operator.forbidden', words.join(' '))
  await signIn('fleet', ['fleet'])
  t.match(await jsonOf(t, 'device', 'list', ...at), { exit: 0 })
  t.equal(await codeOf(callSite('no such', { folder }, [])), 'command.invalid')
  t.equal(await codeOf(callSite('init', { folder }, [])), 'command.invalid', 'what is not for the running site')
})

t.test('D6: guesses are slowed down, also many at once, and a code is used once', async (t) => {
  let now = 1_700_000_000_000
  const database = openDatabase(join(t.testdir(), 'operators.db'))
  t.teardown(() => database.close())
  await migrate(database, [operatorMigrations], now)
  const clock = { ...systemPorts.clock, now: () => now }
  const accounts = new Accounts(database, { clock, random: systemRandom }, cheapPasswords)
  t.equal(await codeOf(accounts.add('a', ['admin'], 'short')), 'config.invalid')
  await accounts.add('a', ['admin'], 'correct horse battery')
  t.equal(await codeOf(accounts.login('nobody', 'correct horse battery', undefined)), 'operator.login-refused')
  const tries = await Promise.all(Array.from({ length: 10 }, () => codeOf(accounts.login('a', 'wrong', undefined))))
  t.equal(tries.filter((code) => code === 'operator.login-refused').length, 3)
  t.equal(tries.filter((code) => code === 'operator.login-wait').length, 7)
  t.equal(await codeOf(accounts.login('a', 'correct horse battery', undefined)), 'operator.login-wait')
  now += 1_000
  t.equal(await codeOf(accounts.login('a', 'wrong', undefined)), 'operator.login-refused')
  now += 1_000
  t.equal(await codeOf(accounts.login('a', 'correct horse battery', undefined)), 'operator.login-wait', 'it doubles')
  now += 1_000
  t.match(await accounts.login('a', 'correct horse battery', undefined), /^[0-9a-f]{64}$/)

  // RFC 6238, appendix B.
  const secret = new TextEncoder().encode('12345678901234567890')
  t.equal(totpCode(secret, 1), '287082')
  t.equal(totpCode(secret, 37037036), '081804')
  t.equal(totpStep(secret, '287082', 59_000, 0), 1)
  t.equal(totpStep(secret, '287082', 59_000, 1), undefined, 'not twice')
  t.equal(totpStep(secret, '287082', 159_000, 0), undefined, 'not late')
  await accounts.newTotp('a')
  const { totp } = (await database.get<{ totp: Uint8Array }>('SELECT totp FROM operators'))!
  t.equal(await codeOf(accounts.login('a', 'correct horse battery', undefined)), 'operator.login-refused')
  const code = totpCode(totp, Math.floor(now / 30_000))
  t.match(await accounts.login('a', 'correct horse battery', code), /^[0-9a-f]{64}$/)
  t.equal(
    await codeOf(accounts.login('a', 'correct horse battery', code)),
    'operator.login-refused',
    'a code is used once',
  )
})

t.test('P5: what needs two people is carried out once, when another one confirms it', async (t) => {
  const folder = t.testdir()
  const done: string[] = []
  const pay: OperatorCommand = {
    what: 'pays',
    role: 'clerk',
    twoPeople: true,
    options: {},
    carryOut: async ({ people }, values, positionals) => {
      done.push([...people, values['amount'], ...positionals].join(' '))
      return { json: { people }, text: 'paid' }
    },
  }
  const { signIn } = await operatedSite(t, folder, { find: async (name) => (name === 'pay' ? pay : undefined) })
  const begin = async () => {
    const { json } = await callSite('pay', { folder, amount: '5' }, ['shop'])
    return (json as { pending: string }).pending
  }
  const confirm = (id: string) => callSite('confirm', { folder }, [id])
  const id = await begin()
  t.match(id, /^[0-9a-f]{16}$/)
  t.same(done, [], 'one person alone does nothing')
  t.equal(await codeOf(confirm(id)), 'operator.same-person')
  await signIn('other', ['fleet'])
  t.equal(await codeOf(confirm(id)), 'operator.forbidden')
  await signIn('second', ['clerk'])
  t.equal(await codeOf(confirm('0'.repeat(16))), 'operator.pending-unknown')
  const both = await Promise.all([codeOf(confirm(id)), codeOf(confirm(id))])
  t.same(both.sort(), ['operator.pending-unknown', undefined], 'of two who confirm at once one does it')
  t.same(done, ['admin second 5 shop'], 'what the first one gave')
})

t.test('P5: of two who are at the same step of confirming, one carries it out', async (t) => {
  const folder = t.testdir()
  const { site, api } = await operatedSite(t, folder)
  const database = openDatabase(join(folder, 'other.db'))
  t.teardown(() => database.close())
  await migrate(database, [operatorMigrations], 0)
  let done = 0
  const pay: OperatorCommand = {
    what: 'pays',
    role: 'clerk',
    twoPeople: true,
    options: {},
    carryOut: async () => ({ json: ++done, text: 'paid' }),
  }
  const { accounts, log } = api
  const budgets = new Budgets()
  const memory = budgets.pool('files', { operator: { all: 1, each: 1 } })
  const parts = {
    database,
    accounts,
    log,
    site,
    find: async () => pay,
    faults: silent,
    unlisted: throwUnlisted,
    memory,
  }
  const desk = new OperatorDesk({ ...parts, signIns: new SignIns(budgets) })
  const tokenOf = async (name: string) => {
    await accounts.add(name, ['clerk'], 'correct horse battery')
    return accounts.login(name, 'correct horse battery', undefined)
  }
  const [first, second, third] = [await tokenOf('first'), await tokenOf('second'), await tokenOf('third')]
  let waiting = 0
  const both = Promise.withResolvers<void>()
  const port: CallPort = {
    signal: new AbortController().signal,
    tell: () => undefined,
    give: async () => undefined,
    files: async () => new Map(),
  }
  const begun = await desk.answer({ token: first, command: 'pay', values: {}, positionals: [] }, port)
  const { pending } = begun.json as { pending: string }
  const meeting = {
    ...port,
    files: async () => {
      if (++waiting === 2) both.resolve()
      await both.promise
      return new Map()
    },
  }
  const confirm = (token: string) =>
    codeOf(desk.answer({ token, command: 'confirm', values: {}, positionals: [pending] }, meeting))
  const outcomes = await Promise.all([confirm(second), confirm(third)])
  t.same([...outcomes].sort(), ['operator.pending-unknown', undefined])
  t.equal(done, 1)
})

t.test('P5 D6: what waits for a second person is there after a restart, with its files', async (t) => {
  const database = openDatabase(join(t.testdir(), 'operators.db'))
  t.teardown(() => database.close())
  await migrate(database, [operatorMigrations], 0)
  const call = { command: 'pay', values: { amount: '5' }, positionals: ['shop'], token: '0'.repeat(64) }
  const files = new Map([['FILE', Uint8Array.of(1, 2)]])
  const before = new PendingActs(database, systemPorts)
  const id = await before.add('first', { call, files }, new Uint8Array(32))
  const after = new PendingActs(database, systemPorts)
  const { token: _, ...kept } = call
  t.same((await after.find(id))?.begun, { call: kept, files }, 'all but the session')
  t.equal(
    await codeOf(
      before.add('first', { call, files: new Map([['FILE', new Uint8Array(1 << 20)]]) }, new Uint8Array(32)),
    ),
    'message.too-large',
  )
  t.equal(await after.take(id), true)
  t.equal(await before.take(id), false)
})

t.test('P5: what waits is listed, can be declined, expires, and falls with the account that began it', async (t) => {
  const folder = t.testdir()
  const done: string[] = []
  const pay: OperatorCommand = {
    what: 'pays',
    role: 'clerk',
    twoPeople: true,
    options: {},
    filesOut: ['out'],
    carryOut: async (act) => {
      done.push(act.people.join(' '))
      await act.give({ option: 'out', bytes: Uint8Array.of(7) })
      return { json: null, text: 'paid' }
    },
  }
  let skew = 0
  const clock = { ...systemPorts.clock, now: () => Date.now() + skew }
  const { api, signIn } = await operatedSite(t, folder, {
    ports: { ...systemPorts, clock },
    find: async (name) => (name === 'pay' ? pay : undefined),
  })
  const begin = async () => {
    const { json } = await callSite('pay', { folder, amount: '5' }, ['shop'])
    return (json as { pending: string }).pending
  }
  const confirm = (id: string, out?: string) =>
    callSite('confirm', out === undefined ? { folder } : { folder, out }, [id], { filesOut: ['out'] })
  const listed = async () => (await callSite('pending', { folder }, [])).json

  const [first, second, third] = [await begin(), await begin(), await begin()]
  t.match(await listed(), [
    { id: first, began: 'admin', isYours: true, command: 'pay', values: { amount: '5' }, positionals: ['shop'] },
    { id: second },
    { id: third },
  ])
  t.match(await callSite('decline', { folder }, [first]), { json: { declined: first } }, 'whoever began it')
  await signIn('nobody', ['fleet'])
  t.same(await listed(), [], 'without the role nothing is shown')
  t.equal(await codeOf(callSite('decline', { folder }, [second])), 'operator.forbidden')
  const file = await signIn('second', ['clerk'])
  t.equal(await codeOf(confirm(first)), 'operator.pending-unknown', 'declined')
  t.equal(await codeOf(confirm(second)), 'command.invalid', 'the file needs a place')
  skew = 24 * 3_600_000 - 1_000
  await jsonOf(t, 'login', 'second', '--password-file', file, '--folder', folder)
  const out = join(folder, 'out')
  await confirm(second, out)
  t.same([...readFileSync(out)], [7], 'for whoever confirms, where that one says')
  skew += 60_000
  t.equal(await codeOf(confirm(third, out)), 'operator.pending-unknown', 'after a day')
  t.same(await listed(), [])

  const late = await begin()
  t.equal(await codeOf(confirm(late, out)), 'operator.same-person')
  await signIn('third', ['clerk', 'admin'])
  await api.accounts.disable('second')
  t.equal(await codeOf(confirm(late, out)), 'operator.forbidden', 'whoever began it has gone')
  t.same(done, ['admin second'])
  const log = (await api.log.latest(50)).map(({ operator, command, outcome }) => `${operator} ${command} ${outcome}`)
  for (const line of [
    'admin pay pending',
    'admin pay declined',
    'nobody pay operator.forbidden',
    'second pay begun',
    'second pay done',
    'second pay operator.same-person',
    'third pay operator.forbidden',
    'second confirm operator.pending-unknown',
  ])
    t.ok(log.includes(line), line)
  t.same(await api.log.check(), [])
})

t.test(
  'P5 P9: two people for what gives money away, corrects it, or lets a file go to the bank; one for the rest',
  async (t) => {
    const { settlement } = await import('../services/settlement/module.ts')
    const groups = await Promise.all(Object.values(settlement.commands!).map((load) => load()))
    const all = groups.flatMap((group) => Object.entries(group))
    const two = all.filter(([, { twoPeople }]) => twoPeople).map(([name]) => name.replace('settlement ', ''))
    t.same(two.sort(), [
      'admit',
      'assign',
      'debit',
      'decide',
      'drop',
      'explain',
      'payout',
      'refund',
      'release',
      'send-back',
      'shop-key add',
      'split',
    ])
    for (const [name, { role }] of all) t.ok(role === 'clerk' || role === 'auditor', name)
  },
)

t.test('D8: the log has every act, refused ones too, and no password', async (t) => {
  const folder = t.testdir()
  const at = ['--folder', folder]
  const { signIn } = await operatedSite(t, folder)
  await signIn('clerk', ['clerk'])
  await problemOf(t, 'device', 'list', ...at)
  const wrong = join(folder, 'wrong')
  writeFileSync(wrong, 'not the password')
  await problemOf(t, 'login', 'admin', '--password-file', wrong, ...at)
  await jsonOf(t, 'login', 'admin', '--password-file', join(folder, 'admin.password'), ...at)
  await jsonOf(t, 'claim', 'new', '--region', 'JP-13', ...at)
  await problemOf(t, 'device', 'revoke', 'nobody', ...at)
  const { answer } = await jsonOf(t, 'operator', 'log', ...at)
  const lines = (answer as unknown as Record<string, string>[]).map(
    (e) => `${e['operator']} ${e['command']} ${e['outcome']}`,
  )
  t.same(lines.reverse(), [
    'admin login done',
    'clerk login done',
    'clerk device list operator.forbidden',
    ' login operator.login-refused',
    'admin login done',
    'admin claim new begun',
    'admin claim new done',
    'admin device revoke begun',
    'admin device revoke device.unknown',
    'admin operator log begun',
  ])
  t.match(await jsonOf(t, 'operator', 'log', '--check', ...at), { exit: 0, answer: { ok: true } })
  const bytes = readFileSync(join(folder, 'operators.db'), 'latin1')
  for (const file of [wrong, join(folder, 'admin.password')]) t.notOk(bytes.includes(readFileSync(file, 'latin1')))
})

t.test(
  'D8: the database refuses to change the log, and the check finds it when it was changed all the same',
  async (t) => {
    const folder = t.testdir()
    const at = ['--folder', folder]
    await operatedSite(t, folder)
    for (let i = 0; i < 3; i++) await jsonOf(t, 'device', 'list', ...at)
    const direct = new DatabaseSync(join(folder, 'operators.db'))
    t.teardown(() => direct.close())
    const columns = 'id, at_ms, operator, session, command, digest, outcome, hash'
    const replace = `INSERT OR REPLACE INTO operator_log (${columns})
    SELECT id, at_ms, 'nobody', session, command, digest, outcome, hash FROM operator_log WHERE id = 2`
    for (const sql of [
      "UPDATE operator_log SET operator = 'x' WHERE id = 2",
      'DELETE FROM operator_log WHERE id = 2',
      replace,
    ])
      t.throws(() => direct.exec(sql), /append-only/, sql)
    const check = async () => (await jsonOf(t, 'operator', 'log', '--check', ...at)).answer
    t.match(await check(), { ok: true })

    direct.exec('DROP TRIGGER operator_log_kept; DROP TRIGGER operator_log_whole; DROP TRIGGER operator_log_once')
    const kept = direct.prepare('SELECT operator FROM operator_log WHERE id = 2').get() as { operator: string }
    direct.exec(replace)
    t.match(await check(), { ok: false, wrong: ['entry 2 was changed'] })
    direct.exec(`UPDATE operator_log SET operator = '${kept.operator}' WHERE id = 2`)
    t.match(await check(), { ok: true })
    direct.exec("UPDATE operator_log SET outcome = 'done' WHERE id = 3 AND outcome = 'begun' OR id = 2")
    t.match(await check(), { ok: false })
  },
)

t.test('D8: entries cut off at the end, or in the middle, are missed', async (t) => {
  const folder = t.testdir()
  const { api } = await operatedSite(t, folder)
  for (let i = 0; i < 3; i++) await jsonOf(t, 'device', 'list', '--folder', folder)
  t.same(await api.log.check(), [])
  const direct = new DatabaseSync(join(folder, 'operators.db'))
  t.teardown(() => direct.close())
  direct.exec('DROP TRIGGER operator_log_whole')
  direct.exec('CREATE TABLE aside AS SELECT * FROM operator_log WHERE id >= 6; DELETE FROM operator_log WHERE id >= 6')
  t.same(await api.log.check(), ['entries 6 to 7 are gone'], 'the tail')
  direct.exec('INSERT INTO operator_log SELECT * FROM aside')
  t.same(await api.log.check(), [])
  direct.exec('DELETE FROM operator_log WHERE id = 4')
  t.same(await api.log.check(), ['entries 4 to 4 are gone'], 'the middle')
  rmSync(join(folder, 'operator-log.head'))
  t.match((await api.log.check()).join(), /head is gone/)
})

t.test('D6: bad bytes on the socket harm nobody', async (t) => {
  const folder = t.testdir()
  await operatedSite(t, folder)
  const long = Buffer.from([0xff, 0xff, 0xff, 0xff])
  const call = frame({ command: 'device list', values: { folder: 5 }, positionals: [] })
  for (const bytes of [
    long,
    Buffer.from([0, 0, 0, 2, 0xff, 0xff]),
    frame('x'),
    call,
    call.subarray(0, 9),
    Buffer.alloc(0),
  ]) {
    const socket = connect(join(folder, 'operator.sock'))
    socket.on('error', () => undefined).end(bytes)
    socket.resume()
    await new Promise((done) => socket.once('close', done))
  }
  t.match(await jsonOf(t, 'whoami', '--folder', folder), { exit: 0 })
})

t.test('D6: the first operator is made once, with every role, and signs in with the password shown', async (t) => {
  const folder = t.testdir()
  const made = await firstAccount(folder, systemPorts)
  t.match(made, { name: 'admin', password: /^[a-z2-7]{5}(-[a-z2-7]{5}){3}$/i })
  t.equal(await firstAccount(folder, systemPorts), undefined)
  const database = openDatabase(join(folder, 'operators.db'))
  t.teardown(() => database.close())
  t.match(await new Accounts(database, systemPorts).login('admin', made!.password, undefined), /^[0-9a-f]{64}$/)
  const row = await database.get('SELECT memory, passes FROM operators')
  t.match(row, { memory: 65_536, passes: 3 }, 'guessing costs 64 MiB and three passes')
})

t.test('D6: every command asks for a role that there is', async (t) => {
  const commands = (await Promise.all(Object.values(operatorGroups).map((load) => load()))).flatMap(Object.entries)
  const asked = commands.flatMap(([name, command]) => (isOperatorCommand(command) ? [[name, command.role]] : []))
  t.ok(asked.length > 50, `${asked.length} commands`)
  t.same(
    asked.filter(([, role = '']) => !roles.includes(role)),
    [],
  )
})
