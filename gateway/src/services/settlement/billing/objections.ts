/** Objections (S13): taken until the deadline, re-checked against profile, records and data, and decided with reasons. */
import { encodeDeterministic } from '@azukari/protocol/codec'
import {
  decisionDomain,
  type ObjectionAbout,
  objectionDecided,
  objectTo,
} from '@azukari/protocol/contracts/settlement-billing'
import { encrypt0 } from '@azukari/protocol/cose'
import { Problem } from '@azukari/protocol/problem'
import type { Handler } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { creditNotePdf } from '../documents/statement.ts'
import { keepDocument } from '../documents/store.ts'
import { atRestKey } from '../keystore.ts'
import { noteOperation } from '../ledger/operations.ts'
import { derivedId, memberAct, tell } from '../service-context.ts'
import { civilDate } from './calendar.ts'
import { stopCharge } from './card-charges.ts'
import { factsOf } from './closing.ts'
import type { BillingPorts } from './ports.ts'
import { differences } from './price.ts'
import { nextStage } from './stages.ts'
import {
  addressee,
  bookStatement,
  contentOf,
  issueStatement,
  linesOf,
  memberOf,
  priceFacts,
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
   * Checks again: placement is asked for profile, records and, since the data check is among them, the data. When the fee
   * comes out otherwise the old statement is credited whole and a new one is issued; when not, the terms compared are
   * the reason of the refusal. A clerk may uphold it all the same, with a reason.
   * @throws {Problem} `object.unknown`, `placement.unavailable`
   */
  decide(
    id: Uint8Array,
    clerk: string,
    override?: { uphold: true; reason: string },
  ): Promise<{ upheld: boolean; findings: string[]; reissued?: string }>
}

export function objectionDesk(ports: BillingPorts): ObjectionDesk {
  const { shared } = ports
  return {
    open: (limit) =>
      shared.store.sql.all(
        'SELECT id, statement, about, at FROM objections WHERE decided IS NULL ORDER BY at LIMIT ?',
        limit,
      ),

    decide: async (id, clerk, override) => {
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
      const facts = await factsOf(ports, await memberOf(shared.store.sql, before), period)
      return shared.store.transaction(async (within) => {
        // Read again: while placement was asked somebody else may have decided.
        const { sql, nowMs } = within
        const { objection, row } = await find(sql)
        const member = await memberOf(sql, row)
        const now = priceFacts(ports, facts, period)
        const found = differences(linesOf(row), now.lines)
        if (objection.about === 'data')
          found.push(
            ...(facts.check.bad > 0
              ? [`data: ${facts.check.bad} of ${facts.check.objects} objects are not whole`]
              : []),
          )
        const upheld = now.total !== row.total || override?.uphold === true
        const compared = now.lines.map(({ what, how, netMinor }) => `${what}: ${netMinor} (${how}), as before`)
        const findings = [...(override ? [override.reason] : []), ...(found.length > 0 ? found : compared)].slice(0, 20)
        const state = nextStage(row.state, upheld ? 'uphold' : 'refuse')
        await statements.set(sql, row.number, { state })
        let reissued: string | undefined
        if (upheld) {
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
            await issueStatement(ports, within, member, period, facts, {
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
