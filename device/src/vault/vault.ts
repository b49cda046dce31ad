/**
 * The vault on the terminal (P2, P8, P10): an inner box with the keys under password B, within an outer box with the
 * purchase history under password A. A alone shows the history and a registration that waits to be sent; signing needs
 * both, and the card where one is mixed in. With one password, where the member accepts the risk, it opens both.
 */

import type { KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, checker, Hash, type Static, Text, TimeMs, Type } from '@azukari/protocol/contract'
import { privateCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Clock, Files, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { Box, type BoxKey, deriveBoxKey, type KdfCost, openBox, sealBox, standardCost, wipe } from './boxes.ts'
import { Lockout } from './lockout.ts'
import { fromPaper, toPaper } from './paper.ts'
import { keysOfSecret, type Secret, type VaultKeys } from './seed.ts'
import { VaultFiles } from './vault-files.ts'

/** The card's share of the inner key: a secret that only the card can make again from the hint (ECDH with its agreement key). */
export interface VaultCard {
  /** A new hint and the secret that belongs to it. */
  make(): Promise<{ hint: Uint8Array; secret: Uint8Array }>
  recover(hint: Uint8Array): Promise<Uint8Array>
}

export interface VaultPorts {
  clock: Pick<Clock, 'now'>
  random: Pick<Random, 'bytes'>
  files: Files
}

/** One line of what the member did, with the signed receipt where there is one. */
export const HistoryEntry = Type.Object({
  atMs: TimeMs,
  what: Text(32),
  reference: Text(96),
  changeMinor: Type.Integer(),
  currency: Text(3),
  receipt: Type.Optional(Bytes(64, 1024)),
})
export type HistoryEntry = Static<typeof HistoryEntry>

/** What waits under A until it can be sent: contract and sealed, signed body. */
export const WaitingMessage = Type.Object({ contract: Text(64), body: Bytes(64, 16_384), atMs: TimeMs })
export type WaitingMessage = Static<typeof WaitingMessage>

/** Entries kept; the oldest go, and settlement has them all. */
const maxHistory = 2_000
const maxWaiting = 16
const passwordMinLength = 8

const Outer = Type.Object({
  inner: Box,
  history: Type.Array(HistoryEntry, { maxItems: maxHistory }),
  waiting: Type.Array(WaitingMessage, { maxItems: maxWaiting }),
  /** Settlement's public keys, as they were at enrolment. */
  centre: Type.Optional(Type.Object({ key: Bytes(32, 600), agreement: Bytes(32, 600) })),
  number: Type.Optional(Text(14)),
})
type Outer = Static<typeof Outer>
const VaultFile = Type.Object({
  format: Type.Literal(1),
  terminal: Text(32),
  kid: Hash,
  /** `one`: password A opens both boxes (P10). */
  passwords: Type.Union([Type.Literal('one'), Type.Literal('two')]),
  card: Type.Optional(Bytes(16, 600)),
  outer: Box,
})
type VaultFile = Static<typeof VaultFile>
const checkFile = checker(VaultFile, 'vault')
const checkOuter = checker(Outer, 'outer box')
const SecretForm = Type.Object({ seed: Bytes(32), signing: Type.Optional(Bytes(32, 4096)) })
const checkSecret = checker(SecretForm, 'inner box')
const Paper = Type.Object({ format: Type.Literal(1), terminal: Text(32), kid: Hash, box: Box })
const checkPaper = checker(Paper, 'paper copy')
const ownLimits = { maxBytes: 16 << 20 }

export interface NewVault {
  terminal: string
  secret: Secret
  /** Left as they are; whoever made them wipes them. */
  passwordA: Uint8Array
  /** Absent: the member accepts the risk of a single password (P10). */
  passwordB?: Uint8Array
  card?: VaultCard
  cost?: KdfCost
}

export class Vault {
  readonly #ports: VaultPorts
  readonly #files: VaultFiles
  readonly #lockout: Lockout
  readonly #card: VaultCard | undefined

  /** @param card the member's card, when it is in a reader */
  constructor(ports: VaultPorts, directory: string, card?: VaultCard) {
    this.#ports = ports
    this.#files = new VaultFiles(ports.files, directory)
    this.#lockout = new Lockout(this.#files, ports.clock)
    this.#card = card
  }

  async exists(): Promise<boolean> {
    return (await this.#files.read()) !== undefined
  }

  /** Makes a vault in place of any that was there. @throws {Problem} `vault.weak` */
  async create({ terminal, secret, passwordA, passwordB, card, cost = standardCost }: NewVault): Promise<void> {
    checkPasswords(passwordA, passwordB)
    const { random } = this.#ports
    const kid = thumbprint(publicOf(keysOfSecret(secret).signing))
    const share = await card?.make()
    const innerKey = await deriveBoxKey(passwordB ?? passwordA, random.bytes(16), cost, share?.secret)
    const outerKey = await deriveBoxKey(passwordA, random.bytes(16), cost)
    const inner = sealSecret(innerKey, random.bytes(12), { layer: 'inner', terminal, kid }, secret)
    const file: Omit<VaultFile, 'outer'> = {
      format: 1,
      terminal,
      kid,
      passwords: passwordB ? 'two' : 'one',
      ...(share ? { card: share.hint } : {}),
    }
    await this.#store(file, outerKey, { inner, history: [], waiting: [] }, true)
    wipe(innerKey.key, outerKey.key, share?.secret)
  }

  /** Opens the outer box with A. @throws {Problem} `vault.absent`, `vault.damaged`, `vault.locked`, `vault.wrong` */
  async open(passwordA: Uint8Array): Promise<OpenVault> {
    const file = await this.#read()
    return this.#lockout.attempt(async () => {
      const key = await deriveBoxKey(passwordA, file.outer.salt, file.outer.cost)
      const content = openBox(file.outer, key, { layer: 'outer', terminal: file.terminal, kid: file.kid })
      return new OpenVault(this, file, key, checkOuter(decode(content, ownLimits)))
    })
  }

  /**
   * A vault anew from its paper copy and password B; the history comes again from settlement.
   * @throws {Problem} `vault.paper`, `vault.wrong`, `vault.weak`
   */
  async restore(
    lines: readonly string[],
    given: Omit<NewVault, 'secret' | 'passwordB'> & { passwordB: Uint8Array; passwords: 'one' | 'two' },
  ): Promise<void> {
    const { kid, terminal, box } = checkPaper(decode(fromPaper(lines), ownLimits))
    const secret = await this.#lockout.attempt(async () => {
      const key = await deriveBoxKey(given.passwordB, box.salt, box.cost)
      const content = openBox(box, key, { layer: 'paper', terminal, kid })
      wipe(key.key)
      return checkSecret(decode(content))
    })
    const { passwordB, passwords, ...rest } = given
    await this.create({ ...rest, secret, ...(passwords === 'two' ? { passwordB } : {}) })
    wipe(secret.seed, secret.signing)
  }

  /** For `OpenVault` only: the secret, with B and the card. */
  async openInner(file: VaultFile, inner: Box, password: Uint8Array): Promise<Secret> {
    const share = await this.#shareOf(file)
    return this.#lockout.attempt(async () => {
      const key = await deriveBoxKey(password, inner.salt, inner.cost, share)
      const content = openBox(inner, key, { layer: 'inner', terminal: file.terminal, kid: file.kid })
      wipe(key.key, share)
      return checkSecret(decode(content))
    })
  }

  /** For `OpenVault` only. */
  async sealInner(file: VaultFile, secret: Secret, password: Uint8Array, cost: KdfCost): Promise<Box> {
    const share = await this.#shareOf(file)
    const key = await deriveBoxKey(password, this.#ports.random.bytes(16), cost, share)
    const box = sealSecret(
      key,
      this.#ports.random.bytes(12),
      { layer: 'inner', terminal: file.terminal, kid: file.kid },
      secret,
    )
    wipe(key.key, share)
    return box
  }

  /** For `OpenVault` only. */
  async store(file: VaultFile, key: BoxKey, outer: Outer, forget: boolean): Promise<VaultFile> {
    return this.#store(file, key, outer, forget)
  }

  get random(): Pick<Random, 'bytes'> {
    return this.#ports.random
  }

  async #store(file: Omit<VaultFile, 'outer'>, key: BoxKey, outer: Outer, forget: boolean): Promise<VaultFile> {
    const content = encodeDeterministic(checkOuter(outer))
    const place = { layer: 'outer' as const, terminal: file.terminal, kid: file.kid }
    const whole: VaultFile = { ...file, outer: sealBox(key, this.#ports.random.bytes(12), place, content) }
    await this.#files.write(encodeDeterministic(checkFile(whole)), forget)
    return whole
  }

  async #read(): Promise<VaultFile> {
    const bytes = await this.#files.read()
    if (!bytes) throw new Problem('vault.absent')
    return checkFile(decode(bytes, ownLimits))
  }

  async #shareOf({ card }: VaultFile): Promise<Uint8Array | undefined> {
    if (!card) return undefined
    if (!this.#card) throw new Problem('card.absent')
    return this.#card.recover(card)
  }
}

