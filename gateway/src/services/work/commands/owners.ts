/** Operators' commands about owners of devices that compute (W3, W8), each a contract. */
import { addOwner, listOwners } from '@azukari/protocol/contracts/work-operators'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import type { WorkCommands, WorkOpen } from './context.ts'

export const ownerCommands: WorkCommands = {
  [commandName(addOwner)]: serviceContractCommand(
    addOwner,
    { positionals: ['owner'] },
    async ({ service }: WorkOpen, { owner, contact }, act) => {
      const code = await service.addOwner({ owner, contact, by: act.operator })
      return {
        reply: { owner, code },
        text: `${code}\nThis is shown once. At each of the owner’s devices: azukari-device work join ${code}`,
      }
    },
  ),

  [commandName(listOwners)]: serviceContractCommand(listOwners, {}, async ({ service }: WorkOpen) => {
    const reply = await service.owners()
    const lines = reply.flatMap(({ owner, contact, devices }) => [
      `${owner}  ${contact}`,
      ...devices.map(
        ({ device, valid, validInRow, wrong, lost, quota, microPoints }) =>
          `  ${device}  ${valid} valid (${validInRow} in a row), ${wrong} wrong, ${lost} lost, up to ${quota} a day, ${microPoints / 1e6} points`,
      ),
    ])
    return { reply, text: lines.join('\n') || 'none' }
  }),
}
