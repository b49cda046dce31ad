import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { rightsChecks } from './commands/checks.ts'

t.test('R6: rights.json is sound, names no mail server, or is refused with its place', async (t) => {
  const folder = t.testdir({})
  const look = () => rightsChecks(folder)[0]!.look()
  t.match(await look(), /not there/)
  const write = (settings: object) => writeFileSync(join(folder, 'rights.json'), JSON.stringify(settings))
  write({ warn: 'host' })
  t.match(await look(), /no mail server/)
  write({ mail: { host: 'mail.example', port: 587, from: 'a@b.example' } })
  t.equal(await look(), 'sound; warns both by mail.example')
  for (const wrong of [
    { warn: 'all' },
    { mail: { host: 'x' } },
    { unknown: 1 },
    { hosts: { 'a.example': 'nobody' } },
  ]) {
    write(wrong)
    await t.rejects(look(), { code: 'config.invalid', message: /rights\.json/ })
  }
})
