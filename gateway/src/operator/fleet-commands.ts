/** `azukari-gateway release …`, `job …`, `device state`, `device set`: a fleet looked after from the site (D6). */

import type { Values } from '@azukari/protocol/adapters/command'
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { signCardRelease } from '@azukari/protocol/card/program'
import type { JobKind, SettingValues } from '@azukari/protocol/contracts/fleet'
import { signerOf } from '@azukari/protocol/cose'
import { mapInOrder } from '@azukari/protocol/in-order'
import { coseKey, parseCoseKey, publicOf } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { type UpgradeProgram, upgradeName } from '@azukari/protocol/upgrade/manifest'
import { systemPorts } from '../adapters/system-ports.ts'
import { cardResults } from '../fleet/card-data.ts'
import { cancelJob, diagnosticsOf, type Job, listJobs, newJob, showJob } from '../fleet/jobs.ts'
import { Releases } from '../fleet/releases.ts'
import { desire, stateOf } from '../fleet/states.ts'
import type { AnyCommand } from '../operator-api/roles.ts'
import { Devices } from '../registry/devices.ts'
import { SiteFolder } from '../site-folder.ts'
import { loadSiteKey } from '../site-key.ts'
import { folder, site } from './site-options.ts'

const programs: readonly UpgradeProgram[] = ['device', 'gateway']
/** Devices are given what lies in theirs and nothing else. */
const releaseFolders: Record<UpgradeProgram, string> = { device: 'releases', gateway: 'gateway-releases' }
const kinds: readonly JobKind[] = ['configuration', 'diagnostics', 'upgrade', 'rotation', 'card-data']

