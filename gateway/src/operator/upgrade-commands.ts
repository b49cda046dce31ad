/** `azukari-gateway launch` and `upgrade …`: the gateway upgrades itself, and goes back when the new version does not work (D6). */
import { existsSync } from 'node:fs'
import type { Command, Values } from '@azukari/protocol/adapters/command'
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { launchProcess } from '@azukari/protocol/adapters/launch-process'
import { parseCoseKey } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { folderBundle, stage } from '@azukari/protocol/upgrade/bundle'
import { openUpgrade } from '@azukari/protocol/upgrade/manifest'
import type { SlotName, Slots } from '@azukari/protocol/upgrade/slots'
import { Stores } from '../adapters/stores.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import { apartOf, configOptions, type GatewayConfig } from '../config.ts'
import { consoleLog } from '../log.ts'
import { SiteFolder } from '../site-folder.ts'
import { checkRoom } from '../upgrade/copies.ts'
import { checkSchemaOfBefore, gatewayCopies, gatewaySlots, siteDatabases } from '../upgrade/main.ts'
import { folder, site } from './site-options.ts'

export interface UpgradeProgramFacts {
  /** The version of this program. */
  own: string
  /** Path of its script. */
  program: string
  /** The gateway's settings of a call. @throws {Problem} `config.invalid` */
  configOf: (values: Values) => GatewayConfig
}

export function upgradeCommands({ own, program, configOf }: UpgradeProgramFacts): Record<string, Command> {
  return {
    launch: {
      what: 'Runs the gateway from the slot of its newest confirmed upgrade, tries new ones, and goes back when one does not work. For a gateway with its services inside.',
      options: {
        folder,
        ...configOptions(),
        'health-minutes': {
          type: 'string',
          what: 'how long a new version has to open everything and show that it works',
          default: '30',
        },
      },
      async run(values) {
        const path = text(values, 'folder')
        const config = configOf(values)
        if (Object.keys(apartOf(config)).length > 0)
          throw new Problem('config.invalid', 'with services in processes of their own the package is replaced instead')
        requireFiles(path)
        const log = consoleLog('launcher', config.log)
        const stop = new AbortController()
        const end = () => stop.abort()
        process.once('SIGINT', end).once('SIGTERM', end)
        await launchProcess(
          {
            store: gatewaySlots(path),
            releaseKey: () => releaseKeyOf(path, 'site'),
            data: gatewayCopies(path, log),
            builtIn: program,
            words: ['run', '--folder', path, ...wordsOf(values)],
            healthMs: integer(values, 'health-minutes', 1, 24 * 60) * 60_000,
            log,
          },
          stop.signal,
        )
        return undefined
      },
    },

    'upgrade install': {
      what: 'Puts a signed release of the gateway into the slot that does not run. A gateway that azukari-gateway launch started tries it at once.',
      options: {
        folder,
        site,
        from: {
          type: 'string',
          what: 'folder that azukari-gateway release pack made: manifest.cose, files/',
          required: true,
        },
      },
      async run(values) {
        const path = text(values, 'folder')
        requireFiles(path)
        const releaseKey = await releaseKeyOf(path, text(values, 'site'))
        if (!releaseKey)
          throw new Problem('config.invalid', `${path} has no release.pub: run azukari-gateway release key`)
        const store = gatewaySlots(path)
        const slots = await store.read()
        const source = folderBundle(systemFiles(), text(values, 'from'))
        const { files } = openUpgrade(await source.manifest(), releaseKey, 'gateway')
        const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
        await checkRoom({ files: systemFiles(), folder: path, databases: siteDatabases }, bytes)
        const installed = { site: text(values, 'site'), version: versionOf(slots, slots.active) ?? own }
        const release = await stage({ store, source, installed, releaseKey })
        if ((await store.read()).attempt?.phase === 'staged') await store.step({ kind: 'activate' })
        return {
          json: { installed: release.version, sequence: release.sequence },
          text: `${release.version} will be tried; see azukari-gateway upgrade status`,
        }
      },
    },

    'upgrade status': {
      what: 'Shows which version of the gateway runs, what is being tried, and what became of the last upgrade.',
      options: { folder },
      async run(values) {
        const slots = await gatewaySlots(text(values, 'folder')).read()
        const { active, attempt, last, floor } = slots
        const confirmed = versionOf(slots, active) ?? own
        const before = previousOf(slots, own)
        const json = {
          confirmed,
          slot: active ?? 'built-in',
          before: before ?? null,
          floor,
          attempt: attempt
            ? { version: attempt.release.version, phase: attempt.phase, tries: attempt.tries, slot: attempt.slot }
            : null,
          last: last ?? null,
        }
        const lines = [
          `confirmed: ${confirmed} (${active ? `slot ${active}` : 'as installed'})`,
          `before it: ${before ?? 'none'}`,
          attempt
            ? `under way: ${attempt.release.version}, ${attempt.phase}${attempt.tries > 0 ? `, start ${attempt.tries}` : ''}`
            : 'under way: nothing',
          ...(last ? [`last: ${last.version} ${last.outcome}${last.why ? ` (${last.why})` : ''}`] : []),
        ]
        return { json, text: lines.join('\n') }
      },
    },

    'upgrade back': {
      what: 'Takes an upgrade back: one that is not tried yet is dropped; from a confirmed one the gateway goes to the version before, when that knows the databases.',
      options: { folder },
      async run(values) {
        const path = text(values, 'folder')
        const store = gatewaySlots(path)
        const { attempt } = await store.read()
        if (attempt) {
          await store.step({ kind: 'abandon' })
          return { json: { dropped: attempt.release.version }, text: `${attempt.release.version} is dropped` }
        }
        const slots = await store.read()
        const before = previousOf(slots, own)
        if (before === undefined) throw new Problem('upgrade.busy', 'there is no version before this one')
        await checkSchemaOfBefore(path, consoleLog('upgrade'))
        await store.step({ kind: 'back' })
        return { json: { confirmed: before }, text: `${before} will run` }
      },
    },
  }
}

/** The site's key for releases. */
async function releaseKeyOf(path: string, name: string) {
  const key = existsSync(`${path}/release.pub`) && (await new SiteFolder(path, name, systemPorts).read('release.pub'))
  return key ? parseCoseKey(key) : undefined
}

function versionOf({ held }: Slots, slot: SlotName | undefined): string | undefined {
  return slot && held[slot]?.version
}

/** The version that `upgrade back` would go to: the other slot's, else the one that was installed with the launcher. */
function previousOf(slots: Slots, own: string): string | undefined {
  if (!slots.active) return undefined
  return versionOf(slots, slots.active === 'a' ? 'b' : 'a') ?? own
}

/** Options of the gateway as they were given; those from the environment are inherited. */
function wordsOf(values: Values): string[] {
  return Object.entries(configOptions()).flatMap(([name, { type }]) => {
    const value = values[name]
    if (type === 'boolean') return value === true ? [`--${name}`] : []
    return typeof value === 'string' ? [`--${name}=${value}`] : []
  })
}

/** A trial that failed is undone by putting copies of files back. @throws {Problem} `config.invalid` with PostgreSQL */
function requireFiles(folder: string): void {
  if (Stores.of(folder).engine === 'postgres')
    throw new Problem(
      'config.invalid',
      'with services on PostgreSQL the package is replaced instead: stop the gateway, pg_dump, replace, start',
    )
}
