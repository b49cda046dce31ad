/** Operators' commands about apps and licences (W8–W10), each a contract. */
import {
  addApp,
  type LicenceShown,
  listApps,
  listLicences,
  revokeLicence,
} from '@azukari/protocol/contracts/work-licences'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import type { WorkCommands, WorkOpen } from './context.ts'

export const licenceCommands: WorkCommands = {
  [commandName(addApp)]: serviceContractCommand(
    addApp,
    { positionals: ['app'] },
    async ({ service }: WorkOpen, { app, title, vendor, fee = 0 }, act) => {
      await service.licences.offer({ app, title, vendor, feeMinor: fee, by: act.operator })
      return {
        reply: { app },
        text: `${app} is offered. At a board that takes part in work: azukari-device licence get ${app}`,
      }
    },
  ),

  [commandName(listApps)]: serviceContractCommand(listApps, {}, async ({ service }: WorkOpen) => {
    const reply = await service.licences.apps()
    const lines = reply.map(({ app, title, vendor, feeMinor, currency, enrolled, supplied }) => {
      const paid = vendor === undefined ? 'no vendor' : `${feeMinor} ${currency} each to ${vendor}`
      return `${app}  ${title}  ${supplied} supplied of ${enrolled}, ${paid}`
    })
    return { reply, text: lines.join('\n') || 'none' }
  }),

  [commandName(listLicences)]: serviceContractCommand(listLicences, {}, async ({ service }: WorkOpen) => {
    const reply = await service.licences.list()
    return { reply, text: reply.map(lineOf).join('\n') || 'none' }
  }),

  [commandName(revokeLicence)]: serviceContractCommand(
    revokeLicence,
    { positionals: ['app', 'device'] },
    async ({ service }: WorkOpen, { app, device }) => {
      const reply = await service.licences.revoke(app, device)
      return { reply, text: lineOf(reply) }
    },
  ),
}

function lineOf({ app, device, name, isRevoked, untilMs }: LicenceShown): string {
  const until = untilMs === undefined ? 'not supplied yet' : `runs until ${new Date(untilMs).toISOString()}`
  return `${app}  ${device}  ${name}  ${isRevoked ? 'revoked, ' : ''}${until}`
}
