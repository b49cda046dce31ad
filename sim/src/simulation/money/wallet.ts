/**
 * What one member does with money at a terminal of the simulated site, with a vault on it: applies, registers with the letter's
 * code, tops up, buys, asks, objects, disputes. What settlement acknowledged is noted here, for the checks at the end.
 */
import type { PayApp } from '@azukari/device/apps/pay'
import { type CentreKeys, centreKeys, PayMember, sealApplication } from '@azukari/device/pay/member'
import type { Runtime } from '@azukari/device/runtime'
import { makeSeed } from '@azukari/device/vault/seed'
import { passwordBytes, Vault, type VaultPorts } from '@azukari/device/vault/vault'

import { encode } from '@azukari/protocol/codec'
import type { Contract, RequestOf } from '@azukari/protocol/contract'
import {
  apply,
  type MemberKind,
  type Person,
  readGuide,
  register,
} from '@azukari/protocol/contracts/settlement-members'
import { isProblem, type ProblemCode } from '@azukari/protocol/problem'
import { personOf } from '../../testkit/settlement/fixture.ts'
import type { SeededRandom } from '../../testkit/world/chance.ts'
import type { DeviceMachine } from '../device-machine.ts'
import { nameOf } from '../story.ts'
import type { World } from '../world.ts'
import { sha } from './sha.ts'

/** Passwords are stretched as little as may be: what guessing costs is none of the simulation's questions. */
const cost = { memoryKib: 64, passes: 1, lanes: 1 }
const passwordA = passwordBytes('password of the outer box')
const passwordB = passwordBytes('password of the inner box')
/** An application that nobody has answered is sent again after this. */
const applyAgainMs = 20 * 60_000

export const yen = (minor: number) => ({ minor, currency: 'JPY' as const })

/** A terminal in front of its member, for one visit. */
export interface Counter {
  device: DeviceMachine
  runtime: Runtime
  pay: PayApp
  centre: CentreKeys
  ports: VaultPorts
}

export abstract class Wallet {
  readonly name: string
  readonly kind: MemberKind
  readonly person: Person
  /** As the last letter that came says. */
  number: string | undefined
  /** The terminal with the vault on it. */
  home: DeviceMachine | undefined
  /** It has lost its vault, or never had one that settlement knows. */
  isMember = false
  protected readonly world: World
  protected readonly chance: SeededRandom
  readonly #card: Uint8Array | undefined
  readonly #seen = new Set<string>()
  #code: string | undefined
  #appliedAtMs: number | undefined
  /** Its key belongs to a number that it does not use. */
  #needsKey = false
  #busy = false

  constructor(world: World, name: string, kind: MemberKind, index: number, card?: Uint8Array) {
    this.world = world
    this.name = name
    this.kind = kind
    this.person = { ...personOf(index), ...(kind === 'shop' && { invoiceNumber: 'T1234567890123' }) }
    this.chance = world.chance(`${name}/wallet`)
    this.#card = card
  }

  get isBusy(): boolean {
    return this.#busy
  }

  /** A letter comes. One for another number is of an application that was sent twice: nobody needs it. */
  receive({ number, code }: { number: string; code: string }): void {
    if (this.isMember && number !== this.number) return
    this.number = number
    this.#code = code
  }

