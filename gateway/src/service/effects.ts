/** What a transaction causes beyond its rows: events, acts for other services, work that follows its commit (ARCHITECTURE §5). */
import type { Contract, RequestOf, ServiceName } from '@azukari/protocol/contract'
import { downloadOffered, downloadWithdrawn, type Offer } from '@azukari/protocol/contracts/download'
import type { Log, Random } from '@azukari/protocol/ports'
import { InternalError } from '@azukari/protocol/problem'
import type { Transaction } from '../storage/database.ts'
import type { EventQueue } from './events.ts'
import { traceOf } from './host-rules.ts'
import type { Offers } from './offers.ts'
import type { Outbox } from './outbox.ts'
import type { OfferedContent, OutgoingAct, OwnContext, QueuedEvent } from './service.ts'

/** What a transaction wants done when it has committed. */
export interface Effects {
  passing: QueuedEvent[]
  keptFor: Set<string>
  /** Services for which acts were written. */
  sentTo: Set<ServiceName>
  afterCommit: (() => void)[]
}

export const noEffects = (): Effects => ({ passing: [], keptFor: new Set(), sentTo: new Set(), afterCommit: [] })

export interface EffectPorts {
  /** The service whose transaction it is. */
  name: ServiceName
  random: Random
  log: Log
  events: EventQueue
  outbox: Outbox
  /** Absent where the service offers nothing to devices. */
  offers: Offers | undefined
  /** Acts that it declares to send, by contract. */
  outgoing: ReadonlyMap<string, OutgoingAct>
}

/** What a transaction gets to cause them with; they are collected in `effects` until it has committed. */
export function effectContext(
  { name, random, log, events, outbox, offers, outgoing }: EffectPorts,
  { sql, nowMs, traceId }: { sql: Transaction; nowMs: number; traceId: string },
  effects: Effects,
): OwnContext {
  const emit = async <C extends Contract>(
    contract: C,
    device: string,
    body: RequestOf<C>,
    options?: { keep?: boolean },
  ): Promise<void> => {
    contract.checkRequest(body)
    const event = { device, id: random.bytes(16), contract: contract.id, atMs: nowMs, body }
    if (options?.keep ?? !contract.passing) {
      effects.keptFor.add(device)
      const dropped = await events.add(sql, event)
      if (dropped > 0) log.warn('a device has not taken its events; the oldest went', { device, dropped })
    } else effects.passing.push({ ...event, at: 0, keep: false })
  }
  const send = async <C extends Contract>(contract: C, body: RequestOf<C>): Promise<void> => {
    if (outgoing.get(contract.id)?.contract !== contract)
      throw new InternalError(`${name} does not declare that it sends ${contract.id}`)
    const act = { contract: contract.id, atMs: nowMs, trace: traceOf(traceId), body: contract.checkRequest(body) }
    await outbox.add(sql, contract.service, act)
    effects.sentTo.add(contract.service)
  }
  const requireOffers = (): Offers => {
    if (!offers) throw new InternalError(`${name} does not say where its downloads are read from`)
    return offers
  }
  const offerAsked = async (device: string, content: OfferedContent): Promise<Offer> => {
    const { offer, dropped } = await requireOffers().add(sql, device, content, nowMs)
    for (const transfer of dropped) await emit(downloadWithdrawn, device, { transfer })
    if (dropped.length > 0) log.warn('a device has not taken its downloads; the oldest went', { device })
    return offer
  }
  const offer = async (device: string, content: OfferedContent): Promise<Uint8Array> => {
    const offered = await offerAsked(device, content)
    await emit(downloadOffered, device, { offer: offered })
    return offered.transfer
  }
  const withdraw = async (transfer: Uint8Array): Promise<void> => {
    const device = await requireOffers().remove(sql, transfer)
    if (device !== undefined) await emit(downloadWithdrawn, device, { transfer })
  }
  const afterCommit = (work: () => void) => void effects.afterCommit.push(work)
  return { sql, nowMs, traceId, emit, send, offer, offerAsked, withdraw, afterCommit }
}
