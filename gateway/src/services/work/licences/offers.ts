/** What operators do with apps and licences (W8–W10). */
import type { AppShown, LicenceShown } from '@azukari/protocol/contracts/work-licences'
import { Problem } from '@azukari/protocol/problem'
import type { WorkContext } from '../work-context.ts'
import { apps, licences, type ShownRow } from './store.ts'

export interface Offer {
  app: string
  title: string
  vendor: string | undefined
  feeMinor: number
  by: string
}

export class Licences {
  readonly #shared: WorkContext

  constructor(shared: WorkContext) {
    this.#shared = shared
  }

  /** @throws {Problem} `licence.app-known`, `command.invalid` for a fee of no vendor */
  async offer({ app, title, vendor, feeMinor, by }: Offer): Promise<void> {
    const { store, settings } = this.#shared
    if (feeMinor > 0 && vendor === undefined)
      throw new Problem('command.invalid', 'a fee needs a vendor who is paid it: --vendor')
    await store.transaction(async ({ sql, nowMs }) => {
      if (await apps.get(sql, app)) throw new Problem('licence.app-known', app)
      const { currency } = settings
      await apps.add(sql, {
        id: app,
        title,
        vendor: vendor ?? null,
        fee_minor: feeMinor,
        currency,
        made_by: by,
        at_ms: nowMs,
      })
    })
  }

  async apps(): Promise<AppShown[]> {
    return (await apps.all(this.#shared.store.sql)).map((row) => {
      const { id: app, title, vendor, fee_minor: feeMinor, currency, enrolled, supplied } = row
      const shown: AppShown = { app, title, feeMinor, currency, enrolled, supplied }
      if (vendor !== null) shown.vendor = vendor
      return shown
    })
  }

  async list(): Promise<LicenceShown[]> {
    return (await licences.all(this.#shared.store.sql)).map(licenceShown)
  }

  /** @throws {Problem} `licence.unknown` */
  async revoke(app: string, device: string): Promise<LicenceShown> {
    const { changes } = await this.#shared.store.transaction(({ sql }) => licences.revoke(sql, app, device))
    const shown = (await this.list()).find((one) => one.app === app && one.device === device)
    if (changes === 0 || !shown) throw new Problem('licence.unknown', `${app} at ${device}`)
    return shown
  }
}

function licenceShown({
  app,
  device,
  name,
  contact,
  is_revoked,
  at_ms,
  supplied_ms,
  until_ms,
}: ShownRow): LicenceShown {
  const shown: LicenceShown = { app, device, name, contact, isRevoked: is_revoked === 1, enrolledMs: at_ms }
  if (supplied_ms !== null) shown.suppliedMs = supplied_ms
  if (until_ms !== null) shown.untilMs = until_ms
  return shown
}
