/**
 * The character set of Japanese bank files (JIS X 0201 as the banks' association permits it): half-width kana, capital
 * letters, digits and a few signs, one byte each. What people write is brought into it, or refused.
 */
import { isProblem, Problem } from '@azukari/protocol/problem'

const full =
  'ァアィイゥウェエォオカキクケコサシスセソタチッツテトナニヌネノハヒフヘホマミムメモャヤュユョヨラリルレロワヲンー'
const half = 'ｱｱｲｲｳｳｴｴｵｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾔﾕﾕﾖﾖﾗﾘﾙﾚﾛﾜｦﾝ-'
const kana = new Map([...full].map((character, i) => [character, [...half][i]!]))
/** Half-width small kana are written large too, and the long vowel as a hyphen. */
const small = new Map([...'ｧｨｩｪｫｬｭｮｯｰ'].map((character, i) => [character, [...'ｱｲｳｴｵﾔﾕﾖﾂ-'][i]!]))
/**
 * What people write and the set does not have: rare kana become the common ones, dashes the hyphen, and a sign that banks do not
 * take becomes a period, as their guides to account holders' names ask for ・.
 */
const instead = new Map([
  ...[...'ヵヶヮヰヱ'].map((from, i) => [from, [...'ｶｹﾜｲｴ'][i]!] as const),
  ...[...'−‐‑‒–—―'].map((dash) => [dash, '-'] as const),
  ...[..."・･&'’"].map((sign) => [sign, '.'] as const),
  ['¥', '\\'],
  ['、', ','],
  ['。', '.'],
])
const permitted = /^[A-Z0-9 \\,.()/「」｢｣ｦｱ-ﾟ-]*$/

/** Text as it stands in a record. @throws {Problem} `bank.text` for what the set does not have */
export function toBankText(text: string): string {
  let out = ''
  // Full-width letters and signs become half-width; voiced kana fall apart into the letter and its mark.
  for (const character of text.normalize('NFKC').normalize('NFD').toUpperCase()) {
    if (character === '\u3099') out += 'ﾞ'
    else if (character === '\u309a') out += 'ﾟ'
    else {
      const code = character.codePointAt(0)!
      const katakana = code >= 0x3041 && code <= 0x3096 ? String.fromCodePoint(code + 0x60) : character
      out += instead.get(katakana) ?? kana.get(katakana) ?? small.get(katakana) ?? katakana
    }
  }
  out = out.replaceAll('「', '｢').replaceAll('」', '｣')
  if (!permitted.test(out)) throw new Problem('bank.text', `a character of ${text.length}`)
  return out
}

/** The longest name of an account's holder in a file, characters; voiced kana count two. */
const maxHolder = 30

/** A holder's name as files have it. @throws {Problem} `bank.text` for characters that banks do not have, none, or too many */
export function toHolderName(text: string): string {
  const name = toBankText(text.trim())
  if (name.length === 0 || name.length > maxHolder)
    throw new Problem('bank.text', `${name.length} characters, 1 to ${maxHolder} are allowed`)
  return name
}

/** Why no order for an account can stand in a bank's file; undefined when one can. */
export function orderFault(holder: string | undefined, minor: bigint): string | undefined {
  if (holder === undefined) return 'there is no bank account'
  if (minor > 9_999_999_999n) return 'the amount has more than ten digits'
  try {
    toHolderName(holder)
    return undefined
  } catch (error) {
    if (!isProblem(error)) throw error
    return 'the name of the account’s holder cannot be written in the bank’s characters'
  }
}

/** One byte per character; what was read back is the same text. */
export function encodeBankText(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0xff61 && code <= 0xff9f) bytes[i] = code - 0xff61 + 0xa1
    else if (code < 0x80) bytes[i] = code
    else throw new Problem('bank.text', `position ${i + 1}`)
  }
  return bytes
}

/** @throws {Problem} `bank.malformed` for bytes outside the set */
export function decodeBankText(bytes: Uint8Array): string {
  let text = ''
  for (const [i, byte] of bytes.entries()) {
    if (byte >= 0xa1 && byte <= 0xdf) text += String.fromCharCode(byte - 0xa1 + 0xff61)
    else if (byte < 0x80) text += String.fromCharCode(byte)
    else throw new Problem('bank.malformed', `byte ${i + 1} is no bank character`)
  }
  return text
}
