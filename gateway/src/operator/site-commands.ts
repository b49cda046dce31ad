/** `azukari-gateway init`, `doctor`, `service`: a site as a whole. */
import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import type { Command } from '@azukari/protocol/adapters/command'
import { text } from '@azukari/protocol/adapters/command-line'
import { answerFiles } from '@azukari/protocol/adapters/service-files'
import { mapInOrder } from '@azukari/protocol/in-order'
import { Problem } from '@azukari/protocol/problem'
import { systemPorts } from '../adapters/system-ports.ts'
import type { ShownSecret } from '../host/service-module.ts'
import { programPath } from '../program.ts'
import { services } from '../services/index.ts'
import { folder, site } from './site-options.ts'
import { siteUnits } from './units.ts'

export const siteCommands: Record<string, Command> = {
  init: {
    what: 'Makes a site: keys, certificates, and what its services need. Prints recovery keys once: keep them away from the site.',
    options: { folder, site },
    async run(values) {
      const path = text(values, 'folder')
      const { SiteFolder, siteKeyFile } = await import('../site-folder.ts')
      const { coseKey, publicOf } = await import('@azukari/protocol/keys')
      const { loadSiteKey } = await import('../site-key.ts')
      const place = new SiteFolder(path, text(values, 'site'), systemPorts)
      const key = await loadSiteKey(systemPorts.files, `${path}/gateway.key`, systemPorts.random)
      await place.write(siteKeyFile, coseKey(publicOf(key)))
      await place.keyring.authority()
      const passphrase = process.env['AZUKARI_PASSPHRASE']
      const made = await mapInOrder(services, async (module) => module.init?.(place, systemPorts, passphrase))
      const secrets = made.flatMap((shown) => shown ?? [])
      const { firstAccount } = await import('../operator-api/first-account.ts')
      const operator = await firstAccount(path, systemPorts)
      const account =
        operator &&
        `First operator (change the password after the first login):\n\n  ${operator.name}\n  ${operator.password}\n`
      const facts = { folder: path, ...(operator && { operator }) }
      if (made.every((shown) => shown === undefined))
        return {
          json: { ...facts, made: false },
          text: `${path} is a site already; ${account ? `it has an operator now.\n${account}` : 'nothing was changed'}`,
        }
      return {
        json: { ...facts, made: true, ...Object.fromEntries(secrets.map(({ key, secret }) => [key, secret])) },
        text: `A site is in ${path}.\n${secrets.map(told).join('')}${account ?? ''}`,
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
      const remote = {
        what: 'operators elsewhere',
        look: async () => {
          const { httpsHost, httpsPort } = configOf(values)
          if (httpsPort < 0) return 'not answered: set httpsPort to let them sign in from other machines'
          const file = `${text(values, 'folder')}/tls/authority.pem`
          if (!existsSync(file)) throw new Problem('config.invalid', `${file} is missing: run azukari-gateway init`)
          const { fingerprint256 } = new X509Certificate(readFileSync(file))
          return `https://${httpsHost}:${httpsPort} (console in a browser there), --site-pin ${fingerprint256}`
        },
      }
      const ofServices = await mapInOrder(services, async (module) => module.checks?.(text(values, 'folder')) ?? [])
      const findings = await examine(
        [
          settings,
          remote,
          ...checks,
          ...storeChecks(
            text(values, 'folder'),
            services.flatMap(({ databases }) => databases),
          ),
          ...ofServices.flat(),
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

function told({ what, secret }: ShownSecret): string {
  return `${what} (print it, keep it away from here):\n\n  ${grouped(secret)}\n\n`
}

function grouped(secret: string): string {
  return (secret.match(/.{1,8}/g) ?? []).join(' ')
}
