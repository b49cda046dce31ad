/** What the terminal's screens about money say (P1–P8, S13). */
import type { Language } from '@azukari/protocol/finding-text'

export interface MoneyWords {
  money: string
  passwordA: string
  passwordB: string
  newPasswordA: string
  newPasswordB: string
  again: string
  onePassword: string
  twoPasswords: string
  howManyPasswords: string
  notSo: (asked: string) => string
  apply: string
  applied: [string, string]
  agree: (terms: string) => string
  yes: string
  no: string
  register: string
  registered: (number: string) => string
  number: string
  code: string
  name: string
  kana: string
  postcode: string
  address: string
  account: string
  accountYes: string
  accountNo: string
  bank: string
  branch: string
  accountKind: string
  accountKinds: Record<'ordinary' | 'current' | 'savings', string>
  accountNumber: string
  holder: string
  history: string
  nothingYet: string
  older: string
  news: string
  newsNoted: (entries: number) => string
  what: Record<string, string>
  statements: string
  statement: (from: string, to: string, amount: string) => string
  debitOn: (day: string, payment: string) => string
  object: (until: string) => string
  objectAbout: string
  objectAbouts: Record<'profile' | 'fee' | 'data' | 'other', string>
  objectText: string
  objected: string
  savePage: string
  pageSaved: (file: string) => string
  pageNotHere: string
  dataCheck: (checked: number, bad: number) => string
  balance: string
  balanceIs: (amount: string) => string
  topUp: string
  topUpHow: string
  topUpWays: Record<'transfer' | 'deposit' | 'cash', string>
  amount: (currency: string) => string
  payNumber: (payment: string) => string
  payBy: (day: string) => string
  buy: string
  shop: string
  count: string
  confirm: (amount: string) => string
  pay: string
  paid: (amount: string, balance: string) => string
  mail: string
  mailYes: string
  mailNo: string
  mailAddress: string
  mailWritten: (address: string) => readonly string[]
  mailEnded: readonly string[]
  changeA: string
  changeB: string
  passwordsChanged: string
}

