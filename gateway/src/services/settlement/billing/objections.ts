/** Objections (S13): taken until the deadline, re-checked against profile, records and data, and decided with reasons. */
import { encodeDeterministic } from '@azukari/protocol/codec'
import {
  decisionDomain,
  type ObjectionAbout,
  objectionDecided,
  objectTo,
} from '@azukari/protocol/contracts/settlement-billing'
import type { AccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import { encrypt0 } from '@azukari/protocol/cose'
import { Problem } from '@azukari/protocol/problem'
import type { Handler } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { creditNotePdf } from '../documents/statement.ts'
import { keepDocument } from '../documents/store.ts'
import { atRestKey } from '../keystore.ts'
import { noteOperation } from '../ledger/operations.ts'
import { derivedId, memberAct } from '../service-context.ts'
import { tell } from '../tell.ts'
import { civilDate } from './calendar.ts'
import { stopCharge } from './card-charges.ts'
import { factsOf, windowOf } from './closing.ts'
import type { BillingPorts } from './ports.ts'
import { differences, type Priced, type PricedBy, priceOf, withTamperings } from './price.ts'
import { nextStage } from './stages.ts'
import {
  addressee,
  bookStatement,
  contentOf,
  issueStatement,
  keptPrice,
  linesOf,
  memberOf,
  type StatementRow,
  statements,
} from './statements.ts'

const textDomain = new TextEncoder().encode('azukari/objection-text/1')

/** @param stopped an authorisation is to be given back */
export function objectionHandlers(ports: BillingPorts, stopped: () => void): Handler[] {
  const { shared, rules } = ports
  return [
    memberAct(shared, objectTo, async ({ member, body }, context) => {
      const { sql, nowMs, requestId, afterCommit } = context
      const row = await statements.get(sql, body.statement)
      if (!row) throw new Problem('bill.unknown')
      if (Buffer.compare(row.member, member.id) !== 0) throw new Problem('register.not-own')
      const state = nextStage(row.state, 'object')
      if (civilDate(nowMs, rules.timeZone) > row.object_by) throw new Problem('bill.late')
      const text = encrypt0(
        encodeDeterministic(body.text),
        atRestKey(shared.keys, 'objection'),
        shared.random.bytes(12),
        textDomain,
      )
      await insertRow(sql, 'objections', { id: requestId, statement: row.number, about: body.about, text, at: nowMs })
      await statements.set(sql, row.number, { state })
      if (row.state === 'card-held') {
        await stopCharge(context, row)
        afterCommit(stopped)
      }
      return { objection: requestId, atMs: nowMs }
    }),
  ]
}

export interface ObjectionDesk {
  /** Open objections, oldest first. */
  open(limit: number): Promise<{ id: Uint8Array; statement: string; about: ObjectionAbout; at: number }[]>
  /**
   * Checks again: placement is asked for the data and what was found about it. Level, bytes, years and tariff are those that
   * the statement was priced by; an objection about something else than the data leaves the amount alone, unless a clerk
   * finds that the level of the period was lower. A lower amount is credited whole and billed anew; nothing raises a bill.
   * @param correction the level that the member had, as a clerk found it, with the reason
   * @throws {Problem} `object.unknown`, `placement.unavailable`, `config.invalid` for a correction that lowers nothing
   */
  decide(id: Uint8Array, clerk: string, correction?: Correction): Promise<Decided>
}

export interface Correction {
  level: number
  reason: string
}

export interface Decided {
  upheld: boolean
  findings: string[]
  reissued?: string
}

/** As a decision has room for. */
const reasonMaxChars = 200

/** What a statement comes to when it is looked at again. */
function checkedAgain(
  { rules }: BillingPorts,
  row: StatementRow,
  { about, correction, facts }: { about: ObjectionAbout; correction: Correction | undefined; facts: AccountFacts },
): { price: Priced; by: PricedBy | undefined } | undefined {
  const kept = keptPrice(row)
  if (correction) {
    if (correction.reason.length > reasonMaxChars)
      throw new Problem('config.invalid', `the reason is longer than ${reasonMaxChars} characters`)
    if (!kept) throw new Problem('config.invalid', 'the statement is older than the record of what it was priced by')
    const by = { ...kept, facts: { ...kept.facts, level: correction.level } }
    const price = priceOf(by.facts, by.tariff)
    if (price.total >= row.total) throw new Problem('config.invalid', `level ${correction.level} lowers nothing`)
    return { price, by }
  }
  if (about !== 'data') return undefined
  const price = withTamperings(linesOf(row), facts.tamperings, kept?.tariff ?? rules.tariff)
  const by = kept && { ...kept, facts: { ...kept.facts, tamperings: facts.tamperings } }
  return price.total < row.total ? { price, by } : undefined
}

export function objectionDesk(ports: BillingPorts): ObjectionDesk {
  const { shared } = ports
  return {
    open: (limit) =>
      shared.store.sql.all(
        'SELECT id, statement, about, at FROM objections WHERE decided IS NULL ORDER BY at LIMIT ?',
        limit,
      ),

    decide: async (id, clerk, correction) => {
      const find = async (sql: Sql) => {
        const objection = await sql.get<{ statement: string; about: ObjectionAbout }>(
          'SELECT statement, about FROM objections WHERE id = ? AND decided IS NULL',
          id,
        )
        const row = objection && (await statements.get(sql, objection.statement))
        if (!objection || !row) throw new Problem('object.unknown', 'no such open objection')
        return { objection, row }
      }
      const { row: before } = await find(shared.store.sql)
      const period = { from: before.from_date, to: before.to_date }
      const facts = await factsOf(ports, await memberOf(shared.store.sql, before), windowOf(before))
      return shared.store.transaction(async (within) => {
        // Read again: while placement was asked somebody else may have decided.
        const { sql, nowMs } = within
        const { objection, row } = await find(sql)
        const member = await memberOf(sql, row)
        const again = checkedAgain(ports, row, { about: objection.about, correction, facts })
        const upheld = again !== undefined
        const lines = linesOf(row)
        const found = correction ? [correction.reason] : []
        if (again) found.push(...differences(lines, again.price.lines))
        if (objection.about === 'data' && facts.check.bad > 0)
          found.push(`data: ${facts.check.bad} of ${facts.check.objects} objects are not whole`)
        if (found.length === 0)
          found.push(...lines.map(({ what, how, netMinor }) => `${what}: ${netMinor} (${how}), as before`))
        const findings = found.slice(0, 20)
        const state = nextStage(row.state, upheld ? 'uphold' : 'refuse')
        await statements.set(sql, row.number, { state })
        let reissued: string | undefined
        if (again) {
          await bookStatement(within, row, 'credit')
          const content = creditNotePdf(contentOf(ports, row), addressee(ports, member), findings)
          await keepDocument(shared, sql, {
            id: derivedId('credit-note', row.number),
            kind: 'credit-note',
            member: member.id,
            at: nowMs,
            content,
            name: `credit-note-${row.number}.pdf`,
            media: 'application/pdf',
          })
          reissued = (
            await issueStatement(ports, within, member, period, {
              ...again,
              facts,
              payment: row.payment,
              replaced: row,
            })
          ).number
        }
        await sql.run(
          'UPDATE objections SET decided = ?, upheld = ?, findings = ?, clerk = ? WHERE id = ?',
          nowMs,
          upheld ? 1 : 0,
          JSON.stringify(findings),
          clerk,
          id,
        )
        await noteOperation(sql, nowMs, clerk, 'decide objection', `${row.number} ${upheld ? 'upheld' : 'refused'}`)
        await tell(shared, within, {
          member: member.id,
          contract: objectionDecided,
          domain: decisionDomain,
          body: {
            contract: objectionDecided.id,
            objection: id,
            statement: row.number,
            upheld,
            findings,
            ...(upheld ? { credit: { minor: row.total, currency: row.currency } } : {}),
            ...(reissued ? { reissued } : {}),
          },
          wrap: (decision) => ({ decision }),
        })
        return { upheld, findings, ...(reissued ? { reissued } : {}) }
      })
    },
  }
}
