/** The bank of the simulated site: it moves money when members pay and when a file comes, and tells its movements in files. */

import type { KeyObject } from 'node:crypto'
import { memoryDatabase } from '@azukari/gateway/adapters/database'
import type { ReleasedFile } from '@azukari/gateway/services/settlement/bank/lines'
import { BankGate } from '@azukari/gateway/services/settlement/bank/release'
import { isProblem } from '@azukari/protocol/problem'
import {
  collectedOf,
  debitAnswerFile,
  type Movement,
  movementsFile,
  readTransfers,
} from '../../testkit/settlement/bank-side.ts'
import { ownAccount } from '../../testkit/settlement/fixture.ts'
import type { SeededRandom } from '../../testkit/world/chance.ts'
import type { World } from '../world.ts'

/** A movement, and what the payer meant by it. */
export interface BankMovement extends Movement {
  meant?: string
}

const noNumber = 'SORRY NO NUMBER'

export class Bank {
  readonly movements: BankMovement[] = []
  /** What stands on our account. */
  balance = 0
  /** Answers to debits that wait to be fetched. */
  readonly answers: Uint8Array[] = []
  /** Members who are on their way to pay. */
  underWay = 0
  readonly #world: World
  readonly #chance: SeededRandom
  readonly #handed = new Set<string>()
  readonly #collects: (statement: string) => Promise<void>
  #gate: BankGate | undefined

  /** @param collects hears of each statement that is collected, before it is */
  constructor(world: World, collects: (statement: string) => Promise<void>) {
    this.#collects = collects
    this.#world = world
    this.#chance = world.chance('bank')
  }

  /** A member pays after some time: mostly rightly, or twice, or without the number, or a little too much. */
  payLater(payment: string, minor: number): void {
    this.underWay++
    this.#world.clock.timer(this.#chance.between(5_000, 240_000), () => {
      this.underWay--
      const mishap = this.#chance.between(0, 11)
      if (mishap === 0) this.#world.count('bank.no-number')
      if (mishap === 1) this.#world.count('bank.paid-twice')
      if (mishap === 2) this.#world.count('bank.wrong-amount')
      const paid = mishap === 2 ? minor + 1 : minor
      for (let times = mishap === 1 ? 2 : 1; times > 0; times--)
        this.#move({ direction: 'in', minor: paid, text: mishap === 0 ? noNumber : payment, meant: payment })
    })
  }

  /** A file of movements from the n-th on. */
  file(from: number, to = this.movements.length): Uint8Array {
    return movementsFile(ownAccount.account, this.movements.slice(from, to))
  }

  /** Of a movement that came without a number and so much: whom the payer meant. */
  meantBy(minor: number): string | undefined {
    return this.movements.find((one) => one.text === noNumber && one.minor === minor)?.meant
  }

  /** Executes a released file once, whoever brings it how often. @param key settlement's public one */
  async take({ content, note }: ReleasedFile, key: KeyObject): Promise<void> {
    this.#gate ??= await BankGate.open(memoryDatabase(), key)
    try {
      const { kind } = await this.#gate.admit(content, note, this.#world.clock.now())
      if (kind === 'debit-file') await this.#debit(content)
      else for (const { reference, minor } of readTransfers(content)) this.#payOut(reference, minor)
    } catch (error) {
      if (!isProblem(error, 'bank.file-known')) throw error
      this.#world.count('bank.file-again')
    }
  }

  #payOut(reference: string, minor: number): void {
    if (this.#handed.has(reference)) this.#world.violate('M3', `payout ${reference} came to the bank twice`)
    this.#handed.add(reference)
    this.#move({ direction: 'out', minor, text: reference })
  }

  async #debit(file: Uint8Array): Promise<void> {
    const statements: string[] = []
    const answer = debitAnswerFile(file, (statement) => {
      statements.push(statement)
      return this.#chance.chance(0.25) ? '1' : '0'
    })
    for (const statement of statements) await this.#collects(statement)
    // The account is told of it as one sum, by a line of its own.
    const minor = collectedOf(answer)
    if (minor > 0) this.#move({ direction: 'in', minor, text: 'ｺｳｻﾞﾌﾘｶｴ' })
    this.answers.push(answer)
  }

  #move(movement: Omit<BankMovement, 'id' | 'date'>): void {
    const date = new Date(this.#world.clock.now()).toISOString().slice(0, 10)
    this.movements.push({ id: this.movements.length + 1, date, ...movement })
    this.balance += movement.direction === 'in' ? movement.minor : -movement.minor
  }
}