  /** Does something at its terminal. Ends with the terminal, when that dies. */
  async visit(device: DeviceMachine): Promise<void> {
    const { life, runtime } = device
    this.home ??= device
    if (this.#busy || this.home !== device || !life?.alive || !runtime?.pay || !runtime.link.up) return
    const { pay } = runtime
    const clock = life.clock(this.world.clock)
    const ports = { clock, random: this.chance, files: life.files(device.files) }
    this.#busy = true
    const work = async () => {
      const centre = centreKeys(await runtime.link.call(readGuide, {}))
      await this.#act({ device, runtime, pay, centre, ports })
    }
    const said = await Promise.race([
      work().then(
        () => undefined,
        (error) => this.#failed(error),
      ),
      life.ended.then(() => 'the terminal is gone'),
    ])
    this.#busy = false
    if (said) this.say(said)
  }

  protected abstract business(counter: Counter): Promise<void>
  /** Hears of what settlement told the member. */
  protected abstract hear(counter: Counter): Promise<void>

  protected say(what: string): void {
    this.world.story.say(this.name, what)
  }

  /** Password B is typed, the keys are there for one piece of work, and gone. */
  protected async signing<T>(counter: Counter, work: (member: PayMember) => T): Promise<T> {
    const { ports, centre } = counter
    using open = await this.#vault(counter).open(passwordA)
    return await open.unlock(passwordB, (keys) => work(new PayMember(keys, centre, ports)))
  }

  /** What came of a kind and was not looked at before. */
  protected async news<C extends Contract>({ pay }: Counter, contract: C): Promise<RequestOf<C>[]> {
    const fresh: RequestOf<C>[] = []
    for (const { body } of await pay.kept(contract)) {
      const name = sha(encode(body))
      if (this.#seen.has(name)) continue
      this.#seen.add(name)
      fresh.push(body)
    }
    return fresh
  }

  /** What was sealed for a key of before cannot be read any more. */
  protected async opened<T>(counter: Counter, open: (member: PayMember) => T): Promise<T | undefined> {
    try {
      return await this.signing(counter, open)
    } catch (error) {
      if (isProblem(error, 'cose.decrypt-failed') || isProblem(error, 'cose.wrong-audience')) return undefined
      throw error
    }
  }

  async #act(counter: Counter): Promise<void> {
    if (this.#code !== undefined) await this.#register(counter, this.#code)
    else if (this.isMember) {
      await this.hear(counter)
      await this.business(counter)
    } else if (this.number === undefined) await this.#apply(counter)
  }

  async #apply({ runtime, pay, centre }: Counter): Promise<void> {
    const { clock } = this.world
    if (this.#appliedAtMs !== undefined && clock.now() - this.#appliedAtMs < applyAgainMs) return
    this.#appliedAtMs = clock.now()
    const { terms } = await runtime.link.call(readGuide, {})
    const { kind, person } = this
    const application = sealApplication(centre, { kind, person, terms }, this.chance)
    this.say('applies')
    await pay.send(apply, { application })
  }

  async #register(counter: Counter, code: string): Promise<void> {
    const { pay, ports } = counter
    const number = this.number ?? ''
    const vault = this.#vault(counter)
    if (this.#needsKey || !(await vault.exists()))
      await vault.create({ terminal: number, secret: { seed: makeSeed(ports.random) }, passwordA, passwordB, cost })
    this.#needsKey = false
    const card = this.#card
    const registration = await this.signing(counter, (member) =>
      member.registration({ number, code, person: this.person, ...(card && { card }) }),
    )
    try {
      await pay.send(register, { registration })
    } catch (error) {
      // The answer to the first try was lost.
      if (isProblem(error, 'register.key-known')) this.#needsKey = true
      if (!isProblem(error, 'register.number-used')) throw error
    }
    this.say(`is registered as ${number}`)
    this.isMember = true
    this.#code = undefined
  }

  #vault({ ports }: Counter): Vault {
    return new Vault(ports, `/azukari/vault-${this.name}`)
  }

  #failed(error: unknown): string {
    if (!isProblem(error)) {
      this.world.violate('bug', `${this.name} at a terminal: ${error instanceof Error ? error.stack : error}`)
      return String(error)
    }
    if (lostKey.has(error.code) && this.isMember) {
      this.isMember = false
      this.world.count('wallet.lost')
      this.onLost()
    }
    return nameOf(error)
  }

  /** Its keys are gone: new codes are asked for. */
  onLost: () => void = () => {}
}

/** What says that a vault is gone, or older than the key that settlement knows: its system's card was restored. */
const lostKey: ReadonlySet<ProblemCode> = new Set([
  'vault.absent',
  'vault.damaged',
  'vault.wrong',
  'register.key-revoked',
  'cose.unknown-key',
] satisfies ProblemCode[])
