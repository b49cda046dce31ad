/** What a member enters at the terminal about themself and their money: asked again until it fits (P1, P2). */
import type { BankAccount, Person } from '@azukari/protocol/contracts/settlement-members'
import { Problem } from '@azukari/protocol/problem'
import { passwordBytes } from '../../vault/vault.ts'
import type { Dialogue } from '../dialogue.ts'
import type { MoneyWords } from './words.ts'

export class MoneyQuestions {
  readonly #dialogue: Dialogue
  readonly #words: MoneyWords
  readonly #until: AbortSignal

  constructor(dialogue: Dialogue, words: MoneyWords, until: AbortSignal) {
    this.#dialogue = dialogue
    this.#words = words
    this.#until = until
  }

  /** @param plain what is left of what was typed, such as without blanks */
  async text(prompt: string, maxLength: number, fits = /./u, plain = (text: string) => text): Promise<string> {
    for (let asked = prompt; ; asked = this.#words.notSo(prompt)) {
      const text = plain(await this.#dialogue.text(asked, maxLength, this.#until))
      if (fits.test(text)) return text
    }
  }

  /** As many digits; blanks and hyphens between them count for nothing. */
  digits(prompt: string, count: number): Promise<string> {
    return this.text(prompt, count + 10, new RegExp(`^\\d{${count}}$`), (text) =>
      text.normalize('NFKC').replaceAll(/[\s-]/g, ''),
    )
  }

  /** The one-time code of a letter. */
  letterCode(prompt: string): Promise<string> {
    return this.text(prompt, 30, /^[a-z2-7]{16}$/, (text) =>
      text.normalize('NFKC').toLowerCase().replaceAll(/[\s-]/g, ''),
    )
  }

  mailAddress(prompt: string): Promise<string> {
    return this.text(prompt, 200, /^[^\s@<>]+@[^\s@<>]+$/, (text) => text.normalize('NFKC').trim())
  }

  async count(prompt: string, max: number): Promise<number> {
    for (let asked = prompt; ; asked = this.#words.notSo(prompt)) {
      const count = Number((await this.#dialogue.text(asked, 12, this.#until)).normalize('NFKC'))
      if (Number.isInteger(count) && count >= 1 && count <= max) return count
    }
  }

  /** Wiped by whoever asked. */
  async password(prompt: string): Promise<Uint8Array> {
    return passwordBytes(await this.#dialogue.text(prompt, 200, this.#until, { isSecret: true }))
  }

  /** @throws {Problem} `vault.weak` when the second does not equal the first */
  async newPassword(prompt: string): Promise<Uint8Array> {
    const one = await this.password(prompt)
    const other = await this.password(`${prompt} (${this.#words.again})`)
    if (Buffer.compare(one, other) !== 0) throw new Problem('vault.weak', 'they differ')
    other.fill(0)
    return one
  }

  async person(name: string): Promise<Person> {
    const words = this.#words
    const person: Person = {
      name: await this.text(`${words.name} (${name})`, 100),
      kana: await this.text(words.kana, 100),
      postcode: await this.digits(words.postcode, 7),
      address: await this.text(words.address, 200),
    }
    const choices = [{ label: words.accountNo }, { label: words.accountYes }]
    const { label } = await this.#dialogue.choose(words.account, choices, this.#until)
    return label === words.accountYes ? { ...person, account: await this.#account() } : person
  }

  async #account(): Promise<BankAccount> {
    const words = this.#words
    const kinds = (['ordinary', 'current', 'savings'] as const).map((kind) => ({
      label: words.accountKinds[kind],
      kind,
    }))
    return {
      bank: await this.digits(words.bank, 4),
      branch: await this.digits(words.branch, 3),
      kind: (await this.#dialogue.choose(words.accountKind, kinds, this.#until)).kind,
      number: await this.digits(words.accountNumber, 7),
      holder: await this.text(words.holder, 30),
    }
  }
}
