/** A shop: it puts up an offer, delivers what was paid for, claims its money, and gives some back. */
import { actAsShop, payNotice, putOffer, type ShopAct } from '@azukari/protocol/contracts/settlement-purchase'
import { isProblem } from '@azukari/protocol/problem'
import type { Site } from '../site.ts'
import type { World } from '../world.ts'
import { type Counter, Wallet } from './wallet.ts'

export class Shop extends Wallet {
  hasOffer = false
  /** Orders that were paid, with what is left of the money. */
  readonly #orders = new Map<string, { minor: number; next: 'deliver' | 'claim' | 'done' }>()

  constructor(world: World, name: string, index: number) {
    super(world, name, 'shop', index)
  }

  /** Its keeper looks in from time to time. */
  async live(site: Site): Promise<void> {
    const { clock } = this.world
    const terminals = site.devices.filter(({ role }) => role === 'terminal')
    while (!this.world.calm && terminals.length > 0) {
      await clock.sleep(this.chance.between(30_000, 240_000))
      if (!this.world.calm) await this.visit(this.home ?? this.chance.pick(terminals))
    }
  }

  protected async business(counter: Counter): Promise<void> {
    if (!this.hasOffer || this.chance.chance(0.1)) return this.#putOffer(counter)
    for (const [transaction, order] of this.#orders) {
      if (order.next === 'done') continue
      if (this.chance.chance(0.12)) {
        const minor = Math.max(1, Math.round(order.minor * this.chance.pick([0.3, 1])))
        await this.#act(counter, transaction, { do: 'refund', minor, reason: 'chance' })
        order.minor -= minor
        if (order.minor <= 0) order.next = 'done'
      } else if (order.next === 'deliver') {
        await this.#act(counter, transaction, { do: 'deliver', state: 'delivered', how: 'line' })
        order.next = 'claim'
      } else {
        await this.#act(counter, transaction, { do: 'claim' })
        order.next = 'done'
      }
    }
  }

  protected async hear(counter: Counter): Promise<void> {
    for (const { notice } of await this.news(counter, payNotice)) {
      const said = await this.opened(counter, (member) => member.openNotice(notice))
      if (!said) continue
      const { transaction, state, amount } = said
      this.say(`hears that ${transaction} is ${state}: ${amount.minor}`)
      if (state === 'paid') this.#orders.set(transaction, { minor: amount.minor, next: 'deliver' })
    }
  }

  async #putOffer(counter: Counter): Promise<void> {
    const items = Array.from({ length: this.chance.between(1, 3) }, (_, n) => ({
      item: `thing-${n}`,
      name: `Thing ${n}`,
      kind: 'digital' as const,
      currency: 'JPY' as const,
      price: this.chance.between(100, 900),
      tax: 10 as const,
    }))
    const offer = await this.signing(counter, (member) => member.offer(items))
    await counter.pay.send(putOffer, { offer })
    this.hasOffer = true
    this.say(`offers ${items.length} things`)
  }

  /** What cannot be done any more was done before, or the order has gone another way. */
  async #act(counter: Counter, transaction: string, what: ShopAct['what']): Promise<void> {
    const act = await this.signing(counter, (member) => member.shopAct(transaction, what))
    try {
      const { state } = await counter.pay.send(actAsShop, { act })
      this.say(`${what.do} ${transaction}: ${state}`)
    } catch (error) {
      if (!isProblem(error) || error.retry === 'later') throw error
      this.say(`${what.do} ${transaction}: ${error.code}`)
    }
  }
}
