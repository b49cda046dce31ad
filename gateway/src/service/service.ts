/**
 * What a service is to the gateway, whether it runs inside it or as a process of its own (D4).
 *
 * A service's acts commit together with their inbox row, their reply and the events they cause (ARCHITECTURE §5).
 */
import type { Contract, ReplyOf, RequestOf, ServiceName, SignedOf } from '@azukari/protocol/contract'
import type { Offer } from '@azukari/protocol/contracts/download'
import type { Outsider } from '@azukari/protocol/contracts/internal'
import type { ContentHashes } from '@azukari/protocol/download'
import type { ActKey } from '@azukari/protocol/envelope'
import type { Member } from '@azukari/protocol/member-token'
import type { Problem, ProblemWire } from '@azukari/protocol/problem'
import type { Sql } from '../storage/database.ts'
import type { SignedContent } from './signed.ts'

/** Who asks, as the gateway vouches for it. */
export interface Caller {
  device: string
  region: string
  roles: readonly string[]
}

/** How another service is named as the caller of an act; no device can have such a name. */
export function serviceCaller(service: ServiceName): Caller {
  return { device: `${servicePrefix}${service}`, region: '', roles: ['service'] }
}

/** The service that calls; undefined for a device. */
export function callingService({ device }: Pick<Caller, 'device'>): string | undefined {
  return device.startsWith(servicePrefix) ? device.slice(servicePrefix.length) : undefined
}

const servicePrefix = 'service:'

/** How somebody outside the site is named as the caller; who it is, the key or the link says. */
export const outsideCaller: Caller = { device: 'https:', region: '', roles: [] }

export interface ServiceRequest {
  caller: Caller
  /** `name@version`. */
  contract: string
  /** 16 bytes; for an act also its act id. */
  id: Uint8Array
  atMs: number
  act?: ActKey
  trace?: Uint8Array
  /** The member's session token, where the contract's authority is `member`. */
  token?: Uint8Array
  /** What came with it, where the contract's authority is `shop` or `link`. */
  https?: Outsider
  body: unknown
}

export interface ServiceReply {
  body?: unknown
  problem?: ProblemWire
  /** The next act of the stream that the service expects. */
  want?: number
}

/** An event for a device. `keep`: handed over again until the device has acknowledged it. */
export interface QueuedEvent {
  /** Place in the service's queue, ascending. */
  at: number
  device: string
  id: Uint8Array
  contract: string
  atMs: number
  body: unknown
  keep: boolean
}

/** Content that a service offers to a device. */
export interface OfferedContent extends Pick<Offer, 'kind' | 'name' | 'mediaType'> {
  /** By which the service's `downloads` finds it again. At most 64 bytes. */
  reference: Uint8Array
  hashes: ContentHashes
  /** How long the device may take to fetch it, ms. */
  lifeMs: number
}

/** What a service sends to devices, block by block: asked by the gateway, in process or through `download.*` contracts. */
export interface Downloads {
  /** Up to `count` blocks, as they travel; fewer where there are no more. @throws {Problem} `transfer.unknown`, `transfer.expired`, `transfer.bad-root` */
  read(device: string, transfer: Uint8Array, from: number, count: number): Promise<Uint8Array[]>
  /** The device has it, or does not take it. Idempotent. */
  ended(device: string, transfer: Uint8Array, problem: string | undefined): Promise<void>
}

export type EventListener = (passing: readonly QueuedEvent[], keptFor: readonly string[]) => void

export interface Service {
  readonly name: ServiceName
  /** Resolves after commit; problems come as replies, never as throws. */
  handle(request: ServiceRequest): Promise<ServiceReply>
  /** Kept events with `at` > `after`, in order; of one device when it is named. */
  takeEvents(after: number, limit: number, device?: string): Promise<QueuedEvent[]>
  eventsDone(device: string, ids: readonly Uint8Array[]): Promise<void>
  /** Of a service that sends devices more than fits into an event. */
  readonly downloads?: Downloads | undefined
  /** Hears of events: those that are not kept, and the devices for which kept ones wait. Returns a function that stops it. */
  onEvents(listener: EventListener): () => void
  start(): Promise<void>
  /** Finishes what was begun and refuses what is new. */
  stop(): Promise<void>
}

