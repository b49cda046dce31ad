/** Operators' commands about owners of devices that compute (W3, W8), each a contract. */
import { addOwner, listOwners, redeemForOwner, setOwnerMember } from '@azukari/protocol/contracts/work-operators'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import type { WorkCommands, WorkOpen } from './context.ts'

export const ownerCommands: WorkCommands = {
  [commandName(addOwner)]: serviceContractCommand(
    addOwner,
    { positionals: ['owner'] },
    async ({ service }: WorkOpen, { owner, contact, member }, act) => {
      const code = await service.addOwner({ owner, contact, member, by: act.operator })
      return {
        reply: { owner, code },
        text: `${code}\nThis is shown once. At each of the owner’s devices: azukari-device work join ${code}`,
      }
    },
  ),

  [commandName(setOwnerMember)]: serviceContractCommand(
    setOwnerMember,
    { positionals: ['owner', 'member'] },
    async ({ service }: WorkOpen, { owner, member }) => {
      await service.setOwnerMember(owner, member)
      return { reply: { owner, member }, text: `${owner} is member ${member}` }
    },
  ),

  [commandName(redeemForOwner)]: serviceContractCommand(
    redeemForOwner,
    { positionals: ['owner', 'points'] },
    async ({ service }: WorkOpen, { owner, points }) => {
      const reply = await service.redeem(owner, points)
      const left = reply.leftMicroPoints / 1e6
      return {
        reply,
        text: `${points} points become ${reply.minor} ${reply.currency} of stored value; ${left} are left. See azukari-gateway work owner list`,
      }
    },
  ),

  [commandName(listOwners)]: serviceContractCommand(listOwners, {}, async ({ service }: WorkOpen) => {
    const reply = await service.owners()
    const lines = reply.flatMap(({ owner, contact, member, leftMicroPoints, redemptions, devices }) => [
      `${owner}  ${contact}  ${member === undefined ? 'no member' : `member ${member}`}  ${leftMicroPoints / 1e6} points left`,
      ...redemptions.map(
        ({ points, minor, currency, state, problem }) =>
          `  ${points} points: ${minor} ${currency}, ${state}${problem === undefined ? '' : ` (${problem})`}`,
      ),
      ...devices.map(
        ({ device, valid, validInRow, wrong, lost, quota, microPoints }) =>
          `  ${device}  ${valid} valid (${validInRow} in a row), ${wrong} wrong, ${lost} lost, up to ${quota} a day, ${microPoints / 1e6} points`,
      ),
    ])
    return { reply, text: lines.join('\n') || 'none' }
  }),
}
