/** Operators' commands about what was delivered and what it earned (C7–C9). */
import { hex } from '@azukari/protocol/bytes'
import type { ReplyOf } from '@azukari/protocol/contract'
import { listCharges, proveDelivery, showEarnings } from '@azukari/protocol/contracts/content-operators'
import { formatAmount, isCurrency } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import { sharesOf } from '../billing.ts'
import { earningsOf, entriesOf, entriesOfDelivery, sumsOf } from '../figures.ts'
import type { EntryRow } from '../ledgers.ts'
import { type DeliveryRow, deliveries } from '../store.ts'
import { type ContentCommands, type ContentContext, idOf } from './context.ts'

export const feeCommands: ContentCommands = {
  [commandName(listCharges)]: serviceContractCommand(
    listCharges,
    {},
    async ({ content: { store, settle } }: ContentContext, { content: named, limit = 50 }) => {
      await settle()
      const content = named === undefined ? undefined : idOf(named)
      const sums = await sumsOf(store.sql, content)
      const entries = (await entriesOf(store.sql, content, limit)).map(entryOf)
      const lines = [
        ...sums.map(
          ({ ledger, state, charges, reversals, minor, currency }) =>
            `${ledger.padEnd(8)} ${state.padEnd(10)} ${charges} charges, ${reversals} reversals, ${amount(minor, currency)}`,
        ),
        ...entries.map(lineOf),
      ]
      return { reply: { sums, entries }, text: lines.join('\n') || 'none' }
    },
  ),

  [commandName(showEarnings)]: serviceContractCommand(
    showEarnings,
    { positionals: ['provider'] },
    async ({ content: { store, settle } }: ContentContext, { provider }) => {
      await settle()
      const parts = (await earningsOf(store.sql, provider)).map(({ content, ...row }) => ({
        ...row,
        content: hex(new Uint8Array(content)),
      }))
      const lines = parts.map(
        ({ title, ledger, part, deliveries: times, paidMinor, waitingMinor, currency }) =>
          `${title}  ${ledger} fee, ${part === 'rest' ? 'provider' : part}: ${times} deliveries, ` +
          `${amount(paidMinor, currency)} paid, ${amount(waitingMinor, currency)} not paid yet`,
      )
      return { reply: { provider, parts }, text: lines.join('\n') || 'nothing yet' }
    },
  ),

  [commandName(proveDelivery)]: serviceContractCommand(
    proveDelivery,
    { positionals: ['delivery'] },
    async ({ content: { store, servers, settle } }: ContentContext, { delivery: named }) => {
      await settle()
      const id = idOf(named)
      const row = await deliveries.byId(store.sql, id)
      if (!row) throw new Problem('object.unknown', named)
      const rows = await entriesOfDelivery(store.sql, id)
      const shares = []
      for (const entry of rows)
        for (const { part, payee, minor } of await sharesOf(store, entry))
          shares.push({ ledger: entry.ledger, part, payee, minor })
      const { key } = await servers.entry(row.server)
      const records = rows
        .filter(({ ledger }) => ledger === 'service')
        .map(({ seq, kind, record }) => ({ seq, kind, signed: hex(new Uint8Array(record)) }))
      const entries = rows.map(entryOf)
      const reply: ReplyOf<typeof proveDelivery> = {
        delivery: named,
        state: row.state,
        server: row.server,
        serverKey: key,
        entries,
        records,
        shares,
      }
      if (row.source !== null) reply.from = row.source
      const lines = [
        `${named}  ${row.state}, delivered by ${row.server}${pathOf(row)}`,
        ...entries.map(lineOf),
        ...shares.map(({ ledger, part, payee, minor }) => `  ${ledger} fee: ${minor} to ${payee} (${part})`),
        ...records.map(({ seq, signed }) => `record ${seq}, COSE_Sign1: ${signed}`),
        `key of ${row.server}: ${key}`,
      ]
      return { reply, text: lines.join('\n') }
    },
  ),
}

/** How the bytes came to the server that delivered them (C3). */
function pathOf({ server, source }: DeliveryRow): string {
  if (source === null) return ', not charged'
  return source === server ? ', which held it' : `, which had it from ${source}`
}

type Entry = ReplyOf<typeof listCharges>['entries'][number]

function entryOf(row: EntryRow): Entry {
  const { ledger, server, seq, kind, state, delivery, content, provider, fee, minor, currency, at, problem } = row
  if (!isCurrency(currency)) throw new Problem('message.invalid', `a currency that nobody keeps: ${currency}`)
  const [of, by] = [hex(new Uint8Array(delivery)), hex(new Uint8Array(content))]
  const entry: Entry = {
    ledger,
    server,
    seq,
    kind,
    state,
    delivery: of,
    content: by,
    provider,
    fee,
    minor,
    currency,
    atMs: at,
  }
  if (problem !== null) entry.problem = problem
  return entry
}

function lineOf({ ledger, server, seq, kind, state, delivery, fee, minor, currency, problem }: Entry): string {
  const line = `${ledger.padEnd(8)} ${server}/${seq}  ${kind}  ${fee}  ${amount(minor, currency)}  ${state}  ${delivery}`
  return problem === undefined ? line : `${line}  ${problem}`
}

function amount(minor: number, currency: string): string {
  return isCurrency(currency) ? `${formatAmount(BigInt(minor), currency)} ${currency}` : String(minor)
}
