/** The app server and the licence server (W8–W10): a registered device enrols for an app, then its lease is renewed while it runs. */
import { base32 } from '@azukari/protocol/base32'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { enrolForApp, renewLicence } from '@azukari/protocol/contracts/work-licences'
import { sign1 } from '@azukari/protocol/cose'
import { type Lease, leaseDomain } from '@azukari/protocol/licence'
import { Problem } from '@azukari/protocol/problem'
import type { Handler } from '../../../service/service.ts'
import { call } from '../../../service/service.ts'
import { sha256 } from '../blobs/store.ts'
import { bookLicence } from '../bookings/model.ts'
import { deviceKeys, devices } from '../devices/store.ts'
import type { LicenceRow } from '../tables.ts'
import type { WorkContext } from '../work-context.ts'
import { apps, licences, users } from './store.ts'

export function licenceHandlers(shared: WorkContext): Handler[] {
  const { store, random } = shared
  return [
    call(enrolForApp, ({ app, name, contact }, { caller }) => {
      const [id, key] = [random.bytes(16), base32(random.bytes(10))]
      return store.transaction(async ({ sql, nowMs }) => {
        const { device } = caller
        const offered = await apps.get(sql, app)
        if (!offered) throw new Problem('licence.app-unknown', app)
        if (!(await devices.get(sql, device))) throw new Problem('work.unregistered')
        await users.put(sql, { app, device, name, contact, at_ms: nowMs })
        const held = await licences.of(sql, app, device)
        if (held?.is_revoked === 1) throw new Problem('licence.revoked')
        const code = codeOf(key)
        if (held) await licences.setCode(sql, held.id, code)
        else
          await licences.add(sql, {
            id,
            app,
            device,
            code,
            is_revoked: 0,
            at_ms: nowMs,
            supplied_ms: null,
            until_ms: null,
          })
        return { title: offered.title, key }
      })
    }),
    call(renewLicence, ({ key, kid }, { caller }) => renew(shared, { key, kid, device: caller.device })),
  ]
}

async function renew(
  shared: WorkContext,
  { key, kid, device }: { key: string; kid: Uint8Array; device: string },
): Promise<{ lease: Uint8Array }> {
  const { store, settings, signer } = shared
  const lease = await store.transaction(async ({ sql, nowMs }): Promise<Lease> => {
    const licence = await licences.byCode(sql, codeOf(key))
    if (!licence) throw new Problem('licence.unknown')
    if (licence.device !== device) throw new Problem('licence.other-device')
    if (licence.is_revoked === 1) throw new Problem('licence.revoked')
    const own = await deviceKeys.get(sql, kid)
    if (own?.device !== device) throw new Problem('work.unregistered')
    const expiresMs = nowMs + settings.licenceMs
    const after: LicenceRow = { ...licence, supplied_ms: licence.supplied_ms ?? nowMs, until_ms: expiresMs }
    await licences.setLease(sql, after)
    if (licence.supplied_ms === null) await bookLicence(sql, licence, (await apps.get(sql, licence.app))!, nowMs)
    return {
      contract: renewLicence.id,
      licence: licence.id,
      app: licence.app,
      device,
      key: own.key,
      issuedMs: nowMs,
      expiresMs,
    }
  })
  shared.wake()
  return { lease: sign1(encodeDeterministic(lease), signer, leaseDomain) }
}

const codeOf = (key: string): Uint8Array => sha256(new TextEncoder().encode(key))
