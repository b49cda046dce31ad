/** Problems of the ledger (P4, P5), as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const ledgerProblems = {
  'ledger.bad-posting': {
    retry: 'no',
    en: {
      title: 'The posting is not well formed',
      todo: 'Update the software of the sender; if it is current, report this.',
    },
    ja: {
      title: '記帳の形式が正しくありません',
      todo: '送信側のソフトウェアを更新してください。最新の場合はご報告ください。',
    },
  },
  'ledger.bad-amount': {
    retry: 'no',
    en: {
      title: 'The amount cannot be right',
      todo: 'Check the amount: it must be more than zero and within the limit.',
    },
    ja: {
      title: '金額が正しくありません',
      todo: '金額を確認してください。0より大きく、上限以内である必要があります。',
    },
  },
  'ledger.unknown-account': {
    retry: 'no',
    en: { title: 'There is no such account', todo: 'Check the number; if it is right, report this.' },
    ja: { title: '該当する口座がありません', todo: '番号を確認してください。正しい場合はご報告ください。' },
  },
  'ledger.account-closed': {
    retry: 'no',
    en: { title: 'The account is closed', todo: 'Use another account, or ask the settlement centre.' },
    ja: { title: '口座は閉鎖されています', todo: '別の口座を使うか、決済センタにお問い合わせください。' },
  },
  'ledger.same-account': {
    retry: 'no',
    en: { title: 'Both sides are the same account', todo: 'Choose another receiver.' },
    ja: { title: '出金元と入金先が同じ口座です', todo: '別の受取先を選んでください。' },
  },
  'ledger.wrong-currency': {
    retry: 'no',
    en: { title: 'The currencies do not match', todo: 'Pay in the currency of the price.' },
    ja: { title: '通貨が一致しません', todo: '価格と同じ通貨で支払ってください。' },
  },
  'ledger.hold-unknown': {
    retry: 'no',
    en: { title: 'There is no such reservation', todo: 'Begin the payment again.' },
    ja: { title: '該当する仮押さえがありません', todo: '支払いを最初からやり直してください。' },
  },
  'ledger.hold-resolved': {
    retry: 'no',
    en: { title: 'The reservation was settled before', todo: 'Nothing needs to be done; look at the history.' },
    ja: { title: '仮押さえは処理済みです', todo: '対応は不要です。履歴を確認してください。' },
  },
  'ledger.hold-expired': {
    retry: 'no',
    en: { title: 'The reservation has run out', todo: 'Begin the payment again.' },
    ja: { title: '仮押さえの期限が過ぎています', todo: '支払いを最初からやり直してください。' },
  },
  'ledger.overflow': {
    retry: 'no',
    en: { title: 'The balance would become too large to keep', todo: 'Use a smaller amount, and report this.' },
    ja: { title: '残高が扱える上限を超えます', todo: '金額を小さくし、あわせてご報告ください。' },
  },
  'ledger.insufficient': {
    retry: 'after-fix',
    en: { title: 'The balance is not enough', todo: 'Top up and pay again.' },
    ja: { title: '残高が足りません', todo: '入金してから、もう一度お支払いください。' },
  },
  'ledger.conflict': {
    retry: 'no',
    en: { title: 'Another posting has this number', todo: 'Begin again with a new number.' },
    ja: { title: 'この番号は別の内容で使われています', todo: '新しい番号でやり直してください。' },
  },
  'ledger.damaged': {
    retry: 'no',
    en: {
      title: 'The journal was changed from outside',
      todo: 'Stop the service, keep the files as they are, and call the auditor.',
    },
    ja: {
      title: '仕訳帳が外部から変更されています',
      todo: 'サービスを止め、ファイルをそのまま保存し、監査人に連絡してください。',
    },
  },
} as const satisfies Record<string, CatalogueEntry>
