/**
 * The memory of a card in software, which outlasts power: files, PIN and PUK with their counters, private keys. Each change
 * goes through `commit`, in the order in which a chip makes them; what the memory rests on overrides it.
 */
import { createHash, createPrivateKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import {
  type CardFileName,
  type CardKeyName,
  type CardKind,
  cardFiles,
  cardKeys,
  pinRules,
} from '@azukari/protocol/card/layout'
import { fileBytes } from '@azukari/protocol/card/slots'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, checker, type Static, Type } from '@azukari/protocol/contract'

const ImageSchema = Type.Object({
  v: Type.Literal(1),
  kind: Type.Union([Type.Literal('ed25519'), Type.Literal('p256'), Type.Literal('rsa')]),
  extended: Type.Boolean(),
  /** PKCS#8 by purpose. */
  keys: Type.Object({ authentication: Bytes(32, 4096), acts: Bytes(32, 4096), agreement: Bytes(32, 4096) }),
  files: Type.Record(Type.String(), Bytes(1, 65_536)),
  pin: Type.Object({ hash: Bytes(32), triesLeft: Type.Integer({ minimum: 0, maximum: 15 }) }),
  puk: Type.Object({ hash: Bytes(32), triesLeft: Type.Integer({ minimum: 0, maximum: 15 }) }),
})
export type CardImage = Static<typeof ImageSchema>
const checkImage = checker(ImageSchema, 'card image')

export type SecretName = 'pin' | 'puk'

export class CardMemory {
  readonly kind: CardKind
  readonly extended: boolean
  readonly keys: Readonly<Record<CardKeyName, KeyObject>>
  readonly #image: CardImage

  constructor(image: CardImage) {
    this.#image = image
    this.kind = image.kind
    this.extended = image.extended
    this.keys = Object.fromEntries(
      Object.keys(cardKeys).map((name) => [
        name,
        createPrivateKey({ key: Buffer.from(image.keys[name as CardKeyName]), format: 'der', type: 'pkcs8' }),
      ]),
    ) as Record<CardKeyName, KeyObject>
  }

  /** @throws {Problem} `cbor.*`, `message.invalid` */
  static load<Memory extends CardMemory>(this: new (image: CardImage) => Memory, bytes: Uint8Array): Memory {
    const image = checkImage(decode(bytes, { maxBytes: 1 << 20 }))
    for (const [name, file] of Object.entries(cardFiles)) {
      const content = image.files[name] ?? new Uint8Array(0)
      const whole = new Uint8Array(fileBytes(file))
      whole.set(content.subarray(0, whole.length))
      image.files[name] = whole
    }
    return new this(image)
  }

  /** The whole card, private keys included: keep it as secret as a card. */
  save(): Uint8Array {
    return encodeDeterministic(this.#image)
  }

  file(name: CardFileName): Uint8Array {
    return this.#image.files[name]!
  }

  write(name: CardFileName, offset: number, bytes: Uint8Array): void {
    this.commit(bytes.length, (taken) => this.file(name).set(bytes.subarray(0, taken), offset))
  }

  triesLeft(secret: SecretName): number {
    return this.#image[secret].triesLeft
  }

  /** Compares; the try is counted before the comparison, so that cutting the power cannot save it. */
  compare(secret: SecretName, block: Uint8Array): boolean {
    const held = this.#image[secret]
    if (held.triesLeft === 0) return false
    this.commit(1, (taken) => {
      held.triesLeft -= taken
    })
    if (!timingSafeEqual(secretHash(this.#image.keys.acts, block), held.hash)) return false
    this.commit(1, (taken) => {
      if (taken === 1) held.triesLeft = secret === 'pin' ? pinRules.tries : pinRules.pukTries
    })
    return true
  }

  /** Small enough to be written at once or not at all. */
  setPin(block: Uint8Array): void {
    this.commit(1, (taken) => {
      if (taken === 1) this.#image.pin = { hash: secretHash(this.#image.keys.acts, block), triesLeft: pinRules.tries }
    })
  }

  /** Makes one change: `make` is told how many of its bytes reach the medium. */
  protected commit(bytes: number, make: (taken: number) => void): void {
    make(bytes)
  }
}

/** Salted with the card's own key, so that images do not show who has the same PIN. */
export function secretHash(salt: Uint8Array, block: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update('azukari/pin/1').update(salt).update(block).digest())
}
