/** `azukari-gateway risk` and `hazard push`, and what the doctor looks at: the same figures that choosing uses. */
import { existsSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { type Command, integer, text } from '@azukari/protocol/adapters/command-line'
import { readNamedFile, refuseUtf16 } from '@azukari/protocol/adapters/named-file'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../adapters/database.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import { explainRisk, percent } from '../services/placement/explain.ts'
import { type Format, formats, readBulletin } from '../services/placement/hazards/read.ts'
import { hazardSettings } from '../services/placement/hazards/settings.ts'
import { feedRows } from '../services/placement/hazards/tables.ts'
import { LiveRiskBoard } from '../services/placement/live-risk-board.ts'
import { type RiskReport, riskReport } from '../services/placement/risk-report.ts'
import { servers } from '../services/placement/store.ts'
import { SiteFolder } from '../site-folder.ts'
import type { Check } from './doctor.ts'
import { folder } from './site-options.ts'

const language = (process.env['LANG'] ?? '').startsWith('ja') ? 'ja' : 'en'

export const riskCommands: Record<string, Command> = {
  risk: {
    what: 'Shows what every data server risks now and why, the hazards that count, and how their feeds are doing.',
    options: {
      folder,
      server: { type: 'string', what: 'only this one, with how its risk went' },
      history: { type: 'string', what: 'changes to show with --server', default: '20' },
    },
    async run(values) {
      const path = text(values, 'folder')
      return withBoard(path, async (board, report) => {
        const wanted = values['server']
        if (wanted === undefined) return { json: report, text: table(report) }
        const one = report.servers.find(({ server }) => server === wanted)
        if (!one) throw new Problem('config.invalid', `${wanted} is not a data server of this site`)
        const history = await board.history(one.server, integer(values, 'history', 1, 10_000))
        const lines = history.map(
          ({ atMs, value, reason }) => `${stamp(atMs)}  ${percent(value).padStart(9)}  ${reason}`,
        )
        const { band, value, lines: terms } = explainRisk(await board.of(one.server), language)
        const head = `${one.server} (${one.region}): ${value} a year, ${band}`
        return {
          json: { ...one, history },
          text: [head, ...terms.map((term) => `  ${term}`), '', ...lines].join('\n'),
        }
      })
    },
  },

  'hazard push': {
    what: 'Hands a hazard document (USGS, GDACS, JMA, CAP, track, J-SHIS) to the site; a running placement takes it within seconds.',
    positionals: 'FILE',
    options: {
      folder,
      format: { type: 'string', what: `${Object.keys(formats).join(', ')}; told from the text without it` },
    },
    async run(values, [file]) {
      if (!file) throw new Problem('config.invalid', 'which file?')
      const path = text(values, 'folder')
      if (!existsSync(path)) throw new Problem('config.invalid', `${path} is no site: run azukari-gateway init`)
      const bytes = readNamedFile(file)
      refuseUtf16(file, bytes)
      const format = values['format'] === undefined ? undefined : String(values['format'])
      if (format !== undefined && !(format in formats)) throw new Problem('config.invalid', `format ${format}`)
      const { rules } = hazardSettings(await siteOf(path).hazards())
      const nowMs = systemPorts.clock.now()
      // Judged here first, so that whoever pushes it is told at once.
      const bulletin = readBulletin(bytes, format as Format | undefined, { nowMs, rules })
      if (bulletin.hazards.length + bulletin.cancelled.length === 0 && bulletin.problems[0]) throw bulletin.problems[0]
      await mkdir(`${path}/hazards`, { recursive: true })
      const ending = bytes[0] === 0x7b ? 'json' : 'xml'
      const name = `${path}/hazards/${nowMs}-${Buffer.from(systemPorts.random.bytes(4)).toString('hex')}.${ending}`
      await writeFile(`${name}.new`, bytes)
      await rename(`${name}.new`, name)
      const { hazards, cancelled, problems, passed } = bulletin
      return {
        json: {
          file: name,
          hazards: hazards.map(({ id, peril, title, fromMs, untilMs }) => ({ id, peril, title, fromMs, untilMs })),
          cancelled: cancelled.map(({ id }) => id),
          passed,
          problems: problems.map((problem) => problem.toWire()),
        },
        text: [
          ...hazards.map(({ id, title, untilMs }) =>
            untilMs < nowMs
              ? `${id}: ${title}, over since ${stamp(untilMs)}: it changes nothing`
              : `${id}: ${title}, until ${stamp(untilMs)}`,
          ),
          ...cancelled.map(({ id }) => `${id}: taken back`),
          ...(passed > 0 ? [`${passed} entries are no danger`] : []),
          ...(problems.length > 0 ? [`${problems.length} could not be used:`] : []),
          ...problems.slice(0, 10).map((problem) => `  ${problem.message}`),
          hazards.length + cancelled.length > 0
            ? 'Taken. azukari-gateway risk shows in some seconds what it changes, and whether anything is wrong with it.'
            : 'Nothing in it changes a risk.',
        ].join('\n'),
      }
    },
  },
}

/** For `doctor`: the settings of hazards, and every feed. */
export function hazardChecks(path: string): Check[] {
  return [
    {
      what: 'hazards.json',
      look: async () => {
        const { feeds } = hazardSettings(await siteOf(path).hazards())
        return feeds.length === 0 ? 'no feeds: only what is pushed counts' : `${feeds.length} feeds`
      },
    },
    {
      what: 'hazard feeds',
      look: async () => {
        if (!existsSync(`${path}/placement/placement.db`)) return 'not there yet: made at the first start'
        const { feeds: named } = hazardSettings(await siteOf(path).hazards())
        return withBoard(path, async (_board, { feeds }) => {
          const current = feeds.filter(({ name }) => name === 'operator' || named.some((feed) => feed.name === name))
          const sick = current.find(({ problem }) => problem !== null)
          if (sick) throw new Problem(sick.problem as 'feed.stale', `${sick.name}: ${sick.detail ?? ''}`)
          return `${current.length} are well`
        })
      },
    },
  ]
}

function siteOf(path: string): SiteFolder {
  return new SiteFolder(path, 'site', systemPorts)
}

/** Reads placement's database beside a running placement, and changes nothing. */
async function withBoard<T>(path: string, work: (board: LiveRiskBoard, report: RiskReport) => Promise<T>): Promise<T> {
  const file = `${path}/placement/placement.db`
  if (!existsSync(file)) throw new Problem('config.invalid', `${path} has no placement yet: start the gateway once`)
  const { rules } = hazardSettings(await siteOf(path).hazards())
  const database = openDatabase(file)
  try {
    const found = await database.get<{ n: number }>(
      "SELECT count(*) AS n FROM sqlite_master WHERE name = 'risk_history'",
    )
    if (!found?.n) throw new Problem('config.invalid', 'this placement is of an older release: start the gateway once')
    const store = {
      sql: database,
      transaction: () => {
        throw new Problem('internal', 'a report changes nothing')
      },
    }
    const { clock } = systemPorts
    const silent = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => silent }
    const board = new LiveRiskBoard({ store, clock, log: silent, rules })
    return await work(
      board,
      await riskReport(board, await servers.all(database), await feedRows.all(database), clock.now()),
    )
  } finally {
    await database.close()
  }
}

const quiet = () => undefined

function table(report: RiskReport): string {
  const lines = ['server            region  risk/year  band    since (UTC)       greatest term']
  for (const { server, region, risk, bandName, sinceMs, terms } of [...report.servers].sort((a, b) => a.risk - b.risk))
    lines.push(
      [
        server.padEnd(17),
        region.padEnd(7),
        percent(risk).padStart(9),
        ` ${bandName[language].padEnd(7)}`,
        sinceMs === undefined ? '-'.padEnd(16) : stamp(sinceMs),
        ` ${terms[0]?.[language] ?? ''}`,
      ].join(' '),
    )
  lines.push('', `hazards: ${report.hazards.length}`)
  for (const { id, title, untilMs } of report.hazards.slice(0, 50))
    lines.push(`  ${id}  ${title}  until ${stamp(untilMs)}`)
  lines.push('', 'feeds:')
  for (const { name, ageMs, hazards, problem, detail } of report.feeds)
    lines.push(
      `  ${name.padEnd(16)} ${ageMs === null ? 'never heard' : `heard ${Math.round(ageMs / 1000)} s ago`}, ${hazards} hazards${problem ? `, ${problem}: ${detail ?? ''}` : ''}`,
    )
  return lines.join('\n')
}

function stamp(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}
