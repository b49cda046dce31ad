/** What `azukari-sim` can do. Heavy parts are loaded by the command that needs them. */

import { existsSync } from 'node:fs'
import { systemClock } from '@azukari/protocol/adapters/clock'
import type { Command } from '@azukari/protocol/adapters/command'
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { Problem } from '@azukari/protocol/problem'
import type { Check } from './site/checks.ts'
import type { DemoOptions } from './site/demo.ts'
import { quietLog } from './testkit/log.ts'
import { progress } from './testkit/progress-line.ts'

const ports = () => ({ clock: systemClock, random: systemRandom, files: systemFiles() })

export const commands: Record<string, Command> = {
  site: {
    what: 'Runs a simulated site with a page on loopback: press the shutter, move the card, print, watch where the data goes.',
    options: {
      folder: {
        type: 'string',
        what: 'where the site is kept; it goes on where it stopped',
        default: './azukari-data',
      },
      port: { type: 'string', what: 'port of the page', default: '8470' },
      photos: { type: 'string', what: 'folder of photos for the camera in place of drawn scenes' },
    },
    async run(values) {
      const { runSite } = await import('./site/start.ts')
      const photos = values['photos']
      await runSite({
        folder: text(values, 'folder'),
        port: integer(values, 'port', 0, 65_535),
        ...(photos ? { photos: String(photos) } : {}),
      })
      return undefined
    },
  },

  verdicts: {
    what: 'Injects faults of every kind into the storage of data servers and holds the audits’ verdicts against what was really done.',
    options: {
      faults: { type: 'string', what: 'how many', default: '10000' },
      seed: { type: 'string', what: 'everything follows from it', default: '1' },
    },
    async run(values) {
      const { campaign } = await import('./simulation/verdicts.ts')
      const report = await campaign({
        seed: integer(values, 'seed', 0, 2 ** 31),
        faults: integer(values, 'faults', 1, 1_000_000),
        tell: (line) => console.error(line),
      })
      const lines = Object.entries(report.kinds).map(([kind, { done, said }]) => {
        const verdicts = Object.entries(said).map(([verdict, count]) => `${verdict} ${count}`)
        return `${kind.padEnd(28)} ${String(done).padStart(6)}  ${verdicts.join(', ')}`
      })
      lines.push(
        `${'somebody else answers'.padEnd(28)} ${String(report.impostors.done).padStart(6)}  impostor ${report.impostors.found}`,
        '',
        `${report.faults} faults in ${report.simulatedHours} simulated hours: ${report.wrong.length} judged wrongly, ${report.falseAccusations} falsely called tampering, ${report.unrepaired} not repaired`,
        ...report.wrong.slice(0, 20),
      )
      const ok = report.wrong.length === 0
      return { json: { ok, ...report, wrong: report.wrong.slice(0, 100) }, text: lines.join('\n'), exit: ok ? 0 : 1 }
    },
  },

  demo: {
    what: 'Does the first whole way once, without a page, and checks it: photos are kept in two places and printed.',
    options: {
      photos: { type: 'string', what: 'folder of photos (JPEG); drawn scenes without it' },
      scenes: { type: 'string', what: 'scenes to draw when there are no photos', default: '3' },
      folder: { type: 'string', what: 'where the site and the pages go; a new folder by default' },
      board: {
        type: 'string',
        what: 'simulated, or hil: real protocol stacks (npm run hil:setup)',
        default: 'simulated',
      },
    },
    async run(values) {
      const { photos, folder, board } = values
      if (board === 'hil') {
        const tell = (line: string) => console.error(line)
        return judged(await hilDemo({ ...(folder ? { folder: String(folder) } : {}), log: quietLog, tell }))
      }
      if (board !== 'simulated') throw new Problem('config.invalid', '--board is one of simulated, hil')
      const { runDemo } = await import('./site/demo.ts')
      const report = await runDemo({
        ...(photos ? { photos: String(photos) } : {}),
        ...(folder ? { folder: String(folder) } : {}),
        scenes: integer(values, 'scenes', 1, 100),
        log: quietLog,
        tell: (line) => console.error(line),
      })
      return judged(report)
    },
  },

  'demo placement': {
    what: 'Disasters on a running site, checked: risks follow hazards, data leaves before they arrive, cards are told, tampering and impostors are found.',
    options: { folder: { type: 'string', what: 'where the site goes; a new folder by default' } },
    async run(values) {
      const { runPlacementDemo } = await import('./demo/placement/demo.ts')
      const { folder } = values
      const report = await runPlacementDemo({
        ...(folder ? { folder: String(folder) } : {}),
        log: quietLog,
        tell: (line) => console.error(line),
      })
      return judged(report)
    },
  },

  'demo content': {
    what: 'A provider’s photo and song reach members at two sites and a player; a data server dies; both ledgers add up.',
    options: { folder: { type: 'string', what: 'where the site goes, a new or empty folder; a new one by default' } },
    async run(values) {
      const { runContentDemo } = await import('./demo/content/demo.ts')
      const { folder } = values
      const options = { log: quietLog, tell: (line: string) => console.error(line) }
      return judged(await runContentDemo(folder ? { ...options, folder: String(folder) } : options))
    },
  },

  'demo settlement': {
    what: 'Enrol, top up four ways, buy, deliver, pay out, bill, object, debit, receipt on the card; with every document.',
    options: { folder: { type: 'string', what: 'where the site and the documents go; a new folder by default' } },
    async run(values) {
      const { runSettlementDemo } = await import('./demo/settlement/demo.ts')
      const { folder } = values
      const report = await runSettlementDemo({
        ...(folder ? { folder: String(folder) } : {}),
        log: quietLog,
        tell: (line) => console.error(line),
      })
      const failed = report.checks.filter((check) => !check.ok)
      const lines = [
        ...report.checks.map(
          (check) => `${check.ok ? '✓' : '✗'} ${check.id.padEnd(4)} ${check.what}  [${check.figure}]`,
        ),
        ...report.documents.map(({ what, path }) => `  ${what}: ${path}`),
        ...report.trialBalance.map(
          ({ currency, debits, credits, difference }) =>
            `  trial balance ${currency}: ${debits} − ${credits} = ${difference}`,
        ),
        '',
        failed.length === 0
          ? `All ${report.checks.length} checks are ok. Documents: ${report.folder}/documents`
          : `${failed.length} of ${report.checks.length} checks are not ok. Site: ${report.folder}`,
      ]
      return { json: report, text: lines.join('\n'), exit: failed.length === 0 ? 0 : 1 }
    },
  },

  run: {
    what: 'The whole-system simulation: sites with people and faults, from seeds; each must keep what was promised.',
    options: {
      seeds: { type: 'string', what: 'how many; 100 when no --seed is given' },
      seed: { type: 'string', what: 'the first; alone, without --seeds, this one is replayed with its story' },
      hours: { type: 'string', what: 'simulated hours with faults, per seed; 1.2 when not given' },
      devices: { type: 'string', what: 'boards of a site', default: '5' },
      wire: { type: 'boolean', what: 'over the real MQTT client and broker, on streams in memory' },
      log: { type: 'boolean', what: 'with --seed: the whole story' },
    },
    async run(values) {
      const { replay, run, summary } = await import('./simulation/command.ts')
      const hours = values['hours'] === undefined ? undefined : integer(values, 'hours', 1, 10_000)
      const devices = integer(values, 'devices', 1, 200)
      const wire = values['wire'] === true
      const first = values['seed'] === undefined ? 1 : integer(values, 'seed', 0, 0xffffffff)
      if (values['log'] || (values['seed'] !== undefined && values['seeds'] === undefined)) {
        const { report, message } = await replay({ seed: first, hours, devices, wire }, (line) => {
          if (values['log'] || !values['json']) console.error(line)
        })
        return { json: report, text: message, exit: report.failed.length === 0 ? 0 : 1 }
      }
      const seeds = values['seeds'] === undefined ? 100 : integer(values, 'seeds', 1, 10_000_000)
      const tell = progress('seeds', seeds)
      let failed = 0
      const report = await run({
        seeds,
        first,
        hours,
        devices,
        wire,
        onSeed: ({ failure }, done) => {
          if (failure) console.error(`\r${failure.message}`)
          if (failure) failed++
          tell(done, failed)
        },
      })
      const { failures: _, ...json } = report
      return { json, text: summary(report), exit: report.failed.length === 0 ? 0 : 1 }
    },
  },

  centres: {
    what: 'Two centres of settlement that fight for the leadership through partitions, crashes and late messages, from seeds.',
    options: {
      seeds: { type: 'string', what: 'how many', default: '100' },
      seed: { type: 'string', what: 'the first', default: '1' },
      seconds: { type: 'string', what: 'simulated seconds, per seed', default: '80' },
    },
    async run(values) {
      const { centresSummary, runCentres } = await import('./simulation/settlement/centres/command.ts')
      const seeds = integer(values, 'seeds', 1, 10_000_000)
      const tell = progress('seeds', seeds)
      let failed = 0
      const report = await runCentres({
        seeds,
        first: integer(values, 'seed', 0, 0xffffffff),
        seconds: integer(values, 'seconds', 1, 100_000),
        onSeed: ({ seed, violations }, done) => {
          if (violations.length > 0) console.error(`\rseed ${seed}: ${violations.join('; ')}`)
          if (violations.length > 0) failed++
          tell(done, failed)
        },
      })
      return { json: report, text: centresSummary(report), exit: report.failed.length === 0 ? 0 : 1 }
    },
  },

  drill: {
    what: 'Replays a history of hazards against a site with many members: what moved when, and what would have been lost.',
    options: {
      feed: {
        type: 'string',
        what: 'hazard document, or folder of them: USGS, GDACS, JMA, CAP, tracks',
        required: true,
      },
      speed: { type: 'string', what: 'simulated seconds per second; 0: as fast as it goes', default: '0' },
      members: { type: 'string', what: 'how many', default: '60' },
      objects: { type: 'string', what: 'that each of them keeps', default: '3' },
      seed: { type: 'string', what: 'of chance', default: '1' },
      report: { type: 'string', what: 'file for the report in JSON' },
      png: { type: 'string', what: 'file for the picture; drawn by chromium, or plain when it ends in .svg' },
      page: { type: 'string', what: 'file for the page: one HTML with the map and a slider over time' },
    },
    async run(values) {
      const { drill, writeDrill } = await import('./demo/drill/drill.ts')
      const { drillText } = await import('./demo/drill/report.ts')
      const report = await drill({
        feed: text(values, 'feed'),
        speed: integer(values, 'speed', 0, 1_000_000_000),
        members: integer(values, 'members', 1, 2_000),
        objectsPerMember: integer(values, 'objects', 1, 100),
        seed: integer(values, 'seed', 0, 0xffffffff),
        tell: (line) => console.error(line),
      })
      const { report: json, png, page } = values
      await writeDrill(report, {
        ...(json ? { json: String(json) } : {}),
        ...(png ? { png: String(png) } : {}),
        ...(page ? { page: String(page) } : {}),
      })
      return { json: report, text: drillText(report) }
    },
  },

  'card issue': {
    what: 'Personalises a virtual card and writes it to a file, with the record that registers its member (FILE.json).',
    options: {
      kind: { type: 'string', what: 'ed25519, p256 or rsa', default: 'ed25519' },
      name: { type: 'string', what: 'the member’s name', required: true },
      level: { type: 'string', what: '0 to 3', default: '1' },
      home: { type: 'string', what: 'home region: ISO 3166-2, such as JP-13', required: true },
      pin: { type: 'string', what: '4 to 12 digits', required: true },
      location: {
        type: 'boolean',
        what: 'the member has said that places of pictures may be kept; else they say so at a terminal',
      },
      'provider-key': { type: 'string', what: 'placement’s public COSE_Key in hex; or give --folder' },
      folder: { type: 'string', what: 'folder of the site whose placement may write the card' },
      out: { type: 'string', what: 'file of the card', required: true },
    },
    async run(values) {
      const { cardIssue } = await import('./site/card/issue.ts')
      const { writeFile } = await import('node:fs/promises')
      const providerKey = values['provider-key']
        ? String(values['provider-key'])
        : await providerKeyOf(text(values, 'folder'))
      const out = text(values, 'out')
      const { puk, record } = await cardIssue(
        {
          kind: text(values, 'kind'),
          name: text(values, 'name'),
          level: text(values, 'level'),
          home: text(values, 'home'),
          pin: text(values, 'pin'),
          location: values['location'] === true,
          providerKey,
          out,
        },
        ports(),
      )
      await writeFile(`${out}.json`, `${JSON.stringify(record, null, 2)}\n`)
      return {
        json: { file: out, registration: `${out}.json`, puk, record },
        text: `The card is ${out}.\nRegister its member: azukari-gateway member add ${out}.json\nPUK, told only now: ${puk}`,
      }
    },
  },

  'card insert': {
    what: 'Puts a virtual card into a virtual PC/SC reader (vsmartcard-vpcd), until told to stop: then it is out.',
    positionals: 'FILE',
    options: {
      host: { type: 'string', what: 'where pcscd with the virtual reader runs', default: '127.0.0.1' },
      port: { type: 'string', what: 'of its slot', default: '35963' },
    },
    async run(values, [file]) {
      if (!file) throw new Problem('config.invalid', 'which card file?')
      const { insertCard } = await import('./site/card/insert.ts')
      const to = { host: text(values, 'host'), port: integer(values, 'port', 1, 65_535) }
      const card = await insertCard(file, to, ports())
      process.stdout.write(`${JSON.stringify({ inserted: file })}\n`)
      await Promise.race([stopAsked(), card.out])
      card.remove()
      return undefined
    },
  },

  'card show': {
    what: 'Shows what is on a virtual card, as a reader sees it.',
    positionals: 'FILE',
    options: {},
    async run(_values, [file]) {
      if (!file) throw new Problem('config.invalid', 'which card file?')
      const { cardShow } = await import('./site/card/issue.ts')
      const shown = await cardShow(file, ports())
      return { json: shown, text: JSON.stringify(shown, null, 2) }
    },
  },
}

