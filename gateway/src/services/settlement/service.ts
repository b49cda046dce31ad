/**
 * Settlement (ARCHITECTURE §9, P1–P10, S13): registers, ledger, stored value, purchases and billing, put together from
 * ports. Handlers decide and write in one transaction; what waits for others (card company, banks, clerks) comes in its own.
 */
import type { KeyObject } from 'node:crypto'
import type { HeldKey } from '@azukari/protocol/contracts/keys'
import type { PaymentWay } from '@azukari/protocol/contracts/settlement-billing'
import { publicOf } from '@azukari/protocol/keys'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Budgets } from '../../budgets/budgets.ts'
import type { Mailer } from '../../mail/mailer.ts'
import { ApiKeys } from '../../service/api-keys.ts'
import type { SignatureChecks } from '../../service/checks.ts'
import type { Peers } from '../../service/deliverer.ts'
import { createServiceHost } from '../../service/host.ts'
import type { HostCounts } from '../../service/host-limits.ts'
import type { SlowWork } from '../../service/host-options.ts'
import type { MemberCheck } from '../../service/member-tokens.ts'
import type { PeriodicWorker } from '../../service/periodic-worker.ts'
import type { Service, ServiceStore } from '../../service/service.ts'
import { heldKeys } from '../../service/service-keys.ts'
import type { Unlisted } from '../../service/unlisted.ts'
import type { Database } from '../../storage/database.ts'
import { type JournalEntry, journal } from './accounting/journal.ts'
import type { OwnBankAccount } from './bank/files/bank-file.ts'
import { type BankDesk, bankDesk } from './bank/lines.ts'
import { type CivilDate, civilDate, startOfDay } from './billing/calendar.ts'
import { type CardsReport, cardsReport, chargeQueue, collectCards } from './billing/card-charges.ts'
import { closePeriods, isIssuerNamed } from './billing/closing.ts'
import { collectValue, debitAnswers, debitFile } from './billing/collect.ts'
import { type ObjectionDesk, objectionDesk, objectionHandlers } from './billing/objections.ts'
import { payBy, payChoiceHandlers } from './billing/pay-choice.ts'
import type { BillingPorts, BillingRules, PlacementView } from './billing/ports.ts'
import { standardTariff } from './billing/price.ts'
import { ledgerOf } from './centre/epoch.ts'
import { documentHandlers, documentLink } from './documents/by-link.ts'
import { pageSource } from './documents/pages.ts'
import { type Document, type DocumentKind, listDocuments, readDocument } from './documents/store.ts'
import type { TrueTypeFont } from './documents/true-type.ts'
import { Housekeeping } from './housekeeping.ts'
import type { SettlementKeys } from './keystore.ts'
import { type Audit, audit } from './ledger/audit.ts'
import { signHead } from './ledger/head.ts'
import type { Total } from './ledger/ledger.ts'
import { mailHandlers } from './mails/choice.ts'
import { mailReport } from './mails/report.ts'
import { mailWorker } from './mails/worker.ts'
import { type EnrolmentDesk, enrolmentDesk, enrolmentHandlers } from './members/enrolment.ts'
import { InStep, type PlacementKeeping, wordsOnCards } from './members/register-sync.ts'
import { memberByNumber } from './members/registers.ts'
import { settlementMigrations } from './migrations.ts'
import { type CardCompany, type CardQueue, CardWorker } from './payments/card-company.ts'
import { topUpQueue } from './payments/card-top-up.ts'
import { type Charge, charge } from './payments/charges.ts'
import { type PayoutDesk, payoutDesk, payoutHandlers } from './payments/order-acts.ts'
import { purchaseHandlers } from './payments/purchase.ts'
import { type ShopKeyDesk, shopKeyDesk } from './payments/shop-keys.ts'
import { shopHandlers } from './payments/shop-requests.ts'
import { type CashDesk, cashDesk, topUpHandlers } from './payments/top-up.ts'
import { shownWebhooks, webhookHandlers } from './payments/webhooks/requests.ts'
import { type WebhookWorkerOptions, webhookWorker } from './payments/webhooks/worker.ts'
import {
  createServiceContext,
  linkKeys,
  memberSigners,
  type ServiceContext,
  type SettlementRules,
} from './service-context.ts'
import { type DayFigure, dayFigures, type Operation, operationLog } from './statistics/days.ts'
import { monthFigures } from './statistics/months.ts'
import type { StatisticsReport } from './statistics/picture.ts'
import { shopFigures } from './statistics/shops.ts'

