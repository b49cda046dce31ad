/** Commands about sales and conditions, each a contract (R3). */
import { copySale, listConditions, offerWork, sellWork } from '@azukari/protocol/contracts/rights-operators'
import { formatAmount } from '@azukari/protocol/money'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import type { SaleFacts } from '../sales/desk.ts'
import { dayOf, operatorOf, type RightsCommands, type RightsContext } from './context.ts'

/** The last day of use. */
const lastDay = (untilMs: number) => dayOf(untilMs - 1)

export function saleLine({ sale, buyer, contact, soldMs, conditions, stoppedMs, voidedMs }: SaleFacts): string {
  const { places, untilMs, uses, resale } = conditions
  const stopped = stoppedMs === undefined ? '' : `; stopped ${dayOf(stoppedMs)}`
  const stop = voidedMs === undefined ? stopped : `; void since ${dayOf(voidedMs)}`
  return `${sale}  ${dayOf(soldMs)}  ${buyer} <${contact}>  ${places.join(', ')} until ${lastDay(untilMs)}, ${uses} addresses${resale ? ', resale' : ''}${stop}`
}

export const saleCommands: RightsCommands = {
  [commandName(listConditions)]: {
    ...serviceContractCommand(
      listConditions,
      { positionals: ['work'] },
      async ({ service }: RightsContext, { work }) => {
        const all = await service.sales.conditions(work)
        const lines = all.map(
          ({ work, title, author, offer }) =>
            `${work}  ${title}, ${author}: ${formatAmount(BigInt(offer.priceMinor), offer.currency)} ${offer.currency}; at most ${offer.maxDays} days, ${offer.maxUses} addresses; ${offer.resale ? 'resale possible' : 'no resale'}`,
        )
        return { reply: all, text: lines.join('\n') || 'none' }
      },
    ),
    offline: true,
  },

  [commandName(sellWork)]: serviceContractCommand(
    sellWork,
    { positionals: ['work'], filesOut: ['out'] },
    async ({ service }: RightsContext, { work, buyer, contact, url, until, uses = 1, resale = false, out }, act) => {
      const { copy, ...sold } = await service.sales.sell({
        work,
        buyer: { name: buyer, contact },
        places: url,
        until,
        uses,
        resale,
        by: operatorOf(act),
      })
      await act.give({ option: 'out', bytes: copy })
      const { sale, soldMs, conditions, priceMinor, currency } = sold
      return {
        reply: { sale, work, soldMs, conditions, priceMinor, currency, out },
        text: `sale ${sale}: ${out} is ${buyer}’s copy, good until ${lastDay(conditions.untilMs)}. rights copy ${sale} gives it again.`,
      }
    },
  ),

  [commandName(offerWork)]: serviceContractCommand(
    offerWork,
    { positionals: ['work'] },
    async ({ service }: RightsContext, { work, provider }) => {
      const reply = await service.offer({ work, provider })
      return {
        reply,
        text: `${work} is content ${reply.content} from now on: “${reply.terms}” content withdraw ${reply.content} ends it.`,
      }
    },
  ),

  [commandName(copySale)]: serviceContractCommand(
    copySale,
    { positionals: ['sale'], filesOut: ['out'] },
    async ({ service }: RightsContext, { sale, out }, act) => {
      await act.give({ option: 'out', bytes: await service.sales.copy(sale) })
      return { reply: { sale, out }, text: `${out} is the copy of sale ${sale}` }
    },
  ),
}
