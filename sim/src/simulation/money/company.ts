/** The card company of the simulated site, behind the real adapter: its answers come late, are lost, or are no answers. */
import type { OutboundRequest } from '@azukari/gateway/adapters/guarded-fetch'
import { CompanyBooks } from '../../testkit/settlement/card-company-books.ts'
import type { SeededRandom } from '../../testkit/world/chance.ts'
import type { Host } from '../internet.ts'
import type { World } from '../world.ts'

export const companyHost = 'cards.sim'

export class Company {
  readonly books = new CompanyBooks()
  /** Captured payments that cardholders had taken back. */
  reversed = 0
  readonly #world: World
  readonly #chance: SeededRandom
  readonly #captures: (id: string) => Promise<void>

  /** @param captures hears of each charge that is captured, before it is, by the id of the question */
  constructor(world: World, captures: (id: string) => Promise<void>) {
    this.#captures = captures
    this.#world = world
    this.#chance = world.chance('card company')
  }

  readonly host: Host = async (request) => {
    const fate = this.#world.calm ? 1 : this.#chance.float()
    await this.#world.clock.sleep(this.#chance.between(20, 800))
    if (fate < 0.06) return this.#fault('card-company.unheard')
    const { pathname } = new URL(request.url)
    if (pathname.endsWith('/capture')) await this.#captures(JSON.parse(request.body ?? '{}').id)
    const answer = this.#answer(request)
    if (fate < 0.12) return this.#fault('card-company.answer-lost')
    if (fate < 0.17) {
      this.#world.count('card-company.late')
      await this.#world.clock.sleep(this.#chance.between(10_000, 90_000))
    }
    if (fate >= 0.17 && fate < 0.2) return { status: 503, body: {} }
    return answer
  }

  /** A cardholder disputes what was captured. */
  reverseOne(): void {
    const captured = this.books.list().filter(({ state }) => state === 'captured')
    if (captured.length === 0 || !this.books.reverse(this.#chance.pick(captured).authorisation)) return
    this.reversed++
    this.#world.count('card-company.reversal')
  }

  #fault(kind: string): undefined {
    this.#world.count(kind)
    return undefined
  }

  #answer({ url, body, headers }: OutboundRequest): { status: number; body: unknown } {
    const { pathname, searchParams } = new URL(url)
    if (pathname === '/reversals')
      return { status: 200, body: { reversals: this.books.reversalsAfter(Number(searchParams.get('after'))) } }
    const answer = this.books.answer(pathname, headers?.['idempotency-key'] ?? '', JSON.parse(body ?? '{}'))
    return answer ? { status: 200, body: answer } : { status: 404, body: {} }
  }
}