export interface SettlementOptions {
  database: Database
  keys: SettlementKeys
  /** Without one, nothing can be paid by credit card. */
  cardCompany?: CardCompany
  rules?: Partial<SettlementRules>
  billing?: Partial<BillingRules>
  /** How shops' addresses for events are reached; without it nothing is sent there. */
  webhooks?: Pick<WebhookWorkerOptions, 'fetch' | 'named'>
  /** By which members are written to; without it nobody is. */
  mailer?: Mailer | undefined
  /** Placement's word on members' profiles and data. */
  placement: PlacementView
  /** Placement's register, to be kept in step; without it nothing is told there. */
  keeping?: PlacementKeeping
  /** Where other services take what settlement sends. Without it that waits. */
  peers?: Peers
  /** Our own account at the bank; without it no file for the bank can be made. */
  own?: OwnBankAccount
  clock: Clock
  random: Random
  log: Log
  /** How often it looks after itself, ms; 0: never. */
  housekeepingMs?: number
  /** Resolves when the backup centre has what was committed (P9). */
  confirmed?: () => Promise<void>
  /** The font that pages carry for Japanese. Without it they rely on the reader's own. */
  font?: () => TrueTypeFont | undefined
  /** Threads that check signatures; ended with the service. Without them it checks them itself. */
  checks?: SignatureChecks
  /** Runs work when what the network has brought so far has been taken in. */
  defer?: (work: () => void) => void
  /** Where its budgets are shown. */
  budgets?: Budgets
  /** Hears of answers that contracts do not list: `logUnlisted`, in tests `throwUnlisted`. */
  unlisted: Unlisted
  /** Judges members' tokens. */
  members?: MemberCheck | undefined
}

export interface Settlement extends Service {
  readonly store: ServiceStore
  readonly counts: Readonly<HostCounts>
  readonly enrolment: EnrolmentDesk
  readonly cash: CashDesk
  readonly payouts: PayoutDesk
  readonly bank: BankDesk
  readonly billing: BillingDesk
  /** API keys of shops. */
  readonly shopKeys: ShopKeyDesk
  /** A path and query of the HTTPS listener where a document can be fetched. @throws {Problem} `object.unknown` */
  documentLink(id: Uint8Array, of: { subject: string; lifeMs: number }): Promise<string>
  documents(kind?: DocumentKind, sinceMs?: number, limit?: number): Promise<Omit<Document, 'content'>[]>
  document(id: Uint8Array): Promise<Document | undefined>
  trialBalance(): Promise<Total[]>
  /** The signed head of a day's journal. */
  head(day: string): Promise<Uint8Array>
  /** A charge of another service, by its name. @throws {Problem} as `settle.charge` */
  charge(service: string, request: Charge): Promise<{ seq: number; atMs: number }>
  audit(): Promise<Audit>
  /** Figures by day, by month, and by shop where enough people bought (P9). @param months up to `monthsAtMost` */
  statistics(months?: number): Promise<StatisticsReport & { days: DayFigure[] }>
  /** The journal in sums, for an accounting program; days are the site's. @param period.to the last day */
  journal(period: { from: CivilDate; to: CivilDate }): Promise<JournalEntry[]>
  /** Who did what, for printing. */
  operations(limit: number): Promise<Operation[]>
  /** A clerk may have left work for those who ask others. */
  wake(): void
  /** Resolves when nothing is being asked of the card company. */
  cardsIdle(): Promise<void>
  /** Resolves when placement is not being told anything. */
  inStepIdle(): Promise<void>
  /** Resolves when no shop is being told anything. */
  webhooksIdle(): Promise<void>
  /** Resolves when no letter is being sent. */
  mailsIdle(): Promise<void>
  /** Letters that wait, and members who are not reached. */
  mails(): ReturnType<typeof mailReport>
  /** A shop's addresses for events. @throws {Problem} `register.unknown-number` */
  webhooksOf(shop: string): Promise<Awaited<ReturnType<typeof shownWebhooks>>>
  /** With which an auditor checks heads, statements and receipts. */
  readonly publicKey: KeyObject
  /** What the key directory says of settlement: its one pair of keys, which members' vaults know. */
  readonly publicKeys: readonly HeldKey[]
}

