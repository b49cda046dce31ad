/** What the enrolment page says, in Japanese and English. Problems have their texts in the catalogue. */
import type { Field } from './form.ts'

export type Lang = 'ja' | 'en'

interface Words {
  title: string
  other: string
  start: string
  general: string
  shop: string
  steps: string[]
  never: string
  terms: string
  problems: string
  fields: Record<Field, { label: string; hint?: string }>
  account: string
  accountGeneral: string
  accountShop: string
  kinds: { ordinary: string; current: string; savings: string }
  needed: string
  send: string
  received: string
  next: string[]
  reference: string
}

export const words: Record<Lang, Words> = {
  ja: {
    title: '入会の申込み',
    other: 'English',
    start: '申込みの種類をお選びください。',
    general: '一般会員として申し込む',
    shop: '店舗会員として申し込む',
    steps: [
      'このページで申し込みます。',
      '審査の後、会員番号と登録コードを郵便でお送りします。',
      '端末で二つのパスワードと鍵を作り、番号とコードを入れて登録します。',
    ],
    never:
      'このページでは登録はできません。署名の鍵とパスワードは端末で作られ、ウェブページに入力することは決してありません。入力を求めるページがあれば偽物です。',
    terms: '規約',
    problems: '次の点をご確認ください',
    fields: {
      name: { label: '氏名（店舗名）' },
      kana: { label: 'フリガナ' },
      postcode: { label: '郵便番号', hint: '例 100-0001' },
      address: { label: '住所', hint: '会員番号の書類をお送りします' },
      email: { label: 'メールアドレス（任意）' },
      bank: { label: '銀行番号', hint: '4桁' },
      branch: { label: '支店番号', hint: '3桁' },
      accountKind: { label: '預金種目' },
      accountNumber: { label: '口座番号', hint: '7桁' },
      holder: { label: '口座名義（カナ）' },
      invoiceNumber: { label: '適格請求書発行事業者の登録番号（任意）', hint: 'Tと13桁の数字' },
      agree: { label: '規約に同意します' },
    },
    account: '銀行口座',
    accountGeneral: '料金を口座から引き落とす場合にご記入ください（任意）。',
    accountShop: '売上金をお支払いする口座です（必須）。',
    kinds: { ordinary: '普通', current: '当座', savings: '貯蓄' },
    needed: '（必須）',
    send: '申し込む',
    received: 'お申込みを受け付けました',
    next: ['審査の後、会員番号と登録コードを郵便でお送りします。', '届いたら、端末で登録してください。'],
    reference: '受付番号',
  },
  en: {
    title: 'Application for membership',
    other: '日本語',
    start: 'Which kind of membership?',
    general: 'Apply as a general member',
    shop: 'Apply as a shop',
    steps: [
      'Apply on this page.',
      'After it has been looked at, your member number and a registration code come by post.',
      'On a terminal, make your two passwords and your key, and register with number and code.',
    ],
    never:
      'You cannot register here. Your signature key and passwords are made on a terminal and are never typed into a web page. A page that asks for them is a fraud.',
    terms: 'Terms',
    problems: 'Please look at these points',
    fields: {
      name: { label: 'Name (of the shop)' },
      kana: { label: 'Reading in kana' },
      postcode: { label: 'Postcode', hint: 'such as 100-0001' },
      address: { label: 'Address', hint: 'where the letter with your number goes' },
      email: { label: 'Mail address (optional)' },
      bank: { label: 'Bank number', hint: '4 digits' },
      branch: { label: 'Branch number', hint: '3 digits' },
      accountKind: { label: 'Kind of account' },
      accountNumber: { label: 'Account number', hint: '7 digits' },
      holder: { label: 'Account holder in kana' },
      invoiceNumber: { label: 'Registration number of a qualified invoice issuer (optional)', hint: 'T and 13 digits' },
      agree: { label: 'I agree to the terms' },
    },
    account: 'Bank account',
    accountGeneral: 'If fees are to be debited from an account (optional).',
    accountShop: 'The account to which your sales are paid (required).',
    kinds: { ordinary: 'Ordinary', current: 'Current', savings: 'Savings' },
    needed: ' (required)',
    send: 'Apply',
    received: 'Your application has been received',
    next: [
      'After it has been looked at, your member number and a registration code come by post.',
      'When they are there, register on a terminal.',
    ],
    reference: 'Reference',
  },
}
