/** Letters by mail: where a member wants to be written to, and who could not be. */
import { Count, contract, type Static, Text, TimeMs, Type } from '../contract.ts'
import { signedFields } from '../signed-sealed.ts'
import { Sealed, SettlementNumber, signerProblems } from './settlement-members.ts'

export const mailChoiceDomain = new TextEncoder().encode('azukari/mail-choice/1')

export const MailChoice = Type.Object({
  contract: Type.Literal('settle.mail@1'),
  ...signedFields,
  /** To which address; without one nothing is written any more. */
  mail: Type.Optional(Type.String({ maxLength: 200, pattern: '^[^\\s@<>]+@[^\\s@<>]+$' })),
})
export type MailChoice = Static<typeof MailChoice>

export const chooseMail = contract({
  name: 'settle.mail',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'choice', body: MailChoice, domain: mailChoiceDomain, sealed: true },
  title: 'A member says whether, and to which address, settlement writes when there is news',
  serves: ['S13', 'D8'],
  request: Type.Object({ choice: Sealed }),
  reply: Type.Object({ isWritten: Type.Boolean(), atMs: TimeMs }),
  problems: ['mail.none', ...signerProblems],
})

/** A letter that has not been taken yet. */
export const WaitingMail = Type.Object({
  number: SettlementNumber,
  /** Of what it tells. */
  what: Text(32),
  sinceMs: TimeMs,
  tries: Count,
  /** Why it was not taken. */
  trouble: Type.Optional(Text(200)),
})

export const listMails = contract({
  name: 'settlement.mails',
  kind: 'command',
  service: 'settlement',
  authority: 'operator',
  operator: { role: 'clerk' },
  title: 'Letters to members that have not been sent, and members who are not reached at their address',
  serves: ['S13', 'D6'],
  request: Type.Object({}),
  reply: Type.Object({
    /** Members who want to be written to. */
    members: Count,
    /** Oldest first, 1,000 at most. */
    waiting: Type.Array(WaitingMail, { maxItems: 1_000 }),
    /** Whose mail server refused the last letter, 1,000 at most. */
    refused: Type.Array(Type.Object({ number: SettlementNumber, why: Text(200), atMs: TimeMs }), { maxItems: 1_000 }),
  }),
  problems: [],
})
