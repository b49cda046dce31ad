/** The memory of a virtual card that outlasts power: files, PIN and PUK with their counters, private keys. It can lose power at any byte. */
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

/** Thrown inside the card when the power goes; never leaves it. */
export class PowerLost extends Error {}

export type SecretName = 'pin' | 'puk'

export class CardMemory {
  readonly kind: CardKind
  readonly extended: boolean
  readonly keys: Readonly<Record<CardKeyName, KeyObject>>
  readonly #image: CardImage
  /** Bytes that can still be written before the power goes; undefined when it stays. */
  #budgetBytes: number | undefined

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
  static load(bytes: Uint8Array): CardMemory {
    const image = checkImage(decode(bytes, { maxBytes: 1 << 20 }))
    for (const [name, file] of Object.entries(cardFiles)) {
      const content = image.files[name] ?? new Uint8Array(0)
      const whole = new Uint8Array(fileBytes(file))
      whole.set(content.subarray(0, whole.length))
      image.files[name] = whole
    }
    return new CardMemory(image)
  }

  save(): Uint8Array {
    return encodeDeterministic(this.#image)
  }

  /** The next `bytes` bytes are still written, then the power is gone. */
  losePowerAfter(bytes: number | undefined): void {
    this.#budgetBytes = bytes
  }

  file(name: CardFileName): Uint8Array {
    return this.#image.files[name]!
  }

  write(name: CardFileName, offset: number, bytes: Uint8Array): void {
    const written = Math.min(bytes.length, this.#budgetBytes ?? bytes.length)
    this.file(name).set(bytes.subarray(0, written), offset)
    this.#spend(bytes.length)
  }

  triesLeft(secret: SecretName): number {
    return this.#image[secret].triesLeft
  }

  /** Compares; the try is counted before the comparison, so that cutting the power cannot save it. */
  compare(secret: SecretName, block: Uint8Array): boolean {
    const held = this.#image[secret]
    if (held.triesLeft === 0) return false
    this.#spend(1)
    held.triesLeft--
    if (!timingSafeEqual(secretHash(this.#image.keys.acts, block), held.hash)) return false
    this.#spend(1)
    held.triesLeft = secret === 'pin' ? pinRules.tries : pinRules.pukTries
    return true
  }

  /** Small enough to be written at once or not at all. */
  setPin(block: Uint8Array): void {
    this.#spend(1)
    this.#image.pin = { hash: secretHash(this.#image.keys.acts, block), triesLeft: pinRules.tries }
  }

  #spend(bytes: number): void {
    if (this.#budgetBytes === undefined) return
    if (bytes > this.#budgetBytes) {
      this.#budgetBytes = undefined
      throw new PowerLost()
    }
    this.#budgetBytes -= bytes
  }
}

/** Salted with the card's own key, so that images do not show who has the same PIN. */
export function secretHash(salt: Uint8Array, block: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update('azukari/pin/1').update(salt).update(block).digest())
}