/** What a handler gets besides the body. */
export interface Context {
  caller: Caller
  requestId: Uint8Array
  nowMs: number
  /** One id per member action, from the board to the data server. */
  traceId: string
}

/** What an act's handler gets: it runs inside the transaction and awaits nothing but `sql`. */
export interface ActContext extends Context {
  sql: Sql
  /** Queues an event in the same transaction. */
  emit<C extends Contract>(contract: C, device: string, body: RequestOf<C>, options?: { keep?: boolean }): Promise<void>
  /**
   * Sends an act to another service: a row in this transaction, delivered once and in order after the commit.
   * @throws {Problem} `service.busy` when too many acts wait for that service, `message.invalid`
   * @throws {InternalError} for a contract that this service does not declare among its calls
   */
  send<C extends Contract>(contract: C, body: RequestOf<C>): Promise<void>
  /**
   * Offers a device something of any size, in this transaction; it fetches it when it can. Returns the transfer's id.
   * @throws {InternalError} for a service without `downloads`
   */
  offer(device: string, content: OfferedContent): Promise<Uint8Array>
  /**
   * As `offer`, for a device that asked and learns of it in the reply: no event is sent, and nothing comes when it has not asked on.
   * @throws {InternalError} for a service without `downloads`
   */
  offerAsked(device: string, content: OfferedContent): Promise<Offer>
  /** Takes an offer back: what the device has of it goes. Nothing when it is not there any more. */
  withdraw(transfer: Uint8Array): Promise<void>
  /** Runs after the commit; not at all if it fails. For starting slow work, which must also start after a restart. */
  afterCommit(work: () => void): void
}

/** What a service's own transaction gets. */
export type OwnContext = Omit<ActContext, 'caller' | 'requestId'>

/** What the handler of a contract with the authority `member` gets: the host has judged the token. */
export interface MemberContext extends Context {
  member: Member
}

/** Whose API key or link it is that the host has judged. */
export interface Holder {
  /** Names the key or the link. */
  who: string
  /** Whose key it is, or for whom the link was made. */
  holder: string
}

export type ActHandler<C extends Contract> = (
  body: RequestOf<C>,
  context: ActContext,
) => Promise<ReplyOf<C>> | ReplyOf<C>
export type CallHandler<C extends Contract> = (body: RequestOf<C>, context: Context) => Promise<ReplyOf<C>> | ReplyOf<C>

export type MemberCallHandler<C extends Contract> = (
  body: RequestOf<C>,
  context: MemberContext,
) => Promise<ReplyOf<C>> | ReplyOf<C>

/** What a handler of a contract with the authority `signed` gets besides: the host has verified the signature. */
export type SignedActHandler<C extends Contract> = (
  body: RequestOf<C>,
  context: ActContext & { signed: SignedContent<SignedOf<C>> },
) => Promise<ReplyOf<C>> | ReplyOf<C>
export type SignedCallHandler<C extends Contract> = (
  body: RequestOf<C>,
  context: Context & { signed: SignedContent<SignedOf<C>> },
) => Promise<ReplyOf<C>> | ReplyOf<C>

/** What handlers of contracts with the authorities `shop` and `link` get besides: whose key or link it is. */
export type OutsideCallHandler<C extends Contract> = (
  body: RequestOf<C>,
  context: Context & Holder,
) => Promise<ReplyOf<C>> | ReplyOf<C>
export type OutsideActHandler<C extends Contract> = (
  body: RequestOf<C>,
  context: ActContext & Holder,
) => Promise<ReplyOf<C>> | ReplyOf<C>

/** One row of a service's dispatch table; made with `act` or `call` so that types are checked. */
export type Handler =
  | {
      contract: Contract
      kind: 'act'
      handle: ActHandler<Contract>
      /** Services that may send it, when its authority is `service`. */
      senders?: readonly ServiceName[]
    }
  | { contract: Contract; kind: 'call'; handle: CallHandler<Contract> }
  | { contract: Contract; kind: 'signed-act'; handle: SignedActHandler<Contract> }
  | { contract: Contract; kind: 'signed-call'; handle: SignedCallHandler<Contract> }
  | { contract: Contract; kind: 'member-call'; handle: MemberCallHandler<Contract> }
  | { contract: Contract; kind: 'shop-call'; handle: OutsideCallHandler<Contract> }
  | { contract: Contract; kind: 'shop-act'; handle: OutsideActHandler<Contract> }
  | { contract: Contract; kind: 'link-call'; handle: OutsideCallHandler<Contract> }

