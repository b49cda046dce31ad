/** Stored value by credit card (P5): authorised, then captured, and only then is value issued. */
import { decrypt0 } from '@azukari/protocol/cose'
import { atRestKey } from '../keystore.ts'
import type { ServiceContext } from '../service-context.ts'
import { againMs, type CardCompany, type CardQueue } from './card-company.ts'
import { declineValue, issueValue, reverseValue, type TopUpRow, tokenDomain, topUps } from './top-up.ts'

/** What was authorised and never captured is free again after that at the latest, by the rules of card companies. */
const heldMs = 31 * 86_400_000

export function topUpQueue(shared: ServiceContext, company: CardCompany): CardQueue<TopUpRow> {
  const { store, clock, keys } = shared
  const isOpen = ({ state }: TopUpRow) => state === 'waiting' || state === 'authorised'
  return {
    due: (nowMs, limit) => topUps.due(store.sql, nowMs, limit),
    next: async () =>
      (await store.sql.get<{ next: number | null }>('SELECT min(next) AS next FROM top_ups'))?.next ?? undefined,

    step: async (row, signal) => {
      const id = Buffer.from(row.id).toString('hex')
      const decline = () =>
        store.transaction(async (within) => {
          const now = (await topUps.get(within.sql, row.payment))!
          if (isOpen(now)) await declineValue(shared, within, now, 'declined')
        })
      const authorise = () => {
        const token = Buffer.from(decrypt0(row.token!, atRestKey(keys, 'card-token'), tokenDomain)).toString()
        return company.authorise({ id, token, minor: row.amount, currency: row.currency, signal })
      }
      if (row.state === 'expired') {
        const answer = await authorise()
        if ('authorisation' in answer) await company.void({ id, authorisation: answer.authorisation, signal })
        return store.transaction(({ sql }) => topUps.set(sql, row.payment, { next: null }))
      }
      // What is authorised may be captured already: that is found out, however late.
      if (!row.authorisation && row.pay_by <= clock.now()) {
        return store.transaction(async (within) => {
          const now = (await topUps.get(within.sql, row.payment))!
          if (!isOpen(now)) return
          await declineValue(shared, within, now, 'expired')
          // It may have been authorised, and the answer lost: then it is given back, lest money stays held on the member's card.
          await topUps.set(within.sql, row.payment, { next: within.nowMs })
        })
      }
      let { authorisation } = row
      if (!authorisation) {
        const answer = await authorise()
        if ('declined' in answer) return decline()
        authorisation = answer.authorisation
        await store.transaction(async ({ sql }) => {
          if ((await topUps.get(sql, row.payment))!.state === 'waiting')
            await topUps.set(sql, row.payment, { state: 'authorised', authorisation })
        })
      }
      const answer = await company.capture({ id, authorisation, signal })
      if ('refused' in answer) return decline()
      await store.transaction(async (within) => {
        const now = (await topUps.get(within.sql, row.payment))!
        if (isOpen(now)) await issueValue(shared, within, now, 'card-company')
      })
    },

    unclear: async ({ payment, tries }) => {
      await store.transaction(async ({ sql, nowMs }) => {
        const row = (await topUps.get(sql, payment))!
        const isHeld = row.state === 'expired' && nowMs < row.pay_by + heldMs
        const next = isOpen(row) || isHeld ? nowMs + againMs(tries) : null
        await topUps.set(sql, payment, { tries: tries + 1, next })
      })
      return { payment, tries: tries + 1 }
    },

    reversed: async (within, { authorisation, minor }) => {
      const row = await within.sql.get<TopUpRow>(
        "SELECT * FROM top_ups WHERE authorisation = ? AND state IN ('authorised', 'issued')",
        authorisation,
      )
      if (row?.amount !== minor) return undefined
      // It was captured, or it could not be taken back: the answer that said so was lost.
      if (row.state === 'authorised') await issueValue(shared, within, row, 'card-company')
      await reverseValue(shared, within, (await topUps.get(within.sql, row.payment))!, 'card-company')
      return row.payment
    },
  }
}
