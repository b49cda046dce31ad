/** What is written to hosts and buyers (R6, R8), Japanese first, then English. */

import type { Mail } from '../../../mail/mailer.ts'
import type { BreachReason } from '../sightings/judge.ts'

export interface CaseWords {
  number: number
  title: string
  author: string
  work: string
  location: string
  why: BreachReason
}

const reasons: Record<BreachReason, { ja: string; en: string }> = {
  place: { ja: 'この場所での利用は許諾されていません', en: 'no one is allowed to use it at this address' },
  expired: { ja: '利用期限が過ぎています', en: 'the time for which it was sold is over' },
  stopped: { ja: '利用の停止が求められています', en: 'its use has been stopped' },
  uses: { ja: '許諾された数を超える場所で利用されています', en: 'it is at more addresses than were allowed' },
}

/** What others gave stands within a line of ours: with a line of its own it could pass for our word. */
function inOneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
}

/** To whoever runs the host. */
export function hostWarning(of: CaseWords, to: string): Mail {
  const { number, location, why, work } = of
  const [title, author] = [inOneLine(of.title), inOneLine(of.author)]
  return {
    to,
    id: `case-${number}-host-${work}`,
    subject: `著作物の利用について / A work on your server (${number})`,
    text: `次の画像は、${author} の作品「${title}」（作品ID ${work}）の複製と報告されています。
${location}
${reasons[why].ja}。ご確認のうえ、削除または権利者への連絡をお願いします。お心当たりのない場合はこのメールにご返信ください。整理番号 ${number}

The picture at the address above is reported to be a copy of “${title}” by ${author} (work ${work}): ${reasons[why].en}.
Please look into it, and take it down or write to us. If this is a mistake, please answer this mail. Case ${number}
`,
  }
}

/** To the buyer whose copy it is. */
export function buyerWarning(of: CaseWords, to: { name: string; contact: string; sale: string }): Mail {
  const { number, location, why, work } = of
  const [title, author, name] = [inOneLine(of.title), inOneLine(of.author), inOneLine(to.name)]
  return {
    to: to.contact,
    id: `case-${number}-buyer-${to.sale}`,
    subject: `ご購入作品の利用条件について / Conditions of your copy (${number})`,
    text: `${name} 様
ご購入の「${title}」（${author}、作品ID ${work}、販売ID ${to.sale}）の複製が、次の場所にありました。
${location}
${reasons[why].ja}。この場所から取り除いてください。ご自身によるものでない場合や誤りと思われる場合は、このメールにご返信ください。担当者が確認します。整理番号 ${number}

Your copy of “${title}” by ${author} (work ${work}, sale ${to.sale}) was found at the address above: ${reasons[why].en}.
Please take it away from there. If it was not you, or you think that this is a mistake, answer this mail: a person will look into it. Case ${number}
`,
  }
}

export interface DecisionWords extends CaseWords {
  decision: 'dismissed' | 'stopped' | 'charged'
  reason: string
  /** As people read it, with its currency. */
  amount?: string | undefined
}

/** To the buyer: what people decided. */
export function decisionLetter(of: DecisionWords, to: { name: string; contact: string; sale: string }): Mail {
  const { number, decision, amount = '' } = of
  const [title, reason, name] = [inOneLine(of.title), inOneLine(of.reason), inOneLine(to.name)]
  const decided = {
    dismissed: { ja: '違反はなかったものとして終了しました', en: 'the case is closed: there was no breach' },
    stopped: { ja: '利用の停止を決定しました', en: 'the use of your copy has to end' },
    charged: { ja: `追加料金 ${amount} をご請求します`, en: `an additional charge of ${amount} is asked` },
  }[decision]
  return {
    to: to.contact,
    id: `case-${number}-${decision}-${to.sale}`,
    subject: `決定のお知らせ / Decision (${number})`,
    text: `${name} 様
「${title}」（販売ID ${to.sale}）について、${decided.ja}。理由: ${reason}
ご異議はこのメールへの返信でお申し出ください。整理番号 ${number}

About “${title}” (sale ${to.sale}): ${decided.en}. Reason: ${reason}
If you object, answer this mail. Case ${number}
`,
  }
}
