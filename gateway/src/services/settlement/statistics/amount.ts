/** Money as people read it, where plots and tables have room for little. */
import { currencies, formatAmount, isCurrency } from '@azukari/protocol/money'
import { InternalError } from '@azukari/protocol/problem'

/** `¥1,234`, `12.34 USD`. */
export function amountText(minor: number, currency: string): string {
  if (!isCurrency(currency)) throw new InternalError(`no currency: ${currency}`)
  const [whole, fraction] = formatAmount(BigInt(minor), currency).split('.')
  const text = whole!.replace(/\B(?=(\d{3})+$)/g, ',') + (currencies[currency] > 0 ? `.${fraction}` : '')
  return currency === 'JPY' ? `¥${text}` : `${text} ${currency}`
}
