/** A site's `settlement.json`: who issues statements, our bank account, the card company, the tariff, the calendar. */
import { checker, type Static, Type } from '@azukari/protocol/contract'
import { BankAccount } from '@azukari/protocol/contracts/settlement-members'
import { CurrencyCode } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import { MailSettings } from '../../mail/settings.ts'

const minor = Type.Integer({ minimum: 0, maximum: 100_000_000 })
const centreUrl = Type.String({ pattern: '^https://', maxLength: 200 })
const permille = Type.Integer({ minimum: 0, maximum: 1_000 })

export const SettlementSettings = Type.Object(
  {
    issuer: Type.Optional(
      Type.Object({
        name: Type.String({ minLength: 1, maxLength: 100 }),
        invoiceNumber: Type.String({ pattern: '^T\\d{13}$' }),
      }),
    ),
    terms: Type.Optional(Type.String({ maxLength: 32 })),
    conditions: Type.Optional(
      Type.Object({
        ja: Type.String({ minLength: 1, maxLength: 20_000 }),
        en: Type.String({ minLength: 1, maxLength: 20_000 }),
      }),
    ),
    /** A TrueType font for the pages, absolute or from the site's folder. */
    font: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
    currencies: Type.Optional(Type.Array(CurrencyCode, { minItems: 1, maxItems: 7 })),
    own: Type.Optional(Type.Object({ account: BankAccount, requester: Type.String({ pattern: '^\\d{10}$' }) })),
    cardCompany: Type.Optional(
      Type.Object({
        url: Type.String({ pattern: '^(https://|http://(127\\.0\\.0\\.1|localhost)[:/])', maxLength: 200 }),
        key: Type.String({ maxLength: 200 }),
      }),
    ),
    /** By which members are written to when there is news, if they want it. */
    mail: Type.Optional(MailSettings),
    webhooks: Type.Optional(
      Type.Object({
        /** `host:port` that shops may name for their events though it is not a public address. */
        hosts: Type.Array(Type.String({ pattern: '^[A-Za-z0-9.:\\[\\]-]+:\\d{1,5}$', maxLength: 260 }), {
          maxItems: 64,
        }),
      }),
    ),
    centre: Type.Optional(
      Type.Object({
        /** `https://host:port` of each centre and of the three witnesses. */
        primary: centreUrl,
        backup: centreUrl,
        witnesses: Type.Array(centreUrl, { minItems: 3, maxItems: 3 }),
      }),
    ),
    billing: Type.Optional(
      Type.Object({
        timeZone: Type.Optional(Type.String({ maxLength: 64 })),
        firstPeriod: Type.Optional(Type.Union([Type.Literal('days'), Type.Literal('whole'), Type.Literal('free')])),
        objectDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 90 })),
        debitBankDays: Type.Optional(Type.Integer({ minimum: 0, maximum: 30 })),
        againDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 90 })),
        authoriseDays: Type.Optional(Type.Integer({ minimum: 0, maximum: 7 })),
        maxTries: Type.Optional(Type.Integer({ minimum: 1, maximum: 12 })),
        closing: Type.Optional(Type.Union([Type.Literal('by-itself'), Type.Literal('by-command')])),
        checkDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 366 })),
        checkWaitDays: Type.Optional(Type.Integer({ minimum: 0, maximum: 14 })),
        format: Type.Optional(Type.Union([Type.Literal('zengin'), Type.Literal('pain.008')])),
        tariff: Type.Optional(
          Type.Object({
            baseMinor: Type.Array(minor, { minItems: 1, maxItems: 10 }),
            includedBytes: Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1, maxItems: 10 }),
            perGibMinor: minor,
            perYearPermille: permille,
            yearsPermilleMost: permille,
            perTamperingPermille: permille,
            tamperingPermilleMost: permille,
            rounding: Type.Union([Type.Literal('down'), Type.Literal('up'), Type.Literal('half-up')]),
          }),
        ),
      }),
    ),
  },
  { additionalProperties: false },
)
export type SettlementSettings = Static<typeof SettlementSettings>

const check = checker(SettlementSettings, 'settlement.json')

/** @param bytes of the file; undefined when there is none @throws {Problem} `config.invalid` */
export function settlementSettings(bytes: Uint8Array | undefined): SettlementSettings {
  if (!bytes) return {}
  try {
    const settings = check(JSON.parse(new TextDecoder().decode(bytes)))
    const zone = settings.billing?.timeZone
    if (zone) new Intl.DateTimeFormat('en', { timeZone: zone })
    return settings
  } catch (cause) {
    throw new Problem('config.invalid', `settlement.json: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}