export function act<C extends Contract>(contract: C, handle: ActHandler<C>): Handler {
  return { contract, kind: 'act', handle: handle as unknown as ActHandler<Contract> }
}

/** An act that other services send, and no device. @param senders the services that may */
export function serviceAct<C extends Contract>(
  contract: C,
  senders: readonly ServiceName[],
  handle: ActHandler<C>,
): Handler {
  return { contract, kind: 'act', handle: handle as unknown as ActHandler<Contract>, senders }
}

export function call<C extends Contract>(contract: C, handle: CallHandler<C>): Handler {
  return { contract, kind: 'call', handle: handle as unknown as CallHandler<Contract> }
}

/** An act whose message is signed: its handler gets what the signature vouches for. */
export function signedAct<C extends Contract>(contract: C, handle: SignedActHandler<C>): Handler {
  return { contract, kind: 'signed-act', handle: handle as unknown as SignedActHandler<Contract> }
}

export function signedCall<C extends Contract>(contract: C, handle: SignedCallHandler<C>): Handler {
  return { contract, kind: 'signed-call', handle: handle as unknown as SignedCallHandler<Contract> }
}

/** A call that is a member's to make: its handler learns from the host who asks. */
export function memberCall<C extends Contract>(contract: C, handle: MemberCallHandler<C>): Handler {
  return { contract, kind: 'member-call', handle: handle as unknown as MemberCallHandler<Contract> }
}

/** What a shop's program asks, changing nothing. */
export function shopCall<C extends Contract>(contract: C, handle: OutsideCallHandler<C>): Handler {
  return { contract, kind: 'shop-call', handle: handle as unknown as OutsideCallHandler<Contract> }
}

/** What a shop's program has done: in a transaction, once for each idempotency key. */
export function shopAct<C extends Contract>(contract: C, handle: OutsideActHandler<C>): Handler {
  return { contract, kind: 'shop-act', handle: handle as unknown as OutsideActHandler<Contract> }
}

/** A file by a signed link, a piece at a time. */
export function linkCall<C extends Contract>(contract: C, handle: OutsideCallHandler<C>): Handler {
  return { contract, kind: 'link-call', handle: handle as unknown as OutsideCallHandler<Contract> }
}

/**
 * An act of another service that this one sends, and what it does with the answer. Both handlers run in the transaction
 * in which the act leaves the outbox, so once, whatever crashes; one that fails is run again with the next delivery.
 */
export interface OutgoingAct {
  contract: Contract
  onReply?: (reply: unknown, context: OwnContext, sent: unknown) => Promise<void> | void
  onRefused?: (problem: Problem, context: OwnContext, sent: unknown) => Promise<void> | void
}

/** One row of what a service declares that it sends, with types checked. */
export function sends<C extends Contract>(
  contract: C,
  handlers: {
    onReply?: (reply: ReplyOf<C>, context: OwnContext, sent: RequestOf<C>) => Promise<void> | void
    /** The other service's final word. It is logged in any case. */
    onRefused?: (problem: Problem, context: OwnContext, sent: RequestOf<C>) => Promise<void> | void
  } = {},
): OutgoingAct {
  return { contract, ...handlers } as OutgoingAct
}

/** A service's own transactions outside acts (slow work that finishes): same emit, same commit. */
export interface ServiceStore {
  transaction<T>(work: (context: OwnContext) => Promise<T> | T): Promise<T>
  /**
   * The same for steps of which many are under way at once: what is asked for meanwhile shares the commit and its fsync.
   * Resolves when it is durable; a throw of `work` undoes only what `work` did.
   */
  commit<T>(work: (context: OwnContext) => Promise<T> | T): Promise<T>
  sql: Sql
}

/** What a service reads of the receive buffer; in-process or through `buffer.*` contracts. */
export interface ReceiveBuffer {
  describe(
    transfer: Uint8Array,
  ): Promise<
    | { device: string; sizeBytes: number; blockBytes: number; blocks: number; root: Uint8Array; complete: boolean }
    | undefined
  >
  /** Encrypted blocks `from` … `from + count − 1`. */
  read(transfer: Uint8Array, from: number, count: number): Promise<Uint8Array[]>
  /** Idempotent. */
  release(transfer: Uint8Array): Promise<void>
}