/** A vault whose outer box is open. `lock` when done: its key is wiped. */
export class OpenVault implements Disposable {
  readonly #vault: Vault
  #file: VaultFile
  #key: BoxKey
  #outer: Outer
  #locked = false

  constructor(vault: Vault, file: VaultFile, key: BoxKey, outer: Outer) {
    this.#vault = vault
    this.#file = file
    this.#key = key
    this.#outer = outer
  }

  get history(): readonly HistoryEntry[] {
    return this.#outer.history
  }

  get waiting(): readonly WaitingMessage[] {
    return this.#outer.waiting
  }

  get centre(): { key: Uint8Array; agreement: Uint8Array } | undefined {
    return this.#outer.centre
  }

  get number(): string | undefined {
    return this.#outer.number
  }

  /** Fingerprint of the signature key. */
  get kid(): Uint8Array {
    return this.#file.kid
  }

  /** Notes a purchase or whatever moved money; the oldest entry goes when there are too many. */
  async note(entry: HistoryEntry): Promise<void> {
    await this.#change({ history: [...this.#outer.history, entry].slice(-maxHistory) })
  }

  /** Puts a signed message away until it can be sent. @throws {Problem} `outbox.full` */
  async wait(message: WaitingMessage): Promise<void> {
    if (this.#outer.waiting.length >= maxWaiting) throw new Problem('outbox.full')
    await this.#change({ waiting: [...this.#outer.waiting, message] })
  }

  async sent(message: WaitingMessage): Promise<void> {
    await this.#change({ waiting: this.#outer.waiting.filter((one) => one !== message) })
  }

  async remember(known: { centre?: { key: Uint8Array; agreement: Uint8Array }; number?: string }): Promise<void> {
    await this.#change(known)
  }

  /**
   * The keys, for as long as `use` runs. With two passwords B is needed; with one, A itself.
   * @throws {Problem} `vault.wrong`, `vault.locked`, `card.absent`, `card.*`
   */
  async unlock<T>(password: Uint8Array, use: (keys: VaultKeys & { signing: KeyObject }) => Promise<T> | T): Promise<T> {
    const secret = await this.#secret(password)
    try {
      return await use(keysOfSecret(secret))
    } finally {
      wipe(secret.seed, secret.signing)
    }
  }

  /** Both generations are written anew, so that neither opens with the old password. @throws {Problem} `vault.weak` */
  async changeA(to: Uint8Array): Promise<void> {
    if (this.#file.passwords === 'one') throw new Problem('vault.passwords', 'change the one password with changeBoth')
    checkPasswords(to, undefined)
    if (!this.#file.card && (await opensWith(this.#outer.inner, to)))
      throw new Problem('vault.weak', 'both are the same')
    const key = await deriveBoxKey(to, this.#vault.random.bytes(16), this.#key.cost)
    this.#file = await this.#vault.store(this.#file, key, this.#outer, true)
    wipe(this.#key.key)
    this.#key = key
  }

  /** @throws {Problem} `vault.wrong`, `vault.weak`, `vault.locked` */
  async changeB(from: Uint8Array, to: Uint8Array): Promise<void> {
    if (this.#file.passwords === 'one') throw new Problem('vault.passwords', 'this vault has one password')
    checkPasswords(to, undefined)
    if (await opensWith(this.#file.outer, to)) throw new Problem('vault.weak', 'both are the same')
    const secret = await this.#secret(from)
    const inner = await this.#vault.sealInner(this.#file, secret, to, this.#outer.inner.cost)
    wipe(secret.seed, secret.signing)
    await this.#change({ inner }, true)
  }

  /** From one password to another, or between one and two (P10). @param to.b absent: one password */
  async changeBoth(from: Uint8Array, to: { a: Uint8Array; b?: Uint8Array }): Promise<void> {
    checkPasswords(to.a, to.b)
    const secret = await this.#secret(from)
    const inner = await this.#vault.sealInner(this.#file, secret, to.b ?? to.a, this.#outer.inner.cost)
    wipe(secret.seed, secret.signing)
    const key = await deriveBoxKey(to.a, this.#vault.random.bytes(16), this.#key.cost)
    const outer = { ...this.#outer, inner }
    this.#file = await this.#vault.store({ ...this.#file, passwords: to.b ? 'two' : 'one' }, key, outer, true)
    this.#outer = outer
    wipe(this.#key.key)
    this.#key = key
  }

  /** Lines to print and keep apart from the terminal. @param password B, or the one password */
  async toPaper(password: Uint8Array): Promise<string[]> {
    const { terminal, kid } = this.#file
    const secret = await this.#secret(password)
    const { random } = this.#vault
    const key = await deriveBoxKey(password, random.bytes(16), this.#outer.inner.cost)
    const box = sealSecret(key, random.bytes(12), { layer: 'paper', terminal, kid }, secret)
    wipe(key.key, secret.seed, secret.signing)
    return toPaper(encodeDeterministic({ format: 1, terminal, kid, box }))
  }

  lock(): void {
    this.#locked = true
    wipe(this.#key.key)
    this.#outer = { ...this.#outer, history: [], waiting: [] }
  }

  [Symbol.dispose](): void {
    this.lock()
  }

  #secret(password: Uint8Array): Promise<Secret> {
    if (this.#locked) throw new Problem('vault.passwords', 'the vault was locked')
    return this.#vault.openInner(this.#file, this.#outer.inner, password)
  }

  async #change(change: Partial<Outer>, forget = false): Promise<void> {
    if (this.#locked) throw new Problem('vault.passwords', 'the vault was locked')
    const outer = { ...this.#outer, ...change }
    this.#file = await this.#vault.store(this.#file, this.#key, outer, forget)
    this.#outer = outer
  }
}

/** The private key of a seedless kind as it goes into the inner box. */
export function secretOf(seed: Uint8Array, signing?: KeyObject): Secret {
  return signing ? { seed, signing: privateCoseKey(signing) } : { seed }
}

/** A password as bytes that can be wiped; the same letters typed on another keyboard give the same bytes. */
export function passwordBytes(text: string): Uint8Array {
  return new TextEncoder().encode(text.normalize('NFKC'))
}

function sealSecret(key: BoxKey, nonce: Uint8Array, place: Parameters<typeof sealBox>[2], secret: Secret): Box {
  const content = encodeDeterministic(secret)
  const box = sealBox(key, nonce, place, content)
  wipe(content)
  return box
}

/** Whether a box without a card's share opens with this password. */
async function opensWith({ salt, cost, commit }: Box, password: Uint8Array): Promise<boolean> {
  const key = await deriveBoxKey(password, salt, cost)
  wipe(key.key)
  return Buffer.compare(key.commit, commit) === 0
}

function checkPasswords(a: Uint8Array, b: Uint8Array | undefined): void {
  for (const password of b ? [a, b] : [a])
    if (password.length < passwordMinLength || new Set(password).size < 4) throw new Problem('vault.weak')
  if (b && Buffer.compare(a, b) === 0) throw new Problem('vault.weak', 'both are the same')
}
