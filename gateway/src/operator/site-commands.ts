/** `azukari-gateway init`, `doctor`, `service`: a site as a whole. */

import type { Command } from '@azukari/protocol/adapters/command'
import { text } from '@azukari/protocol/adapters/command-line'
import { answerFiles } from '@azukari/protocol/adapters/service-files'
import { systemPorts } from '../adapters/system-ports.ts'
import { programPath } from '../program.ts'
import { services } from '../services/index.ts'
import { folder, site } from './site-options.ts'
import { siteUnits } from './units.ts'

export const siteCommands: Record<string, Command> = {
  init: {
    what: 'Makes a site: keys, certificates and placement’s keystore. Prints the recovery key once: keep it away from the site.',
    options: { folder, site },
    async run(values) {
      const path = text(values, 'folder')
      const { SiteFolder, siteKeyFile } = await import('../site-folder.ts')
      const { coseKey, publicOf } = await import('@azukari/protocol/keys')
      const { loadSiteKey } = await import('../site-key.ts')
      const { initPlacement } = await import('../services/placement/main.ts')
      const place = new SiteFolder(path, text(values, 'site'), systemPorts)
      const key = await loadSiteKey(systemPorts.files, `${path}/gateway.key`, systemPorts.random)
      await place.write(siteKeyFile, coseKey(publicOf(key)))
      await place.keyring.authority()
      const made = await initPlacement(place, systemPorts, process.env['AZUKARI_PASSPHRASE'])
      const { firstAccount } = await import('../operator-api/first-account.ts')
      const operator = await firstAccount(path, systemPorts)
      const account =
        operator &&
        `First operator (change the password after the first login):\n\n  ${operator.name}\n  ${operator.password}\n`
      const facts = { folder: path, ...(operator && { operator }) }
      if (!made)
        return {
          json: { ...facts, made: false },
          text: `${path} is a site already; ${account ? `it has an operator now.\n${account}` : 'nothing was changed'}`,
        }
      return {
        json: { ...facts, made: true, recoveryKey: made.recoverySecret },
        text: `A site is in ${path}.\nRecovery key (print it, keep it away from here):\n\n  ${grouped(made.recoverySecret)}\n\n${account ?? ''}`,
      }
    },
  },

  doctor: {
    what: 'Looks at a site and says what is wrong and what to do. Exit 1 when something is.',
    options: { folder },
    async run(values) {
      const { openDatabase } = await import('../adapters/database.ts')
      const { siteDatabases } = await import('../upgrade/main.ts')
      const { storeChecks } = await import('./store-checks.ts')
      const { configOf } = await import('./call-settings.ts')
      const { examine, siteChecks } = await import('./doctor.ts')
      const { hazardChecks } = await import('./hazard-checks.ts')
      const { settlementChecks } = await import('./settlement/checks.ts')
      const parts = {
        files: ['gateway.key', ...services.flatMap(({ files = [] }) => files)],
        databases: siteDatabases,
      }
      const checks = siteChecks(text(values, 'folder'), parts, systemPorts, (path) => {
        const database = openDatabase(path)
        const integrity = async () => String(Object.values((await database.get('PRAGMA quick_check')) ?? {})[0])
        return { integrity, close: () => database.close() }
      })
      const settings = {
        what: 'settings',
        look: async () => `${Object.keys(configOf(values)).length} settings are sound`,
      }
      const findings = await examine(
        [
          settings,
          ...checks,
          ...storeChecks(
            text(values, 'folder'),
            services.flatMap(({ databases }) => databases),
          ),
          ...hazardChecks(text(values, 'folder')),
          ...settlementChecks(text(values, 'folder')),
        ],
        process.env['LANG']?.startsWith('ja') ? 'ja' : 'en',
      )
      const lines = findings.map(
        ({ what, ok, detail, todo }) =>
          `${ok ? ' ok ' : 'BAD '} ${what.padEnd(24)} ${detail}${todo ? `\n     → ${todo}` : ''}`,
      )
      const ok = findings.every((finding) => finding.ok)
      return { json: { ok, findings }, text: lines.join('\n'), exit: ok ? 0 : 1 }
    },
  },

  service: {
    what: 'Shows the systemd units of a site and its journal limits; --out / installs them.',
    options: {
      folder: { ...folder, default: '/var/lib/azukari' },
      site,
      apart: { type: 'boolean', what: `${services.map(({ name }) => name).join(' and ')} as processes of their own` },
      node: { type: 'string', what: 'absolute path of Node; else the one that runs this' },
      out: { type: 'string', what: 'folder below which the files are written' },
    },
    async run(values) {
      const files = siteUnits({
        node: values['node'] === undefined ? process.execPath : text(values, 'node'),
        program: programPath(),
        site: text(values, 'site'),
        folder: text(values, 'folder'),
        apart: values['apart'] === true,
      })
      return answerFiles(files, values['out'] === undefined ? undefined : text(values, 'out'))
    },
  },
}

function grouped(secret: string): string {
  return (secret.match(/.{1,8}/g) ?? []).join(' ')
}