/** The first signal to stop. */
function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}

async function providerKeyOf(folder: string): Promise<string> {
  const { SiteFolder } = await import('@azukari/gateway/site-folder')
  const { key } = await new SiteFolder(folder, 'site', ports()).publicKeys('placement')
  return Buffer.from(key).toString('hex')
}

/**
 * Hardware in the loop comes with the sources only: it wants every part's library. Its module is named where a bundler
 * or the packing of this package does not follow.
 */
async function hilDemo(options: DemoOptions): Promise<{ checks: Check[]; folder: string }> {
  const module = new URL('./hil/demo.ts', import.meta.url)
  if (!existsSync(module))
    throw new Problem('config.invalid', '--board hil is for the source tree, after npm run hil:setup')
  return (await import(module.href)).runHilDemo(options)
}

/** A demo's answer: each check with its figure; one that is not ok makes it fail. */
function judged(report: { checks: readonly Check[]; folder: string }) {
  const failed = report.checks.filter((check) => !check.ok)
  const lines = report.checks.map(
    (check) => `${check.ok ? '✓' : '✗'} ${check.id.padEnd(4)} ${check.what}  [${check.figure}]`,
  )
  lines.push(
    '',
    failed.length === 0
      ? `All ${report.checks.length} checks are ok. Pages and logs: ${report.folder}`
      : `${failed.length} of ${report.checks.length} checks are not ok. Logs: ${report.folder}`,
  )
  return { json: report, text: lines.join('\n'), exit: failed.length === 0 ? 0 : 1 }
}
