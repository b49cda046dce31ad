/** With which keys placement's host verifies what members sign: those of their cards for acts. */
import type { Signer, Signers } from '../../../service/signed.ts'
import { type MemberRow, members } from '../store.ts'

interface MemberSigner extends Signer {
  member: MemberRow
}

export const memberSigners: Signers = {
  find: async (sql, kid): Promise<MemberSigner | undefined> => {
    const member = await members.byActsKey(sql, kid)
    return member && { key: member.acts_key, member }
  },
}

/** Whose card signed. */
export function memberOfSigner(signer: Signer | undefined): MemberRow {
  // It is what `memberSigners` found.
  return (signer as MemberSigner).member
}
