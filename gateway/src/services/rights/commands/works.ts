/** Commands about works, each a contract (R1, R2). */
import { listWorks, registerWork, showWork } from '@azukari/protocol/contracts/rights-operators'
import { formatAmount } from '@azukari/protocol/money'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import { dayOf, operatorOf, type RightsCommands, type RightsContext } from './context.ts'
import { saleLine } from './sales.ts'

export const workCommands: RightsCommands = {
  [commandName(registerWork)]: serviceContractCommand(
    registerWork,
    { positionals: ['file'], filesIn: ['FILE'], filesOut: ['out'] },
    async ({ service }: RightsContext, request, act) => {
      const { title, author, price, currency = 'JPY', published = [], out } = request
      const { days: maxDays = 365, uses: maxUses = 1, resale = false, another } = request
      const { marked, record, ...facts } = await service.works.register({
        picture: act.file('FILE').bytes,
        title,
        author,
        offer: { priceMinor: price, currency, maxDays, maxUses, resale },
        published,
        isAnother: another,
        by: operatorOf(act),
      })
      await act.give({ option: 'out', bytes: marked })
      await act.give({ option: 'out', suffix: '.record', bytes: record })
      return {
        reply: { ...facts, title, author, out },
        text: `work ${facts.work}: ${out} carries it (${facts.psnrDb.toFixed(1)} dB), ${out}.record says so. Publish that one; the picture without a mark stays with you.`,
      }
    },
  ),

  [commandName(listWorks)]: {
    ...serviceContractCommand(listWorks, {}, async ({ service }: RightsContext) => {
      const works = await service.works.list()
      const lines = works.map(
        ({ work, title, author, sales, registeredMs }) =>
          `${work}  ${dayOf(registeredMs)}  ${title}, ${author}; ${sales} sold`,
      )
      return { reply: works, text: lines.join('\n') || 'none' }
    }),
    offline: true,
  },

  [commandName(showWork)]: {
    ...serviceContractCommand(showWork, { positionals: ['work'] }, async ({ service }: RightsContext, { work }) => {
      const { record, ...facts } = await service.works.get(work)
      const sales = await service.sales.ofWork(work)
      const { offer, published } = facts
      const text = [
        `${facts.title}, ${facts.author}; registered ${dayOf(facts.registeredMs)} by ${facts.by}`,
        `${formatAmount(BigInt(offer.priceMinor), offer.currency)} ${offer.currency}, at most ${offer.maxDays} days and ${offer.maxUses} addresses${offer.resale ? ', resale possible' : ''}`,
        published.length > 0 ? `published below ${published.join(', ')}` : 'published nowhere',
        ...sales.map(saleLine),
      ].join('\n')
      return { reply: { work: facts, sales, record: Buffer.from(record).toString('base64url') }, text }
    }),
    offline: true,
  },
}
