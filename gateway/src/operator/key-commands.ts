/** `azukari-gateway key …`: the site's key directory, and replacing a service's keys (decision 14). */

import type { Values } from '@azukari/protocol/adapters/command'
import { integer } from '@azukari/protocol/adapters/command-line'
import { type DirectoryKey, overlapMs } from '@azukari/protocol/key-directory'
import { Problem } from '@azukari/protocol/problem'
import { kidOf } from '../key-directory/model.ts'
import { heldVersions } from '../key-directory/store.ts'
import type { Act, OperatorCommand, SiteAccess } from '../operator-api/roles.ts'
import { Devices } from '../registry/devices.ts'
import { folder, site } from './site-options.ts'

export const keyCommands: Record<string, OperatorCommand> = {
  'key list': {
    what: 'Lists the public keys of the site’s services and data servers, with the times in which they count, and who does not know them yet.',
    role: 'admin',
    options: { folder, site },
    async carryOut({ site }) {
      const { issuer } = keysOf(site)
      const { version, issuedMs, expiresMs, keys } = issuer.directory
      const behind = await whoIsBehind(site, version)
      const facts = keys.map((row) => ({ ...row, key: undefined, kid: kidOf(row) }))
      const lines = keys.map(
        (row) => `${row.holder.padEnd(24)} ${row.use.padEnd(5)} ${kidOf(row).slice(0, 16)}  ${timesOf(row)}`,
      )
      const text = [
        `key directory ${version}, made ${day(issuedMs)}, good until ${day(expiresMs)}`,
        ...lines,
        behindText(behind),
      ].join('\n')
      return { json: { version, issuedMs, expiresMs, keys: facts, behind }, text }
    },
  },

  'key rotate': {
    what: 'Replaces the keys of a service. Devices, services and data servers learn it by themselves; the former keys are taken for 90 days more.',
    role: 'admin',
    positionals: 'SERVICE',
    options: {
      folder,
      site,
      lead: {
        type: 'string',
        what: 'seconds until the new keys are used: who is connected knows them by then',
        default: '60',
      },
    },
    async carryOut({ site }: Act, values: Values, [service]) {
      if (!service) throw new Problem('config.invalid', 'which service?')
      const leadMs = integer(values, 'lead', 1, 30 * 86_400) * 1_000
      const { version, keys } = await keysOf(site).issuer.rotate(service, leadMs)
      const fromMs = Math.max(...keys.filter(({ holder }) => holder === service).map((row) => row.fromMs))
      const behind = await whoIsBehind(site, version)
      return {
        json: { service, version, fromMs, takenUntilMs: fromMs + overlapMs, behind },
        text: [
          `${service} has new keys, used from ${new Date(fromMs).toISOString()} on.`,
          `What was made for the former ones is taken until ${day(fromMs + overlapMs)}.`,
          behindText(behind),
        ].join('\n'),
      }
    },
  },

  'key revoke': {
    what: 'Says that a former key of a service counts for nothing from a time on, because somebody else may have it. For good; two people.',
    role: 'admin',
    twoPeople: true,
    positionals: 'SERVICE KEY',
    options: {
      folder,
      site,
      from: {
        type: 'string',
        what: 'what it signed from this time on is refused, such as 2026-11-30T09:00Z; else from now on. 0: whatever it signed',
      },
    },
    async carryOut({ site }: Act, values: Values, [service, kid]) {
      if (!service || !kid)
        throw new Problem('config.invalid', 'which key? key revoke SERVICE KEY, as key list shows it')
      const fromMs = timeOf(values['from'], site.ports.clock.now())
      const { version } = await keysOf(site).issuer.revoke(service, kid, fromMs)
      const behind = await whoIsBehind(site, version)
      const text = `The key ${kid} of ${service} counts for nothing from ${day(fromMs)} on.\n${behindText(behind)}`
      return { json: { service, kid, version, revokedMs: fromMs, behind }, text }
    },
  },
}

/** @throws {Problem} `config.invalid` */
function timeOf(given: Values[string], nowMs: number): number {
  if (given === undefined) return nowMs
  const ms = given === '0' ? 0 : Date.parse(String(given))
  if (!Number.isSafeInteger(ms) || ms < 0 || ms > nowMs)
    throw new Problem('config.invalid', `--from ${given}: it must be a time until now, such as 2026-11-30T09:00Z, or 0`)
  return ms
}

interface Behind {
  devices: string[]
  dataServers: string[]
}

function keysOf({ keys }: SiteAccess): NonNullable<SiteAccess['keys']> {
  if (!keys) throw new Problem('service.unavailable', 'the key directory is not there')
  return keys
}

/** Devices and data servers that have not said that they hold this version. */
async function whoIsBehind(site: SiteAccess, version: number): Promise<Behind> {
  const held = await heldVersions(site.registry)
  const devices = (await new Devices(site.registry).overview()).filter(
    ({ id, revoked }) => !revoked && (held.get(id) ?? 0) < version,
  )
  return { devices: devices.map(({ id }) => id), dataServers: await keysOf(site).behind() }
}

function behindText({ devices, dataServers }: Behind): string {
  const parts = [
    devices.length > 0 ? `${devices.length} devices (${some(devices)})` : '',
    dataServers.length > 0 ? `data servers ${some(dataServers)}` : '',
  ].filter((part) => part !== '')
  return parts.length === 0 ? 'Everybody knows these keys.' : `Not known yet to ${parts.join(' and ')}.`
}

const some = (ids: readonly string[]) => ids.slice(0, 5).join(', ') + (ids.length > 5 ? ', …' : '')

function timesOf(row: DirectoryKey): string {
  return row.revokedMs === undefined ? windowOf(row) : `${windowOf(row)}, REVOKED from ${day(row.revokedMs)}`
}

function windowOf({ fromMs, untilMs, takenUntilMs }: DirectoryKey): string {
  const from = fromMs === 0 ? 'since the beginning' : `from ${day(fromMs)}`
  if (untilMs === undefined) return from
  const taken = takenUntilMs === undefined ? '' : `, taken until ${day(takenUntilMs)}`
  return `${from} until ${day(untilMs)}${taken}`
}

function day(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
