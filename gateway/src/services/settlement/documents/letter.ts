/** The letter that brings the member number and the codes (P1): the way out of band that no network listener sees. */
import type { Person } from '@azukari/protocol/contracts/settlement-members'
import { makePdf } from './pdf.ts'
import type { TrueTypeFont } from './true-type.ts'

export interface LetterContent {
  person: Pick<Person, 'name' | 'postcode' | 'address'>
  number: string
  /** Registration code. */
  code: string
  /** With it the member has a lost card or key blocked. */
  blockCode: string
  /** Civil date until which the code is good. */
  until: string
  issuer: string
  /** Whose glyphs the page carries. */
  font?: TrueTypeFont | undefined
}

export function letterPdf({ person, number, code, blockCode, until, issuer, font }: LetterContent): Uint8Array {
  const grouped = (text: string) => text.replace(/(.{4})(?=.)/g, '$1 ')
  return makePdf(`${issuer} ${number}`, font, [
    { text: `〒${person.postcode}` },
    { text: person.address },
    { text: `${person.name} 様`, size: 14 },
    { gap: 40 },
    { text: issuer, x: 538, right: true },
    { gap: 20 },
    { text: '会員番号と登録コードのお知らせ', size: 16 },
    { text: 'Your member number and registration code' },
    { gap: 16 },
    {
      row: [
        { text: '会員番号 Member number', x: 57 },
        { text: grouped(number), x: 260 },
      ],
      size: 12,
    },
    {
      row: [
        { text: '登録コード Registration code', x: 57 },
        { text: grouped(code), x: 260 },
      ],
      size: 12,
    },
    {
      row: [
        { text: '利用停止コード Blocking code', x: 57 },
        { text: grouped(blockCode), x: 260 },
      ],
      size: 12,
    },
    { rule: true },
    {
      text: `登録コードは ${until} まで、一度だけ使えます。端末で二つのパスワードを決め、鍵を作ってから登録してください。`,
    },
    {
      text: `The registration code can be used once, until ${until}. Choose your two passwords and make your key on the terminal, then register.`,
    },
    { gap: 8 },
    {
      text: 'カードや鍵をなくしたときは、会員番号と利用停止コードですぐに止められます。この手紙はカードと別の場所に保管してください。',
    },
    {
      text: 'If you lose your card or key, member number and blocking code stop it at once. Keep this letter apart from the card.',
    },
    { gap: 8 },
    {
      text: '撮影場所は、端末の「同意の設定」で同意なさるまで残しません。同意はいつでも取り消せます。',
    },
    {
      text: 'Places of pictures are not kept until you allow it at a terminal, under “My consent”. You can take it back at any time.',
    },
  ])
}
