/** Whether a member is written to, and where: the member's own signed choice, and nothing before it (D8). */
import { chooseMail } from '@azukari/protocol/contracts/settlement-mail'
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import { Problem } from '@azukari/protocol/problem'
import type { Handler } from '../../../service/service.ts'
import { atRestKey, type SettlementKeys } from '../keystore.ts'
import { memberAct, type ServiceContext } from '../service-context.ts'
import { welcome } from './letters.ts'
import { addMail } from './note.ts'
import { mailAddresses } from './tables.ts'

const utf8 = new TextEncoder()

export function mailHandlers(shared: ServiceContext): Handler[] {
  const { keys, random } = shared
  return [
    memberAct(shared, chooseMail, async ({ member, body: { mail } }, within) => {
      const { sql, nowMs } = within
      if (mail === undefined) {
        await mailAddresses.remove(sql, member.id)
        return { isWritten: false, atMs: nowMs }
      }
      if (!shared.onMail) throw new Problem('mail.none')
      const sealed = encrypt0(utf8.encode(mail), atRestKey(keys, 'mail'), random.bytes(12), addressAad(member.id))
      await mailAddresses.set(sql, member.id, sealed, nowMs)
      await addMail(shared, within, member.id, welcome)
      return { isWritten: true, atMs: nowMs }
    }),
  ]
}

export function openAddress(keys: SettlementKeys, member: Uint8Array, sealed: Uint8Array): string {
  return new TextDecoder().decode(decrypt0(sealed, atRestKey(keys, 'mail'), addressAad(member)))
}

function addressAad(member: Uint8Array): Uint8Array {
  return utf8.encode(`azukari/mail-address/1/${Buffer.from(member).toString('hex')}`)
}