/** The clerk's side of billing. */
export interface BillingDesk {
  /** Closes every period that has ended. */
  close(): Promise<{ issued: string[]; postponed: number }>
  readonly objections: ObjectionDesk
  /** The bank file of the debits that are due; undefined when there are none. */
  debitFile(): Promise<{ document: Uint8Array; debits: number } | undefined>
  /** Collects from stored value what is due. Returns how many statements were paid. */
  collectValue(): Promise<number>
  /** Asks the card company for what is due by card soon. Returns of how many statements; the rest goes on by itself. */
  collectCards(): Promise<number>
  /** Charges on credit cards that are under way. */
  cards(limit: number): Promise<CardsReport>
  /** How a member pays (S14), on the member's word. @throws {Problem} `register.unknown-number`, `bill.way` */
  payBy(number: string, payment: PaymentWay): Promise<void>
}

const standardBilling: BillingRules = {
  tariff: standardTariff,
  firstPeriod: 'days',
  currency: 'JPY',
  timeZone: 'Asia/Tokyo',
  objectDays: 10,
  debitBankDays: 3,
  authoriseDays: 7,
  againDays: 14,
  maxTries: 3,
  closing: 'by-itself',
  checkDays: 90,
  checkWaitDays: 3,
  format: 'zengin',
}

