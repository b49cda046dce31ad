/**
 * Brings data to the cards of a terminal (D6): what a job left here is written to each card that is put in, read back, and
 * what became of it is told to the site. It is written down first, so that a restart loses neither the data nor a result.
 */

import { type CardProgram, openCardRelease } from '@azukari/protocol/card/program'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, checker, Type } from '@azukari/protocol/contract'
import { CardResult, cardResultsAtOnce } from '@azukari/protocol/contracts/fleet'
import type { Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { CardClient } from '../card.ts'
import type { DeviceDatabase } from '../database.ts'
import type { SiteTrust } from '../identity.ts'

export interface CardDataOptions {
  database: DeviceDatabase
  log: Log
  site: string
  trust: () => SiteTrust | undefined
  /** There is a result to tell. */
  onResult: () => void
}

/** Results that wait; beyond it the oldest goes: the same card says it again when it comes again. */
const maxResults = 500

const checkKept = checker(
  Type.Object({ signed: Type.Optional(Bytes(64, 2_048)), results: Type.Array(CardResult) }),
  'kept card data',
)

export class CardData {
  readonly #options: CardDataOptions
  #signed: Uint8Array | undefined
  #results: CardResult[]

  private constructor(options: CardDataOptions, signed: Uint8Array | undefined, results: CardResult[]) {
    this.#options = options
    this.#signed = signed
    this.#results = results
  }

  /** @throws {Problem} `storage.*` */
  static async open(options: CardDataOptions): Promise<CardData> {
    const { database } = options
    await database.exec('CREATE TABLE IF NOT EXISTS card_data (name TEXT PRIMARY KEY, value BLOB NOT NULL)')
    const row = await database.get<{ value: Uint8Array }>(`SELECT value FROM card_data WHERE name = 'kept'`)
    const kept = row ? checkKept(decode(new Uint8Array(row.value))) : { results: [] }
    return new CardData(options, kept.signed, kept.results)
  }

  /** What cards are to have; undefined when nothing, or when the site's key for releases is another by now. */
  get program(): CardProgram | undefined {
    const releaseKey = this.#options.trust()?.releaseKey
    if (!this.#signed || !releaseKey) return undefined
    try {
      return openCardRelease(this.#signed, this.#options.site, releaseKey)
    } catch (error) {
      if (!isProblem(error)) throw error
      this.#options.log.warn('the data for cards is not this site’s any more', { code: error.code })
      return undefined
    }
  }

  /**
   * Keeps a release for the cards that come from now on.
   * @throws {Problem} `upgrade.no-key`, `upgrade.wrong-signer`, `upgrade.foreign`, `upgrade.downgraded`, `storage.*`
   */
  async keep(signed: Uint8Array): Promise<void> {
    const releaseKey = this.#options.trust()?.releaseKey
    if (!releaseKey) throw new Problem('upgrade.no-key')
    const { number } = openCardRelease(signed, this.#options.site, releaseKey)
    const known = this.program?.number ?? 0
    if (number < known) throw new Problem('upgrade.downgraded', `number ${number}, here is ${known}`)
    await this.#store(signed, this.#results)
  }

  /**
   * Writes the data to a card, unless that has it already. The provider must have proved itself to the card.
   * @throws {Problem} `card.removed`, `card.torn`: the card is gone, and is served when it comes again
   */
  async apply(client: CardClient, signal: AbortSignal): Promise<void> {
    const { program } = this
    if (!program) return
    const { card } = client.facts
    const say = async (outcome: CardResult['outcome'], code?: string) => {
      await this.#note({ card, number: program.number, outcome, ...(code !== undefined && { code }) })
    }
    try {
      await say(await client.updateProgram(program, signal))
    } catch (error) {
      if (!isProblem(error)) throw error
      await say('failed', error.code)
      // The member's business goes on when only this did not work; a card that left ends it.
      if (error.code === 'card.removed' || error.code === 'card.torn' || error.code === 'card.swapped') throw error
      this.#options.log.warn('data could not be brought to a card', { code: error.code, detail: error.detail })
    }
  }

  /** What is to be told next. */
  get results(): readonly CardResult[] {
    return this.#results.slice(0, cardResultsAtOnce)
  }

  /** The site has these. */
  async told(results: readonly CardResult[]): Promise<void> {
    await this.#store(
      this.#signed,
      this.#results.filter((one) => !results.includes(one)),
    )
  }

  async #note(result: CardResult): Promise<void> {
    const others = this.#results.filter(({ card }) => !Buffer.from(card).equals(result.card))
    await this.#store(this.#signed, [...others, result].slice(-maxResults))
    this.#options.onResult()
  }

  async #store(signed: Uint8Array | undefined, results: CardResult[]): Promise<void> {
    await this.#options.database.run(
      `INSERT INTO card_data (name, value) VALUES ('kept', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      encodeDeterministic({ ...(signed && { signed }), results }),
    )
    this.#signed = signed
    this.#results = results
  }
}
