/** `azukari-gateway risk` and `hazard push`: the same figures that choosing uses (S5). */
import { integer } from '@azukari/protocol/adapters/command-line'
import { refuseUtf16 } from '@azukari/protocol/adapters/named-file'
import { Problem } from '@azukari/protocol/problem'
import { folder, site } from '../../../operator/site-options.ts'
import { type Format, formats, readBulletin } from '../hazards/read.ts'
import { operatorFeed } from '../hazards/settings.ts'
import { explainRisk, type Language, percent } from '../risk/explain.ts'
import type { RiskReport } from '../risk/report.ts'
import type { PlacementCommands } from './context.ts'

export const riskCommands: PlacementCommands = {
  risk: {
    what: 'Shows what every data server risks now and why, the hazards that count, and how their feeds are doing.',
    role: 'placement',
    offline: true,
    options: {
      folder,
      site,
      server: { type: 'string', what: 'only this one, with how its risk went' },
      history: { type: 'string', what: 'changes to show with --server', default: '20' },
    },
    async carryOut({ service: placement }, { language }, values) {
      const report = await placement.riskReport()
      const wanted = values['server']
      if (wanted === undefined) return { json: report, text: table(report, language) }
      const one = report.servers.find(({ server }) => server === wanted)
      if (!one) throw new Problem('config.invalid', `${wanted} is not a data server of this site`)
      const history = await placement.risks.history(one.server, integer(values, 'history', 1, 10_000))
      const lines = history.map(({ atMs, value, reason }) => `${stamp(atMs)}  ${percent(value).padStart(9)}  ${reason}`)
      const { band, value, lines: terms } = explainRisk(await placement.risks.of(one.server), language)
      const head = `${one.server} (${one.region}): ${value} a year, ${band}`
      return {
        json: { ...one, history },
        text: [head, ...terms.map((term) => `  ${term}`), '', ...lines].join('\n'),
      }
    },
  },

  'hazard push': {
    what: 'Hands a hazard document (USGS, GDACS, JMA, CAP, track, J-SHIS) to the site, which takes it at once.',
    role: 'placement',
    positionals: 'FILE',
    filesIn: ['FILE'],
    options: {
      folder,
      site,
      format: { type: 'string', what: `${Object.keys(formats).join(', ')}; told from the text without it` },
    },
    async carryOut({ service: placement, folder: place, ports }, act, values) {
      const { path, bytes } = act.file('FILE')
      refuseUtf16(path, bytes)
      const format = values['format'] === undefined ? undefined : String(values['format'])
      if (format !== undefined && !Object.hasOwn(formats, format))
        throw new Problem('config.invalid', `format ${format}`)
      const nowMs = ports.clock.now()
      // Judged first: what is of no use is not kept.
      const { rules } = placement.risks
      const bulletin = readBulletin(bytes, format as Format | undefined, { nowMs, rules })
      const { hazards, cancelled, problems, passed } = bulletin
      if (hazards.length + cancelled.length === 0 && problems[0]) throw problems[0]
      const ending = bytes[0] === 0x7b ? 'json' : 'xml'
      const name = `hazards/${nowMs}-${Buffer.from(ports.random.bytes(4)).toString('hex')}.${ending}`
      await place.write(name, bytes)
      await placement.hazards.look(operatorFeed)
      const lines = [
        ...hazards.map(({ id, title, untilMs }) =>
          untilMs < nowMs
            ? `${id}: ${title}, over since ${stamp(untilMs)}: it changes nothing`
            : `${id}: ${title}, until ${stamp(untilMs)}`,
        ),
        ...cancelled.map(({ id }) => `${id}: taken back`),
      ]
      if (passed > 0) lines.push(`${passed} entries are no danger`)
      if (problems.length > 0) lines.push(`${problems.length} could not be used:`)
      lines.push(...problems.slice(0, 10).map((problem) => `  ${problem.message}`))
      lines.push(
        hazards.length + cancelled.length > 0
          ? 'Taken. azukari-gateway risk shows what it changes, and whether anything is wrong with it.'
          : 'Nothing in it changes a risk.',
      )
      return {
        json: {
          file: `${place.path}/${name}`,
          hazards: hazards.map(({ id, peril, title, fromMs, untilMs }) => ({ id, peril, title, fromMs, untilMs })),
          cancelled: cancelled.map(({ id }) => id),
          passed,
          problems: problems.map((problem) => problem.toWire()),
        },
        text: lines.join('\n'),
      }
    },
  },
}

function table(report: RiskReport, language: Language): string {
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
