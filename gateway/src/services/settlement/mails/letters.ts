/**
 * What is written to members, Japanese first, then English. A letter says that there is news and where it is, and neither amounts
 * nor names: mail is read by more people than its reader.
 */
import { objectionDecided, receiptSent, statementSent } from '@azukari/protocol/contracts/settlement-billing'
import { balanceChanged } from '@azukari/protocol/contracts/settlement-purchase'
import { valueIssued } from '@azukari/protocol/contracts/settlement-value'

/** The first letter to an address: whoever reads it by mistake can say so. */
export const welcome = 'welcome'

interface Letter {
  ja: { subject: string; text: string }
  en: { subject: string; text: string }
}

const letters: Readonly<Record<string, Letter>> = {
  [welcome]: {
    ja: {
      subject: 'お知らせをメールでお送りします',
      text: '端末でのお申し出により、今後お知らせがあるときはこのアドレスにメールをお送りします。',
    },
    en: {
      subject: 'We write to you here from now on',
      text: 'As was asked at a terminal, we write to this address when there is news.',
    },
  },
  [statementSent.name]: {
    ja: {
      subject: '明細書ができました',
      text: '新しい明細書ができました。端末の「明細書」でご覧いただけます。異議は明細書に記した期限までお申し出になれます。',
    },
    en: {
      subject: 'Your statement is ready',
      text: 'A new statement is ready. See it at a terminal under “Statements”. You may object until the deadline on it.',
    },
  },
  [objectionDecided.name]: {
    ja: {
      subject: '異議の審査が終わりました',
      text: 'お申し出の異議について審査が終わりました。結果は端末の「お知らせ」でご覧いただけます。',
    },
    en: {
      subject: 'Your objection is decided',
      text: 'Your objection has been decided. See at a terminal under “News” how.',
    },
  },
  [receiptSent.name]: {
    ja: {
      subject: 'お支払いを受け付けました',
      text: '明細書のお支払いを確認しました。領収書は端末でご覧いただけます。',
    },
    en: {
      subject: 'Your payment has come',
      text: 'Your statement is paid. The receipt is at any terminal.',
    },
  },
  [valueIssued.name]: {
    ja: {
      subject: '入金の状況が変わりました',
      text: 'お申し込みの入金について状況が変わりました。端末の「残高」でご覧いただけます。',
    },
    en: {
      subject: 'News of your top-up',
      text: 'The state of a top-up has changed. See your balance at a terminal.',
    },
  },
  [balanceChanged.name]: {
    ja: {
      subject: '残高が変わりました',
      text: '返金などにより残高が変わりました。端末の「残高」でご覧いただけます。',
    },
    en: {
      subject: 'Your balance has changed',
      text: 'Your balance has changed, by a refund for instance. See it at a terminal.',
    },
  },
}

/** Whether members are written to of it. */
export function isWrittenOf(what: string): boolean {
  return letters[what] !== undefined
}

/** Undefined for what nobody is written to of. @param from who writes */
export function letterOf(what: string, from: string): { subject: string; text: string } | undefined {
  const letter = letters[what]
  if (!letter) return undefined
  const { ja, en } = letter
  return {
    subject: `${ja.subject} / ${en.subject}`,
    text: `${ja.text}
メールを止めるには、端末の「メールでのお知らせ」で「送らない」をお選びください。パスワードや番号をメールでお尋ねすることはありません。
${from}

${en.text}
To hear no more, choose “No letters” under “Letters by mail” at a terminal. We never ask for a password or a number by mail.
${from}
`,
  }
}
