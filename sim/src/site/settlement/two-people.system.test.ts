/** Acts on money by two signed-in people, on a running gateway with real settlement: once, and all of it in the log. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { firstAccount } from '@azukari/gateway/operator-api/first-account'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import { SettlementStage } from '../../demo/settlement/stage.ts'
import { quietLog } from '../../testkit/log.ts'
import { personOf } from '../../testkit/settlement/fixture.ts'
import { Operators } from '../operators.ts'

async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    return isProblem(error) ? error.code : String(error)
  }
}

t.test('P5 P9: money without an owner is assigned once, by two people who have the role', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
  const stage = new SettlementStage(folder, quietLog)
  const first = await firstAccount(folder, stage.ports)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  t.teardown(() => stage.stop())
  await stage.start()
  const terminal = await stage.terminal('home')
  const member = await stage.enrol('general', personOf(1), terminal)
  const request = await stage.signing(member, (pay) => pay.topUp('deposit', { minor: 999, currency: 'JPY' }))
  const { payment } = await terminal.pay.send(requestValue, { request })

  const people = await Operators.of(folder, first!)
  for (const name of ['hanako', 'jiro', 'saburo']) await people.add(name, 'clerk')
  await people.add('fleet', 'fleet')
  await stage.bank.ask({ do: 'pay', minor: 999, text: 'NO NUMBER', date: '2026-11-02' })
  const { file } = await stage.bank.ask<{ file: string }>({ do: 'movements', after: 0, format: 'camt' })
  const path = join(folder, 'camt.xml')
  writeFileSync(path, Buffer.from(file, 'base64'))
  t.equal(await outcomeOf(people.run('fleet', 'settlement bank', {}, [path])), 'operator.forbidden')
  t.match(await people.run('hanako', 'settlement bank', {}, [path]), { json: { booked: 0, unmatched: 1 } })
  t.match(await people.run('hanako', 'settlement bank', {}, [path]), { json: { known: true } })
  const [line] = (await people.run('hanako', 'settlement unmatched', {})).json as { id: string }[]
  const begin = async (name: string) => {
    const { json } = await people.run(name, 'settlement assign', { payment }, [line!.id])
    return (json as { pending: string }).pending
  }
  const balance = async () => (await stage.settlement.trialBalance()).length
  const accounts = await balance()
  const id = await begin('hanako')
  t.equal(await balance(), accounts, 'one person alone moves nothing')
  t.equal(await outcomeOf(people.run('hanako', 'confirm', {}, [id])), 'operator.same-person')
  t.equal(await outcomeOf(people.run('fleet', 'confirm', {}, [id])), 'operator.forbidden')
  t.equal(await outcomeOf(people.run('fleet', 'settlement assign', { payment }, [line!.id])), 'operator.forbidden')
  // The same act begun twice, and each confirmed by two at once.
  const again = await begin('jiro')
  const outcomes = await Promise.all(
    [
      ['jiro', id],
      ['saburo', id],
      ['hanako', again],
      ['saburo', again],
    ].map(([name, act]) => outcomeOf(people.run(name!, 'confirm', {}, [act!]))),
  )
  t.same(outcomes.sort(), ['bank.line-known', 'done', 'operator.pending-unknown', 'operator.pending-unknown'])
  const { n } = (await stage.settlement.store.sql.get<{ n: number }>(
    "SELECT count(*) AS n FROM ledger_postings WHERE reference = ? AND reason LIKE 'top-up%'",
    payment,
  ))!
  t.equal(n, 1, 'its value is issued once')
  t.match(await stage.settlement.audit(), { findings: [] })

  const log = (await people.run('admin', 'operator log', { limit: '200' })).json as Record<string, string>[]
  const assigned = log.filter(({ command }) => command === 'settlement assign').reverse()
  t.same(
    assigned.map(({ operator, outcome }) => `${operator} ${outcome}`).slice(0, 4),
    ['hanako pending', 'hanako operator.same-person', 'fleet operator.forbidden', 'fleet operator.forbidden'],
    'in the order in which it went',
  )
  t.equal(new Set(assigned.map(({ digest }) => digest)).size, 1, 'one act, whoever spoke of it')
  t.match(await people.run('admin', 'operator log', { check: true, limit: '1' }), { json: { ok: true } })
  const [operation] = (await stage.settlement.operations(10)).filter(({ what }) => what === 'assign bank line')
  t.match(operation?.clerk, /^(hanako|jiro), (hanako|jiro|saburo)$/, 'both stand in settlement’s own log')
})

t.test(
  'P7 P9: a payout goes to the second person, and a session that was stolen from the first is not enough',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
    const stage = new SettlementStage(folder, quietLog)
    const first = await firstAccount(folder, stage.ports)
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    t.teardown(() => stage.stop())
    await stage.start()
    const people = await Operators.of(folder, first!)
    for (const name of ['hanako', 'jiro']) await people.add(name, 'clerk')
    const begun = (await people.run('hanako', 'settlement payout', { date: '2026-11-25', format: 'zengin' })).json
    const { pending } = begun as { pending: string }
    const out = join(folder, 'payout.txt')
    t.equal(await outcomeOf(people.run('hanako', 'confirm', { out }, [pending])), 'operator.same-person')
    t.match(await people.run('jiro', 'pending', {}), { json: [{ id: pending, began: 'hanako' }] })
    t.match(await people.run('jiro', 'confirm', { out }, [pending]), { json: { payouts: 0 }, text: 'nothing waits' })
    t.throws(() => readFileSync(out), { code: 'ENOENT' })
    t.equal(await outcomeOf(people.run('jiro', 'confirm', { out }, [pending])), 'operator.pending-unknown')
  },
)