export async function createSettlement(options: SettlementOptions): Promise<Settlement> {
  const { database, clock, random, log, keys } = options
  let shared!: ServiceContext
  let billing!: BillingPorts
  let work!: SlowWork
  const own = () => {
    if (!options.own) throw new Problem('config.invalid', 'settlement.json does not name our bank account (own)')
    return options.own
  }
  let cards: CardWorker | undefined
  let inStep: InStep | undefined
  let webhooks: PeriodicWorker | undefined
  let letters: PeriodicWorker | undefined
  const confirmed = options.confirmed ?? (async () => {})
  const hosted = await createServiceHost({
    name: 'settlement',
    database,
    clock,
    random,
    log,
    migrations: settlementMigrations,
    downloads: pageSource(database),
    calls: [wordsOnCards],
    ...(options.peers ? { peers: options.peers } : {}),
    ...(options.defer ? { defer: options.defer } : {}),
    ...(options.budgets ? { budgets: options.budgets } : {}),
    unlisted: options.unlisted,
    members: options.members,
    signers: memberSigners(options, options.checks),
    links: linkKeys(keys),
    ...(options.confirmed ? { confirmed: options.confirmed } : {}),
    handlers: (store, given) => {
      work = given
      shared = createServiceContext({
        keys,
        store,
        clock,
        random,
        log,
        font: options.font,
        onShopEvent: () => webhooks?.wake(),
        onMail: options.mailer && (() => letters?.wake()),
        ...(options.rules ? { rules: options.rules } : {}),
      })
      // Workers do not go on where another process has taken over.
      const working = { ...shared, store: work.store }
      if (options.keeping) inStep = new InStep(working, options.keeping, work.duty)
      if (options.webhooks)
        webhooks = webhookWorker({ ...options.webhooks, shared: working, duty: work.duty, confirmed })
      if (options.mailer) letters = mailWorker({ mailer: options.mailer, shared: working, duty: work.duty, confirmed })
      const company = options.cardCompany
      const rules = { ...standardBilling, ...options.billing }
      billing = { shared, own, placement: options.placement, rules, cards: company !== undefined }
      if (company)
        cards = new CardWorker({
          shared: working,
          company,
          confirmed,
          duty: work.duty,
          queues: [
            topUpQueue(working, company),
            chargeQueue(() => ({ ...billing, shared: working }), company),
          ] as CardQueue[],
        })
      return [
        ...enrolmentHandlers(shared),
        ...topUpHandlers(shared, () => cards?.wake()),
        ...purchaseHandlers(shared),
        ...payoutHandlers(shared),
        ...objectionHandlers(billing, () => cards?.wake()),
        ...payChoiceHandlers(billing),
        ...shopHandlers(shared),
        ...mailHandlers(shared),
        ...webhookHandlers(shared, options.webhooks?.named ?? []),
        ...documentHandlers(shared),
      ]
    },
  })
  const payouts = payoutDesk(shared)
  const working = { ...shared, store: work.store }
  const housekeeping = new Housekeeping({
    shared: working,
    duty: work.duty,
    timeZone: billing.rules.timeZone,
    everyMs: options.housekeepingMs ?? 5_000,
    lapse: payoutDesk(working).lapse,
    close: async () => {
      if (billing.rules.closing === 'by-itself' && isIssuerNamed(shared))
        await closePeriods({ ...billing, shared: working })
    },
  })
  return {
    name: 'settlement',
    handle: (request) => hosted.handle(request),
    takeEvents: (after, limit, device) => hosted.takeEvents(after, limit, device),
    eventsDone: (device, ids) => hosted.eventsDone(device, ids),
    onEvents: (listener) => hosted.onEvents(listener),
    downloads: hosted.downloads,
    wake: () => {
      cards?.wake()
      inStep?.wake()
      webhooks?.wake()
      letters?.wake()
    },
    store: hosted.store,
    counts: hosted.counts,
    enrolment: enrolmentDesk(shared, billing.rules.timeZone),
    cash: cashDesk(shared),
    payouts,
    shopKeys: shopKeyDesk(shared, new ApiKeys(hosted.store, random)),
    documentLink: (id, of) => documentLink(shared, id, of),
    bank: bankDesk(
      shared,
      own,
      debitAnswers(() => billing),
      confirmed,
    ),
    billing: {
      close: () => closePeriods(billing),
      objections: objectionDesk(billing),
      debitFile: async () => debitFile(billing),
      collectValue: async () => collectValue(billing),
      cards: async (limit) => cardsReport(database, limit),
      collectCards: async () => {
        const begun = await collectCards(billing)
        cards?.wake()
        return begun
      },
      payBy: (number, payment) =>
        hosted.store.transaction(async (within) =>
          payBy(billing, within, await memberByNumber(within.sql, number), payment),
        ),
    },
    documents: async (kind, sinceMs = 0, limit = 1000) => listDocuments(database, kind, sinceMs, limit),
    document: async (id) => readDocument(shared, database, id),
    trialBalance: async () => ledgerOf(database).trialBalance(),
    head: (day) =>
      hosted.store.transaction(({ sql, nowMs }) => signHead(sql, ledgerOf(sql), shared.signer, day, nowMs)),
    charge: async (service, request) => charge(shared, service, request),
    audit: async () => audit(database),
    statistics: async (months = 12) => {
      const nowMs = clock.now()
      const { timeZone } = billing.rules
      const report = await monthFigures(database, nowMs, timeZone, months)
      return {
        ...report,
        day: civilDate(nowMs, timeZone),
        shops: await shopFigures(database, startOfDay(`${report.months[0]}-01`, timeZone)),
        days: await dayFigures(database, timeZone),
      }
    },
    journal: (period) => journal(database, period, billing.rules.timeZone),
    operations: async (limit) => operationLog(database, limit),
    cardsIdle: async () => cards?.idle(),
    inStepIdle: async () => inStep?.idle(),
    webhooksIdle: async () => webhooks?.idle(),
    mailsIdle: async () => letters?.idle(),
    mails: () => mailReport(database),
    webhooksOf: async (shop) => shownWebhooks(database, (await memberByNumber(database, shop)).id),
    publicKey: publicOf(keys.signing),
    publicKeys: heldKeys(keys),
    start: async () => {
      await hosted.start()
      cards?.start()
      inStep?.start()
      webhooks?.start()
      letters?.start()
      await housekeeping.start()
    },
    stop: async () => {
      housekeeping.stop()
      await cards?.stop()
      await inStep?.stop()
      await webhooks?.stop()
      await letters?.stop()
      await hosted.stop()
      await options.checks?.close()
    },
  }
}
