/** `azukari-sim card insert`: a virtual card in a virtual PC/SC reader, for boards that ask a reader (`pc-desk`). */
import { renameSync, writeFileSync } from 'node:fs'
import { sameBytes } from '@azukari/protocol/bytes'
import { Problem } from '@azukari/protocol/problem'
import type { VirtualCard } from '../../testkit/card/virtual-card.ts'
import { type CardPorts, loadCard } from './issue.ts'
import { type InsertedCard, ReaderSlot } from './reader-slot.ts'

/** A card that is written to its file before anybody hears its answer, as a chip changes its memory. */
class FiledCard implements InsertedCard {
  readonly #card: VirtualCard
  readonly #path: string
  #written: Uint8Array

  constructor(card: VirtualCard, path: string) {
    this.#card = card
    this.#path = path
    this.#written = card.save()
  }

  powerOff(): void {
    this.#card.powerOff()
  }

  reset(): void {
    this.#card.reset()
  }

  transmit(apdu: Uint8Array): Uint8Array {
    const answer = this.#card.transmit(apdu)
    const now = this.#card.save()
    if (sameBytes(now, this.#written)) return answer
    writeFileSync(`${this.#path}.new`, now, { mode: 0o600 })
    renameSync(`${this.#path}.new`, this.#path)
    this.#written = now
    return answer
  }
}

/**
 * Puts a card's file into the reader's slot.
 * @returns what takes it out, and what resolves when it is out
 * @throws {Problem} `service.unavailable` without a reader there; `object.unknown`, `cbor.*`, `message.invalid` for the file
 */
export async function insertCard(
  path: string,
  to: { host: string; port: number },
  ports: CardPorts,
): Promise<{ remove(): void; out: Promise<void> }> {
  const card = await loadCard(ports.files, path, ports.random)
  const slot = new ReaderSlot(to)
  const { reached, out } = slot.insert(new FiledCard(card, path))
  await reached.catch((cause) => {
    const advice = 'install pcscd and vsmartcard-vpcd, and start pcscd'
    throw new Problem('service.unavailable', `no virtual reader at ${to.host}:${to.port}: ${advice}`, { cause })
  })
  return { out, remove: () => slot.remove() }
}