export const fleetCommands: Record<string, AnyCommand> = {
  'release key': {
    what: 'Makes the key that signs releases, once; devices learn its public half when they enrol after that.',
    options: { folder, site },
    async run(values) {
      const place = new SiteFolder(text(values, 'folder'), text(values, 'site'), systemPorts)
      const known = await place.read('release.pub')
      const key =
        known ??
        coseKey(publicOf(await loadSiteKey(systemPorts.files, `${place.path}/release.key`, systemPorts.random)))
      if (!known) await place.write('release.pub', key)
      const hex = Buffer.from(key).toString('hex')
      return {
        json: { releaseKey: hex },
        text: `${hex}\nThe private half is ${place.path}/release.key; keep it elsewhere.`,
      }
    },
  },

  'release pack': {
    what: 'Signs the files of a folder as a release that devices, or the gateway, can be upgraded to.',
    options: {
      folder,
      site,
      from: { type: 'string', what: 'folder of the runtime’s files', required: true },
      version: { type: 'string', what: 'its version, as its own package.json has it', required: true },
      sequence: { type: 'string', what: 'its place in the order of releases; must rise', required: true },
      'min-runtime': { type: 'string', what: 'the oldest version that it can be installed over', default: '0.1.0' },
      entry: { type: 'string', what: 'the script that Node starts', default: 'src/cli.js' },
      program: { type: 'string', what: 'device or gateway: what it is a release of', default: 'device' },
      key: { type: 'string', what: 'file of the release key; else release.key of the folder' },
    },
    async run(values) {
      const program = programs.find((one) => one === values['program'])
      if (!program) throw new Problem('config.invalid', `--program is one of ${programs.join(', ')}`)
      const place = new SiteFolder(text(values, 'folder'), text(values, 'site'), systemPorts)
      const key = await keyOf(place, values['key'])
      const release = await new Releases(systemPorts.files, `${place.path}/${releaseFolders[program]}`).pack(
        text(values, 'from'),
        {
          site: text(values, 'site'),
          version: text(values, 'version'),
          sequence: integer(values, 'sequence', 1, Number.MAX_SAFE_INTEGER),
          minRuntime: text(values, 'min-runtime'),
          entry: text(values, 'entry'),
        },
        key,
        program,
      )
      const name = Buffer.from(release.name).toString('hex')
      return { json: { version: release.version, name }, text: `release ${release.version} (${name})` }
    },
  },

  'release card': {
    what: 'Signs data for the program of the cards: which kinds of messages the key for acts no longer signs.',
    options: {
      folder,
      site,
      number: { type: 'string', what: 'its place in their order; a card never goes back', required: true },
      retire: { type: 'string', what: 'a domain such as azukari/pay-instruction/1; may be repeated', multiple: true },
      key: { type: 'string', what: 'file of the release key; else release.key of the folder' },
    },
    async run(values) {
      const place = new SiteFolder(text(values, 'folder'), text(values, 'site'), systemPorts)
      const key = await keyOf(place, values['key'])
      const number = integer(values, 'number', 1, 0xffff_ffff)
      const program = { number, retired: (values['retire'] as string[] | undefined) ?? [] }
      const signed = signCardRelease(text(values, 'site'), program, signerOf(key))
      const name = `card-${number}`
      await new Releases(systemPorts.files, `${place.path}/releases`).keep(name, signed)
      return {
        json: { release: name, name: Buffer.from(upgradeName(signed)).toString('hex'), ...program },
        text: `${name}: ${program.retired.length} domains are retired; job new --kind card-data --release ${name}`,
      }
    },
  },

  'card list': {
    what: 'Shows what has become of data for cards, the latest first, by the thumbprints of their keys.',
    role: 'fleet',
    options: { folder, site },
    async carryOut({ site: { registry: database } }) {
      const cards = await cardResults(database)
      return {
        json: cards,
        text:
          cards
            .map(({ card, number, outcome, code }) =>
              [card.slice(0, 16), number, outcome, code ?? ''].join('  ').trim(),
            )
            .join('\n') || 'no card has been given any data',
      }
    },
  },

  'device state': {
    what: 'Shows the settings desired of a device and those that it reports, with their versions.',
    role: 'fleet',
    positionals: 'ID',
    options: { folder, site },
    async carryOut({ site: { registry: database } }, _values, [id]) {
      const state = await stateOf(database, await deviceOf(new Devices(database), id))
      return { json: state, text: JSON.stringify(state, null, 2) }
    },
  },

  'device set': {
    what: 'Changes settings desired of a device, KEY=VALUE each; without a value the device’s own counts again.',
    role: 'fleet',
    positionals: 'ID KEY=VALUE …',
    options: {
      folder,
      site,
      'if-version': { type: 'string', what: 'only when the desired state still has this version' },
    },
    async carryOut({ site: { registry: database } }, values, [id, ...changes]) {
      const device = await deviceOf(new Devices(database), id)
      const expected =
        values['if-version'] === undefined ? undefined : integer(values, 'if-version', 0, Number.MAX_SAFE_INTEGER)
      const version = await database.transaction((sql) => desire(sql, device, settingsOf(changes), expected))
      return { json: { device, version }, text: `${device}: version ${version} is desired` }
    },
  },

  'job new': {
    what: 'Begins a job over many devices: a configuration, a diagnostics report, an upgrade, new keys, data for cards.',
    role: 'fleet',
    options: {
      folder,
      site,
      kind: { type: 'string', what: kinds.join(', '), required: true },
      set: { type: 'string', what: 'KEY=VALUE of a configuration; may be repeated', multiple: true },
      release: { type: 'string', what: 'version of an upgrade; card-N of data for cards' },
      device: {
        type: 'string',
        what: 'a device; may be repeated. All that are not shut out when absent',
        multiple: true,
      },
      'per-minute': { type: 'string', what: 'devices that may begin within a minute', default: '10' },
      'abort-percent': {
        type: 'string',
        what: 'the job ends when so many of those that ended have failed',
        default: '20',
      },
      'abort-after': { type: 'string', what: 'but not before so many have failed', default: '3' },
      'timeout-minutes': { type: 'string', what: 'how long a device has', default: '30' },
      retries: { type: 'string', what: 'how often a device tries again what may pass', default: '2' },
    },
    async carryOut({ site: { registry: database, folder: place, ports } }, values) {
      const kind = kinds.find((one) => one === values['kind'])
      if (!kind) throw new Problem('config.invalid', `--kind is one of ${kinds.join(', ')}`)
      const release =
        values['release'] === undefined
          ? undefined
          : await new Releases(ports.files, `${place}/releases`).named(text(values, 'release'))
      const registry = new Devices(database)
      const named = values['device'] as string[] | undefined
      const devices =
        (named && (await mapInOrder(named, (id) => deviceOf(registry, id)))) ??
        (await registry.list()).filter(({ revokedMs }) => revokedMs === undefined).map(({ id }) => id)
      const id = ports.random.bytes(16)
      const job = {
        id,
        kind,
        devices,
        release: release?.name,
        settings: kind === 'configuration' ? settingsOf((values['set'] as string[] | undefined) ?? []) : undefined,
        perMinute: integer(values, 'per-minute', 1, 100_000),
        abortPercent: integer(values, 'abort-percent', 1, 100),
        abortAfter: integer(values, 'abort-after', 1, 100_000),
        timeoutMs: integer(values, 'timeout-minutes', 1, 7 * 24 * 60) * 60_000,
        retries: integer(values, 'retries', 0, 20),
      }
      await database.transaction((sql) => newJob(sql, job, ports.clock.now()))
      const name = Buffer.from(id).toString('hex')
      return { json: { job: name, devices: devices.length }, text: `job ${name} for ${devices.length} devices` }
    },
  },

  'job list': {
    what: 'Lists the jobs, the newest first.',
    role: 'fleet',
    options: { folder, site },
    async carryOut({ site: { registry: database } }) {
      const jobs = (await listJobs(database)).map(forPeople)
      return {
        json: jobs,
        text:
          jobs.map(({ job, kind, state, created }) => `${job}  ${kind}  ${state}  ${created}`).join('\n') ||
          'no jobs yet',
      }
    },
  },

  'job show': {
    what: 'Shows what has become of a job on each device, and the reports of diagnostics.',
    role: 'fleet',
    positionals: 'JOB',
    options: { folder, site },
    async carryOut({ site: { registry: database } }, _values, [id]) {
      const { job, parts } = await showJob(database, jobId(id))
      const reports = await diagnosticsOf(database, job.id)
      const lines = parts.map(({ device, state, attempt, code, detail }) =>
        [device, state, `attempt ${attempt}`, code, detail].filter(Boolean).join('  '),
      )
      return {
        json: { ...forPeople(job), devices: parts, ...(reports.length > 0 && { reports }) },
        text: [`${job.kind}: ${job.state}`, ...lines].join('\n'),
      }
    },
  },

  'job cancel': {
    what: 'Ends a job: what devices have begun may end, nothing else begins.',
    role: 'fleet',
    positionals: 'JOB',
    options: { folder, site },
    async carryOut({ site: { registry: database } }, _values, [id]) {
      await database.transaction((sql) => cancelJob(sql, jobId(id)))
      return { json: { cancelled: id }, text: `${id} is cancelled` }
    },
  },
}

