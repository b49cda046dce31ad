/** What an account may do is changed while it works (D6): such as when a release brings a role that it has not. */
import t, { type Test } from 'tap'
import { jsonOf, operatedSite } from '../test-operator.ts'
import { callSite } from './client.ts'

async function problemOf(t: Test, ...words: string[]): Promise<unknown> {
  return ((await jsonOf(t, ...words)).answer['problem'] as { code: string } | undefined)?.code
}

t.test('D6: roles of an account are changed, and count from its next call on', async (t) => {
  const path = t.testdir()
  const { api } = await operatedSite(t, path)
  const at = ['--folder', path]
  const password = api.accounts.newPassword()
  await api.accounts.add('hanako', ['fleet'], password)
  const token = await api.accounts.login('hanako', password, undefined)
  const hers = (command: string) => callSite(command, { folder: path }, [], {}, { token })
  await t.rejects(hers('operator list'), { code: 'operator.forbidden' })
  t.match(await jsonOf(t, 'operator', 'roles', 'hanako', '--role', 'admin', '--role', 'auditor', ...at), {
    exit: 0,
    answer: { operator: 'hanako', roles: ['admin', 'auditor'] },
  })
  t.match((await hers('operator list')).json, [{ name: 'admin' }, { name: 'hanako', roles: ['admin', 'auditor'] }])
  await t.rejects(hers('device list'), { code: 'operator.forbidden' }, 'those that are not named are gone')

  t.equal(await problemOf(t, 'operator', 'roles', 'hanako', '--role', 'baker', ...at), 'config.invalid')
  t.equal(await problemOf(t, 'operator', 'roles', 'nobody', '--role', 'fleet', ...at), 'config.invalid')
  t.match(await jsonOf(t, 'operator', 'roles', 'hanako', '--role', 'fleet', ...at), { exit: 0 })
  t.equal(
    await problemOf(t, 'operator', 'roles', 'admin', '--role', 'fleet', ...at),
    'config.invalid',
    'the last administrator stays one',
  )
  t.equal(await problemOf(t, 'operator', 'roles', 'hanako', ...at), 'command.invalid', 'an account has a role')
  t.match(await jsonOf(t, 'operator', 'log', '--check', ...at), { exit: 0, answer: { ok: true } })
})