const words: Record<Language, MoneyWords> = {
  en: {
    money: 'Money and statements',
    passwordA: 'Password A',
    passwordB: 'Password B',
    newPasswordA: 'Your new password A: it opens your history',
    newPasswordB: 'Your new password B: it pays',
    again: 'Once more',
    onePassword: 'One password for both: who learns it can pay',
    twoPasswords: 'Two passwords',
    howManyPasswords: 'How should your key be kept?',
    notSo: (asked) => `It does not fit. ${asked}`,
    apply: 'Apply for membership',
    applied: ['Your application is on its way', 'Number and codes come by letter'],
    agree: (terms) => `Do you agree to the terms (${terms})?`,
    yes: 'Yes',
    no: 'No',
    register: 'Register with the letter that came',
    registered: (number) => `You are registered as ${number}`,
    number: 'Member number of the letter, 14 digits',
    code: 'Registration code of the letter, 16 letters and digits',
    name: 'Your name',
    kana: 'Your name in kana',
    postcode: 'Postcode, 7 digits',
    address: 'Your address',
    account: 'Your bank account',
    accountYes: 'Give it: fees can be debited',
    accountNo: 'Without one',
    bank: 'Number of the bank, 4 digits',
    branch: 'Number of the branch, 3 digits',
    accountKind: 'Kind of account',
    accountKinds: { ordinary: 'Ordinary', current: 'Current', savings: 'Savings' },
    accountNumber: 'Number of the account, 7 digits',
    holder: 'Holder, in half-width kana as the bank has it',
    history: 'My history',
    nothingYet: 'Nothing yet',
    older: 'Older ones',
    news: 'Look for news',
    newsNoted: (entries) => (entries === 0 ? 'Nothing new' : `${entries} new in your history`),
    what: {
      'topup.waiting': 'Payment expected',
      'topup.authorised': 'Payment authorised',
      'topup.issued': 'Value received',
      'topup.declined': 'Payment declined',
      'topup.expired': 'Payment expired',
      'topup.reversed': 'Payment reversed',
      changed: 'Order changed',
      purchase: 'Purchase',
      statement: 'Statement',
      'objection.upheld': 'Objection: you were right',
      'objection.refused': 'Objection: not upheld',
    },
    statements: 'Statements',
    statement: (from, to, amount) => `${from} to ${to}: ${amount}`,
    debitOn: (day, payment) => `collected on ${day} (${payment})`,
    object: (until) => `Object (until ${until})`,
    objectAbout: 'What is wrong?',
    objectAbouts: { profile: 'My data as a member', fee: 'The fee', data: 'What was kept', other: 'Something else' },
    objectText: 'What is wrong, in your words',
    objected: 'Your objection was taken: nothing is collected until it is decided',
    savePage: 'Save the page (PDF) on the memory card',
    pageSaved: (file) => `On the memory card as ${file}`,
    pageNotHere: 'Its page has not come yet',
    dataCheck: (checked, bad) => `${checked} copies were checked, ${bad} were bad`,
    balance: 'Balance and payments',
    balanceIs: (amount) => `Balance: ${amount}`,
    topUp: 'Top up',
    topUpHow: 'How do you pay in?',
    topUpWays: { transfer: 'Bank or postal transfer', deposit: 'Direct deposit', cash: 'Cash by registered post' },
    amount: (currency) => `Amount in ${currency}`,
    payNumber: (payment) => `State this number when you pay: ${payment}`,
    payBy: (day) => `Until ${day}`,
    buy: 'Buy from a shop',
    shop: 'Member number of the shop, 14 digits',
    count: 'How many?',
    confirm: (amount) => `Pay ${amount}?`,
    pay: 'Yes, pay',
    paid: (amount, balance) => `Paid ${amount}; balance ${balance}`,
    mail: 'Letters by mail',
    mailYes: 'Write to me when there is news',
    mailNo: 'No letters',
    mailAddress: 'Your mail address',
    mailWritten: (address) => [`Letters go to ${address}`, 'The first one is on its way: look whether it comes'],
    mailEnded: ['No letters are written any more'],
    changeA: 'Change password A',
    changeB: 'Change password B',
    passwordsChanged: 'The password was changed',
  },
  ja: {
    money: 'お金と明細書',
    passwordA: 'パスワードA',
    passwordB: 'パスワードB',
    newPasswordA: '新しいパスワードA（履歴を開きます）',
    newPasswordB: '新しいパスワードB（支払いに使います）',
    again: 'もう一度',
    onePassword: '一つのパスワードで両方（知られると支払いもされます）',
    twoPasswords: '二つのパスワード',
    howManyPasswords: '鍵をどう守りますか',
    notSo: (asked) => `形式が違います。${asked}`,
    apply: '入会を申し込む',
    applied: ['申込みを受け付けました', '番号とコードは郵便で届きます'],
    agree: (terms) => `規約（${terms}）に同意しますか`,
    yes: 'はい',
    no: 'いいえ',
    register: '届いた手紙で登録する',
    registered: (number) => `${number} として登録しました`,
    number: '手紙の会員番号（14桁）',
    code: '手紙の登録コード（英数字16字）',
    name: 'お名前',
    kana: 'お名前（カナ）',
    postcode: '郵便番号（7桁）',
    address: 'ご住所',
    account: '銀行口座',
    accountYes: '登録する（料金を引き落とせます）',
    accountNo: '登録しない',
    bank: '銀行番号（4桁）',
    branch: '支店番号（3桁）',
    accountKind: '預金種別',
    accountKinds: { ordinary: '普通', current: '当座', savings: '貯蓄' },
    accountNumber: '口座番号（7桁）',
    holder: '口座名義（半角カナ、銀行の登録どおり）',
    history: '履歴',
    nothingYet: 'まだ何もありません',
    older: '古いものを見る',
    news: '新しい知らせを見る',
    newsNoted: (entries) => (entries === 0 ? '新しい知らせはありません' : `履歴に${entries}件加えました`),
    what: {
      'topup.waiting': '入金待ち',
      'topup.authorised': '入金承認済み',
      'topup.issued': '入金',
      'topup.declined': '入金できませんでした',
      'topup.expired': '入金期限切れ',
      'topup.reversed': '入金取消し',
      changed: '注文の変更',
      purchase: '購入',
      statement: '明細書',
      'objection.upheld': '異議が認められました',
      'objection.refused': '異議は認められませんでした',
    },
    statements: '明細書',
    statement: (from, to, amount) => `${from}～${to}：${amount}`,
    debitOn: (day, payment) => `${day} に請求（${payment}）`,
    object: (until) => `異議を申し立てる（${until} まで）`,
    objectAbout: '何が違いますか',
    objectAbouts: { profile: '会員の情報', fee: '料金', data: '預けたもの', other: 'その他' },
    objectText: '内容を入力してください',
    objected: '異議を受け付けました。決まるまで請求しません',
    savePage: '書面（PDF）をメモリに保存する',
    pageSaved: (file) => `メモリに ${file} として保存しました`,
    pageNotHere: '書面はまだ届いていません',
    dataCheck: (checked, bad) => `${checked}件を検査し、${bad}件に異常がありました`,
    balance: '残高と支払い',
    balanceIs: (amount) => `残高：${amount}`,
    topUp: '入金する',
    topUpHow: '入金の方法',
    topUpWays: { transfer: '銀行・郵便振替', deposit: '口座へ直接入金', cash: '現金書留' },
    amount: (currency) => `金額（${currency}）`,
    payNumber: (payment) => `入金時にこの番号を書いてください：${payment}`,
    payBy: (day) => `期限：${day}`,
    buy: '店から買う',
    shop: '店の会員番号（14桁）',
    count: '数量',
    confirm: (amount) => `${amount} を支払いますか`,
    pay: 'はい、支払う',
    paid: (amount, balance) => `${amount} を支払いました。残高 ${balance}`,
    mail: 'メールでのお知らせ',
    mailYes: 'お知らせがあるときメールを受け取る',
    mailNo: '送らない',
    mailAddress: 'メールアドレス',
    mailWritten: (address) => [`${address} にお送りします`, '最初の1通をお送りします。届くかご確認ください'],
    mailEnded: ['今後メールはお送りしません'],
    changeA: 'パスワードAを変える',
    changeB: 'パスワードBを変える',
    passwordsChanged: 'パスワードを変えました',
  },
}

export function moneyWordsOf(language: Language): MoneyWords {
  return words[language]
}
