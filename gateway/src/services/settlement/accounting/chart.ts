/** The ledger's accounts as accountants name them (P9): what members have is one account, with nobody in it. */
import { InternalError } from '@azukari/protocol/problem'
import type { MemberAccount, OwnAccount } from '../ledger/accounts.ts'

export interface AccountName {
  /** A name of beancount: its first word is the kind of account. */
  english: string
  /** 勘定科目 and 補助科目. */
  japanese: string
  sub: string
}

const chart: Readonly<Record<OwnAccount | MemberAccount, AccountName>> = {
  bank: { english: 'Assets:Bank', japanese: '普通預金', sub: '' },
  'card-company': { english: 'Assets:CardCompany', japanese: '未収入金', sub: 'カード会社' },
  cash: { english: 'Assets:Cash', japanese: '現金', sub: '' },
  unmatched: { english: 'Liabilities:Unmatched', japanese: '仮受金', sub: '入金照合中' },
  unexplained: { english: 'Assets:Unexplained', japanese: '仮払金', sub: '出金照合中' },
  'debits-due': { english: 'Assets:DebitsDue', japanese: '未収入金', sub: '口座振替' },
  'bank-charges': { english: 'Expenses:BankCharges', japanese: '支払手数料', sub: '' },
  'payout-sent': { english: 'Liabilities:PayoutsSent', japanese: '未払金', sub: '振込手続中' },
  income: { english: 'Income:Fees', japanese: '売上高', sub: '' },
  tax: { english: 'Liabilities:ConsumptionTax', japanese: '仮受消費税', sub: '' },
  value: { english: 'Liabilities:StoredValue', japanese: '預り金', sub: '会員残高' },
  sales: { english: 'Liabilities:ShopSales', japanese: '預り金', sub: '加盟店売上' },
  payable: { english: 'Liabilities:ShopPayable', japanese: '未払金', sub: '加盟店' },
  receivable: { english: 'Assets:Receivable', japanese: '売掛金', sub: '利用料' },
  'shop-debt': { english: 'Assets:ShopDebt', japanese: '立替金', sub: '加盟店' },
}

/** @param code of an account in the ledger, such as `value/4f…/JPY` */
export function accountName(code: string): AccountName {
  const kind = code.slice(0, code.indexOf('/'))
  if (!Object.hasOwn(chart, kind)) throw new InternalError(`the chart has no ${kind}`)
  return chart[kind as keyof typeof chart]
}
