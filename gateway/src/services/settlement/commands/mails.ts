/** The clerks' view of letters to members (S13): what waits, and who is not reached. */
import { listMails } from '@azukari/protocol/contracts/settlement-mail'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import type { SettlementCommands, SettlementContext } from './context.ts'

const moment = (ms: number) => new Date(ms).toISOString()

export const mailCommands: SettlementCommands = {
  [commandName(listMails)]: serviceContractCommand(listMails, {}, async ({ service }: SettlementContext) => {
    const report = await service.mails()
    const waiting = report.waiting.map(
      ({ number, what, sinceMs, tries, trouble }) =>
        `${number}  ${what}  since ${moment(sinceMs)}, ${tries} tries${trouble ? `: ${trouble}` : ''}`,
    )
    const refused = report.refused.map(({ number, why, atMs }) => `${number}  refused ${moment(atMs)}: ${why}`)
    const head = `${report.members} members want letters, ${waiting.length} letters wait`
    return { reply: report, text: [head, ...waiting, ...refused].join('\n') }
  }),
}
