/** What a simulated card company knows and decides: authorisations, captures, voids, reversals, each question answered once. */
import type { Currency } from '@azukari/protocol/money'

interface Authorisation {
  authorisation: string
  /** The asker's name for what it is about. */
  id: string
  minor: number
  currency: Currency
  state: 'authorised' | 'captured' | 'voided' | 'lapsed' | 'reversed'
}

export interface CompanyTotals {
  /** Taken from cardholders and kept. */
  captured: number
  authorisations: number
  /** Authorised, and neither captured nor given back. */
  open: number
  reversed: number
}

export class CompanyBooks {
  readonly #byKey = new Map<string, object>()
  readonly #authorisations = new Map<string, Authorisation>()
  readonly #reversals: { n: number; authorisation: string; minor: number; currency: Currency }[] = []

  /** @returns the answer; undefined for what makes no sense */
  answer(
    path: string,
    key: string,
    body: { id?: string; token?: string; minor?: number; currency?: Currency },
  ): object | undefined {
    const before = this.#byKey.get(key)
    if (before) return before
    const made = this.#decide(path, body)
    if (made) this.#byKey.set(key, made)
    return made
  }

  reversalsAfter(n: number) {
    return this.#reversals.slice(n, n + 100)
  }

  /** The cardholder disputes a payment. Returns whether there was one to take back. */
  reverse(authorisation: string): boolean {
    const one = this.#authorisations.get(authorisation)
    if (one?.state !== 'captured') return false
    one.state = 'reversed'
    const { minor, currency } = one
    this.#reversals.push({ n: this.#reversals.length + 1, authorisation, minor, currency })
    return true
  }

  /** Takes back what nobody ever paid through here: a fault of the company. */
  reverseUnknown(minor: number): void {
    this.#reversals.push({ n: this.#reversals.length + 1, authorisation: 'x-unknown', minor, currency: 'JPY' })
  }

  /** Authorisations run out after some time. */
  lapse(): void {
    for (const one of this.#authorisations.values()) if (one.state === 'authorised') one.state = 'lapsed'
  }

  list(): readonly Readonly<Authorisation>[] {
    return [...this.#authorisations.values()]
  }

  totals(): CompanyTotals {
    const of = (...states: Authorisation['state'][]) => this.list().filter(({ state }) => states.includes(state))
    return {
      captured: of('captured').reduce((sum, { minor }) => sum + minor, 0),
      authorisations: this.#authorisations.size,
      open: of('authorised').length,
      reversed: of('reversed').length,
    }
  }

  #decide(
    path: string,
    {
      id = '',
      token,
      minor = 0,
      currency = 'JPY',
    }: { id?: string; token?: string; minor?: number; currency?: Currency },
  ): object | undefined {
    if (path === '/authorisations') {
      if (!token?.startsWith('tok-good')) return { state: 'declined', reason: 'insufficient funds' }
      const authorisation = `a${this.#authorisations.size + 1}`
      this.#authorisations.set(authorisation, { authorisation, id, minor, currency, state: 'authorised' })
      return { state: 'authorised', authorisation }
    }
    const match = /^\/authorisations\/(a\d+)\/(capture|void)$/.exec(path)
    const one = this.#authorisations.get(match?.[1] ?? '')
    if (one?.state === 'lapsed')
      return match![2] === 'void' ? { state: 'voided' } : { state: 'refused', reason: 'expired' }
    if (one?.state !== 'authorised') return undefined
    one.state = match![2] === 'capture' ? 'captured' : 'voided'
    return { state: one.state }
  }
}