function forPeople({ id, release, createdMs, ...job }: Job) {
  return {
    job: Buffer.from(id).toString('hex'),
    ...job,
    ...(release && { release: Buffer.from(release).toString('hex') }),
    created: new Date(createdMs).toISOString(),
  }
}

async function keyOf(place: SiteFolder, path: Values[string]) {
  const key = path === undefined ? await place.readKey('release.key') : parseCoseKey(await bytesOf(String(path)))
  if (!key)
    throw new Problem(
      'config.invalid',
      `${place.path} has no release.key: run azukari-gateway release key, or give --key`,
    )
  return key
}

async function bytesOf(path: string): Promise<Uint8Array> {
  const file = await systemPorts.files.open(path, 'read')
  try {
    return await file.read(0, 4096)
  } finally {
    await file.close()
  }
}

async function deviceOf(devices: Devices, id: string | undefined): Promise<string> {
  if (!id) throw new Problem('config.invalid', 'which device?')
  return (await devices.require(id)).id
}

function jobId(id: string | undefined): Uint8Array {
  if (!id || !/^[0-9a-f]{32}$/.test(id))
    throw new Problem('config.invalid', 'which job? Its id has 32 hexadecimal digits')
  return new Uint8Array(Buffer.from(id, 'hex'))
}

/** `report.minutes=5`: numbers, true and false are themselves, all else is text. */
function settingsOf(words: readonly string[]): SettingValues {
  if (words.length === 0) throw new Problem('config.invalid', 'which settings? KEY=VALUE')
  return Object.fromEntries(
    words.map((word) => {
      const cut = word.indexOf('=')
      if (cut < 1) throw new Problem('config.invalid', `${word}: it must be KEY=VALUE`)
      const value = word.slice(cut + 1)
      const plain = value === '' ? null : value === 'true' ? true : value === 'false' ? false : value
      const number = typeof plain === 'string' && /^-?[0-9]{1,15}(\.[0-9]{1,6})?$/.test(plain)
      return [word.slice(0, cut), number ? Number(plain) : plain]
    }),
  )
}
