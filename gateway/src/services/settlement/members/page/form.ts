/** What the application form asks (P1), and how what people write becomes an application or a list of problems. */
import type { MemberKind, Person } from '@azukari/protocol/contracts/settlement-members'
import { isProblem, type ProblemCode } from '@azukari/protocol/problem'
import { toHolderName } from '../../bank/files/zengin-text.ts'

/** The fields of the form, by name. */
export const fields = [
  'name',
  'kana',
  'postcode',
  'address',
  'email',
  'bank',
  'branch',
  'accountKind',
  'accountNumber',
  'holder',
  'invoiceNumber',
  'agree',
] as const
export type Field =
  | 'name'
  | 'kana'
  | 'postcode'
  | 'address'
  | 'email'
  | 'bank'
  | 'branch'
  | 'accountKind'
  | 'accountNumber'
  | 'holder'
  | 'invoiceNumber'
  | 'agree'
export type Filled = Partial<Record<Field, string>>

export interface FieldProblem {
  field: Field
  code: ProblemCode
}

const accountKinds = ['ordinary', 'current', 'savings'] as const

/** Judges a filled form: every problem at once, in the order of the form. */
export function readForm(kind: MemberKind, filled: Filled): { person: Person } | { problems: FieldProblem[] } {
  const problems: FieldProblem[] = []
  const wrong = (field: Field, code: ProblemCode) => problems.push({ field, code })
  const line = (field: Field) => (filled[field] ?? '').normalize('NFC').trim()
  /** Full-width letters and digits count as what they stand for. */
  const plain = (field: Field) =>
    (filled[field] ?? '').normalize('NFKC').replaceAll(/[\s‐-―−ー]/g, (sign) => (/\s/.test(sign) ? '' : '-'))

  const name = line('name')
  if (!isLine(name, 100)) wrong('name', 'apply.name')
  const kana = (filled.kana ?? '')
    .normalize('NFKC')
    .trim()
    .replaceAll(/[ぁ-ゖ]/g, (one) => String.fromCodePoint(one.codePointAt(0)! + 0x60))
  if (!isLine(kana, 100) || !/^[ァ-ヺー・ A-Za-z0-9.,'-]+$/.test(kana)) wrong('kana', 'apply.kana')
  const digits = plain('postcode').replaceAll('-', '')
  if (!/^\d{7}$/.test(digits)) wrong('postcode', 'apply.postcode')
  const address = line('address')
  if (!isLine(address, 200)) wrong('address', 'apply.address')
  const email = (filled.email ?? '').normalize('NFKC').trim()
  if (email !== '' && !(email.length <= 200 && /^[^\s@]+@[^\s@]+$/.test(email) && isLine(email, 200)))
    wrong('email', 'apply.email')
  const account = readAccount(kind, filled, plain)
  if (account && 'field' in account) problems.push(account)
  const invoiceNumber = kind === 'shop' ? plain('invoiceNumber').toUpperCase() : ''
  if (invoiceNumber !== '' && !/^T\d{13}$/.test(invoiceNumber)) wrong('invoiceNumber', 'apply.invoice-number')
  if (filled.agree !== 'yes') wrong('agree', 'apply.agree')
  if (problems.length > 0) return { problems }
  return {
    person: {
      name,
      kana,
      postcode: `${digits.slice(0, 3)}-${digits.slice(3)}`,
      address,
      ...(email ? { email } : {}),
      ...(account && 'bank' in account ? { account } : {}),
      ...(invoiceNumber ? { invoiceNumber } : {}),
    },
  }
}

/** An account is whole or absent; a shop has one, or its sales could not be paid (P7). */
function readAccount(
  kind: MemberKind,
  filled: Filled,
  plain: (field: Field) => string,
): NonNullable<Person['account']> | FieldProblem | undefined {
  const written = (['bank', 'branch', 'accountNumber', 'holder'] as const).filter(
    (field) => (filled[field] ?? '').trim() !== '',
  )
  if (written.length === 0) return kind === 'shop' ? { field: 'bank', code: 'apply.account' } : undefined
  const [bank, branch, number] = [plain('bank'), plain('branch'), plain('accountNumber')]
  const accountKind = accountKinds.find((one) => one === (filled.accountKind ?? 'ordinary'))
  const wrong = (field: Field): FieldProblem => ({ field, code: 'apply.account' })
  if (!/^\d{4}$/.test(bank)) return wrong('bank')
  if (!/^\d{3}$/.test(branch)) return wrong('branch')
  if (!accountKind) return wrong('accountKind')
  if (!/^\d{7}$/.test(number)) return wrong('accountNumber')
  try {
    const holder = toHolderName(filled.holder ?? '')
    return { bank, branch, kind: accountKind, number, holder }
  } catch (error) {
    if (isProblem(error)) return wrong('holder')
    throw error
  }
}

/** One line of text: no control characters, nothing that turns the direction of writing. */
function isLine(text: string, most: number): boolean {
  return text.length > 0 && text.length <= most && text.isWellFormed() && !/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(text)
}
