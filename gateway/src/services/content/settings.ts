/** A site's `content.json`: what a request costs, and who shares the fees. Absent, everything but the content's own price is free. */
import { checker, type Static, Type } from '@azukari/protocol/contract'
import { TaxRate } from '@azukari/protocol/contracts/settlement-purchase'
import { type Currency, CurrencyCode } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import type { Ratios } from './split.ts'

const permille = Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000 }))
const Shares = Type.Object(
  { storage: permille, origin: permille, search: permille, ledger: permille },
  { additionalProperties: false },
)

export const ContentSettingsFile = Type.Object(
  {
    currency: Type.Optional(CurrencyCode),
    /** C8: what one request costs, in the smallest unit of the currency. */
    serviceMinor: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
    /** The rate of the consumption tax that prices contain, per cent. */
    tax: Type.Optional(TaxRate),
    /** C9: thousandths of each fee for those that took part. */
    shares: Type.Optional(
      Type.Object({ service: Type.Optional(Shares), content: Type.Optional(Shares) }, { additionalProperties: false }),
    ),
    /** Member numbers of who runs each data server, by its id; the site runs the others. */
    operators: Type.Optional(
      Type.Record(Type.String({ pattern: '^[a-z0-9-]{1,32}$' }), Type.String({ pattern: '^\\d{14}$' })),
    ),
  },
  { additionalProperties: false },
)

export interface ContentSettings {
  currency: Currency
  serviceMinor: number
  tax: TaxRate
  permille: { service: Ratios['permille']; content: Ratios['permille'] }
  operators: Readonly<Record<string, string>>
}

const check = checker(ContentSettingsFile, 'content.json')

/** @throws {Problem} `config.invalid` naming what does not fit */
export function contentSettings(bytes: Uint8Array | undefined): ContentSettings {
  try {
    const {
      currency = 'JPY',
      serviceMinor = 0,
      tax = 10,
      shares = {},
      operators = {},
    } = bytes ? check(JSON.parse(new TextDecoder().decode(bytes))) : {}
    const ratios = { service: ratiosOf(shares.service, 'service'), content: ratiosOf(shares.content, 'content') }
    return { currency, serviceMinor, tax, permille: ratios, operators }
  } catch (cause) {
    throw new Problem('config.invalid', `content.json: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

/** @throws {Problem} `config.invalid` for more than the whole */
function ratiosOf(given: Static<typeof Shares> = {}, name: string): Ratios['permille'] {
  const { storage = 0, origin = 0, search = 0, ledger = 0 } = given
  if (storage + origin + search + ledger > 1_000)
    throw new Problem('config.invalid', `the shares of the ${name} fee are more than 1,000 thousandths`)
  return { storage, origin, search, ledger }
}
