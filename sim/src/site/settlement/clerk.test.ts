import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '@azukari/gateway/adapters/database'
import { commands } from '@azukari/gateway/commands'
import { firstAccount } from '@azukari/gateway/operator-api/first-account'
import { pageFontPath } from '@azukari/gateway/services/settlement/adapters/page-font-file'
import { enterBankFile } from '@azukari/gateway/services/settlement/bank/release'
import { requestValue, valueIssued } from '@azukari/protocol/contracts/settlement-value'
import t from 'tap'
import { SettlementStage } from '../../demo/settlement/stage.ts'
import { noBrowser } from '../../testkit/browser.ts'
import { quietLog } from '../../testkit/log.ts'
import { codesOf, personOf } from '../../testkit/settlement/fixture.ts'
import { Operators } from '../operators.ts'
import { until } from '../wait.ts'

t.test(
  'P1 P5 P9 clerks’ commands beside a running gateway: what they do reaches the member, the log and the audit',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
    const stage = new SettlementStage(folder, quietLog)
    const first = await firstAccount(folder, stage.ports)
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    t.teardown(() => stage.stop())
    await stage.start()
    // The page for applicants and the operator's figures are served by the gateway itself.
    const { enrolUrl, healthPort } = stage.gateway
    t.match(await (await fetch(`${enrolUrl}/apply?kind=shop&lang=en`)).text(), /Account holder in kana/)
    t.match(await (await fetch(`http://127.0.0.1:${healthPort}/statistics`)).text(), /決済統計/)
    const terminal = await stage.terminal('home')
    const member = await stage.enrol('general', personOf(1), terminal)
    const people = await Operators.of(folder, first!)
    await people.add('clerk-1', 'clerk', 'auditor')
    await people.add('clerk-2', 'clerk')
    const run = async (name: string, values: Record<string, string>, ...rest: string[]) =>
      people.run('clerk-1', `settlement ${name}`, values, rest)
    const second = async (name: string, values: Record<string, string>, ...rest: string[]) =>
      people.run('clerk-2', name, values, rest)
    const request = await stage.signing(member, (pay) => pay.topUp('cash', { minor: 700, currency: 'JPY' }))
    const { payment } = await terminal.pay.send(requestValue, { request })
    const counted = { amount: '700', mail: 'R-1' }
    t.match(await run('cash', counted, payment), { json: { issued: false } })
    await t.rejects(run('cash', counted, payment), { code: 'topup.same-clerk' })
    t.match(await second('settlement cash', counted, payment), { json: { issued: true } })
    await until('the member hears of it', async () => (await terminal.pay.kept(valueIssued)).length === 1)
    const out = join(folder, 'again.pdf')
    await run('reissue', { out }, member.number)
    t.match(codesOf(readFileSync(out)).code, /^[a-z2-7]{16}$/)
    t.match(await run('statistics', {}), { json: { days: [{ reason: 'top-up-cash', postings: 1, minor: 700 }] } })
    for (const [file, start] of [
      ['plots.svg', '<svg '],
      ['plots.html', '<!doctype html>'],
    ] as const) {
      t.match(await run('statistics', { out: join(folder, file), months: '3' }), {
        json: { shops: { buyersAtLeast: 5 } },
      })
      t.ok(readFileSync(join(folder, file), 'utf8').startsWith(start), file)
    }
    if (!noBrowser) {
      const png = join(folder, 'plots.png')
      await run('statistics', { out: png })
      t.equal(readFileSync(png).toString('latin1', 1, 4), 'PNG', 'drawn where it is written')
    }
    await t.rejects(run('statistics', { out: join(folder, 'plots.gif') }), { code: 'config.invalid' })
    await t.rejects(run('statistics', { months: '61' }), { code: 'command.invalid' })
    const books = join(folder, 'books.beancount')
    const dayFromNow = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)
    const period = { from: dayFromNow(-2), to: dayFromNow(2), out: books }
    t.match(await run('journal', period), { json: { entries: 1, format: 'beancount' } })
    t.match(
      readFileSync(books, 'utf8'),
      /"top-up-cash"\n {2}Assets:Cash {2}700 JPY\n {2}Liabilities:StoredValue {2}-700 JPY\n/,
    )
    t.match(await run('journal', { from: '2020-02-01', out: books }), { json: { to: '2020-02-29', entries: 0 } })
    for (const wrong of [{ from: '2020-02-30' }, { to: '2020-01-01' }, { from: '2020-01-01' }, { format: 'pdf' }])
      await t.rejects(run('journal', { ...period, ...wrong }), { code: 'config.invalid' })
    const doctor = async () => {
      const { json } = (await commands['doctor']!.run({ folder }, []))!
      return (json as { findings: { what: string; ok: boolean; detail: string }[] }).findings.find(
        ({ what }) => what === 'font of pages',
      )
    }
    const carries = pageFontPath() !== undefined
    t.match(await doctor(), carries ? { ok: true, detail: /BIZUDGothic/ } : { ok: false, detail: /no Japanese font/ })
    const settings = JSON.parse(readFileSync(join(folder, 'settlement.json'), 'utf8'))
    writeFileSync(join(folder, 'settlement.json'), JSON.stringify({ ...settings, font: 'no-such.ttf' }))
    t.match(await doctor(), { ok: false, detail: /no-such\.ttf/ })
    writeFileSync(join(folder, 'settlement.json'), JSON.stringify(settings))
    t.match((await run('log', {})).text, /clerk-2 {2}count cash/)
    // What is for the bank leaves with its note, and the gate before the bank lets it through once. (Here a letter is sent.)
    const [letter] = await stage.settlement.documents('letter')
    await stage.settlement.store.transaction(({ sql, nowMs }) => enterBankFile(sql, nowMs, letter!.id, 'payout-file'))
    const { json: waiting } = (await run('files', {})) as { json: { id: string; epoch: number }[] }
    t.match(waiting, [{ id: Buffer.from(letter!.id).toString('hex'), epoch: 1 }])
    const file = join(folder, 'file')
    const begun = (await run('release', {}, waiting[0]!.id)).json as { pending: string }
    await t.rejects(people.run('clerk-1', 'confirm', { out: file }, [begun.pending]), { code: 'operator.same-person' })
    await t.rejects(second('confirm', {}, begun.pending), { code: 'command.invalid' }, 'where is the file to go?')
    t.match(await second('confirm', { out: file }, begun.pending), { json: { document: waiting[0]!.id } })
    t.match((await run('log', {})).text, /clerk-1, clerk-2 {2}release bank file/)
    const again = (await run('release', {}, waiting[0]!.id)).json as { pending: string }
    await t.rejects(second('confirm', { out: file }, again.pending), { code: 'bank.released' })
    const { key } = (await run('key', {})).json as { key: string }
    const gate = () => commands['settlement gate']!.run({ state: join(folder, 'gate.db'), key }, [file])
    t.match(await gate(), { json: { kind: 'letter', epoch: 1 } })
    await t.rejects(gate(), { code: 'bank.file-known' })
    await stage.settlement.head('2026-11-21')
    // Yesterday's head is signed by itself once the gateway has run for some seconds.
    const audited = await run('audit', {})
    t.match(audited, { json: { findings: [] }, exit: 0 })
    t.ok((audited as { json: { heads: number } }).json.heads >= 1)
    const database = openDatabase(`${folder}/settlement/settlement.db`)
    await database.script('DROP TRIGGER ledger_legs_no_update; UPDATE ledger_legs SET amount = 7000')
    await database.close()
    t.match(await run('audit', {}), { exit: 1 }, 'and a journal that was changed is found')
  },
)
