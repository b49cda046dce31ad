/** `azukari-gateway audit …` and `servers …`: how data is cared for, and an operator's word about servers (S11, S12). */

import { writeFileSync } from 'node:fs'
import { type Command, integer, text } from '@azukari/protocol/adapters/command-line'
import { flatMapInOrder } from '@azukari/protocol/in-order'
import { Problem } from '@azukari/protocol/problem'
import { openVerdict } from '@azukari/protocol/verdict'
import { systemPorts } from '../adapters/system-ports.ts'
import { auditNow } from '../services/placement/care/care.ts'
import { decodePicture, differingRegions, drawRegions, encodePng } from '../services/placement/care/picture.ts'
import { auditReport, auditText, verdictLine, verdictText } from '../services/placement/care/report.ts'
import { showDifference } from '../services/placement/care/show.ts'
import { suspects, verdicts } from '../services/placement/care/store.ts'
import { replicas, servers } from '../services/placement/store.ts'
import { withPlacement, withService } from './placement-access.ts'
import { folder, site } from './site-options.ts'

const reason = { type: 'string', what: 'why, for whoever reads it later', required: true } as const

export const careCommands: Record<string, Command> = {
  audit: {
    what: 'Shows how far audits are, what is to be examined, and the latest verdicts. Exit 1 while a verdict is being dealt with or a server is shut off.',
    options: { folder, limit: { type: 'string', what: 'how many verdicts and suspects to list', default: '20' } },
    async run(values) {
      const limit = integer(values, 'limit', 0, 10_000)
      const report = await withPlacement(values, (database) => auditReport(database, systemPorts.clock.now(), limit))
      const open = report.verdicts.some((row) => row.open > 0) || report.suspects.count > 0
      return { json: report, text: auditText(report), exit: open ? 1 : 0 }
    },
  },

  'audit start': {
    what: 'Begins every round now, or examines one object; a running placement takes it up within a minute.',
    positionals: '[OBJECT]',
    options: {
      folder,
      server: { type: 'string', what: 'only this server' },
      whole: { type: 'boolean', what: 'open and compare every object anew, too' },
    },
    async run(values, [object]) {
      const nowMs = systemPorts.clock.now()
      const server = values['server'] === undefined ? undefined : String(values['server'])
      if (object !== undefined && !/^[0-9a-f]{32}$/.test(object))
        throw new Problem('config.invalid', 'which object? 32 hex digits')
      const begun = await withPlacement(values, (database) =>
        database.transaction(async (sql) => {
          if (server !== undefined && !(await servers.byId(sql, server)))
            throw new Problem('config.invalid', `no server ${server}`)
          if (object === undefined) {
            await auditNow(sql, nowMs, values['whole'] === true, server)
            return { rounds: true, replicas: 0 }
          }
          const id = new Uint8Array(Buffer.from(object, 'hex'))
          const rows = await sql.all<{ version: number }>('SELECT version FROM saves WHERE object = ?', id)
          const found = await flatMapInOrder(rows, ({ version }) => replicas.of(sql, id, version))
          if (found.length === 0) throw new Problem('object.unknown', object)
          for (const { version, slot, server: at, sealed: bytes } of found)
            await suspects.add(sql, { object: id, version, slot, server: at, met: 'listed', since: nowMs, bytes })
          return { rounds: false, replicas: found.length }
        }),
      )
      return {
        json: begun,
        text: begun.rounds ? 'Every round begins now' : `${begun.replicas} replicas are to be examined`,
      }
    },
  },

  'audit show': {
    what: 'Shows one verdict with its evidence checked, where the bytes differ, and for a picture the differing regions drawn on it.',
    positionals: 'VERDICT',
    options: { folder, site, png: { type: 'string', what: 'file for the picture with the differing regions' } },
    async run(values, [number]) {
      const id = Number(number)
      if (!Number.isSafeInteger(id) || id < 1) throw new Problem('config.invalid', 'which verdict? its number')
      return withService(values, async (placement) => {
        const { sql } = placement.store
        const row = await verdicts.byId(sql, id)
        if (!row) throw new Problem('object.unknown', `verdict ${id}`)
        const { evidence, ...said } = openVerdict(row.signed, placement.replace.keys.own)
        const line = await verdictLine(sql, row)
        const json = {
          ...line,
          signed: Buffer.from(row.signed).toString('hex'),
          because: said.because,
          evidence: Object.keys(evidence),
        }
        if (line.differs === null) return { json, text: `${verdictText(line)}\nsigned by placement` }
        const shown = await showDifference(placement.replace, id, AbortSignal.timeout(120_000))
        const good = await decodePicture(shown.good)
        const changed = good && (await decodePicture(shown.changed))
        const regions = good && changed ? differingRegions(good, changed) : undefined
        const file = values['png'] === undefined ? undefined : String(values['png'])
        if (file !== undefined) {
          if (!good || !regions) throw new Problem('object.not-printable', 'it cannot be shown as a picture')
          writeFileSync(file, encodePng(drawRegions(good, regions)))
        }
        const lines = [
          verdictText(line),
          'signed by placement',
          ...shown.ranges.slice(0, 50).map(([from, to]) => `  bytes ${from} to ${to - 1}`),
          ...(shown.ranges.length > 50 ? [`  and ${shown.ranges.length - 50} more ranges`] : []),
          ...(regions ?? []).map(({ x, y, toX, toY }) => `  picture: ${toX - x} × ${toY - y} pixels at ${x}, ${y}`),
          ...(file === undefined ? [] : [`drawn on ${file}`]),
        ]
        return { json: { ...json, ranges: shown.ranges, regions: regions ?? null }, text: lines.join('\n') }
      })
    },
  },

  servers: {
    what: 'Lists data servers: state, how often somebody else answered in their name, how far audits are. Exit 1 when one is shut off.',
    options: { folder },
    async run(values) {
      const { servers: rows } = await withPlacement(values, (database) =>
        auditReport(database, systemPorts.clock.now(), 0),
      )
      const lines = rows.map(
        ({ server, state, impostors, replicas: count }) =>
          `${server.padEnd(16)} ${state.padEnd(9)} ${count} replicas${impostors > 0 ? `, ${impostors} times an impostor` : ''}`,
      )
      return { json: rows, text: lines.join('\n'), exit: rows.some(({ state }) => state === 'contained') ? 1 : 0 }
    },
  },

  'servers contain': {
    what: 'Shuts a server off: nothing is read or written there, and what it holds is made anew elsewhere from the other copies.',
    positionals: 'ID',
    options: { folder, site, reason },
    async run(values, [id]) {
      if (!id) throw new Problem('config.invalid', 'which server?')
      await withService(values, async (placement) => placement.containServer(id, text(values, 'reason')))
      return { json: { server: id, state: 'contained' }, text: `${id} is shut off` }
    },
  },

  'servers release': {
    what: 'Lets a server back in that was shut off, once it has been examined.',
    positionals: 'ID',
    options: { folder, site, reason },
    async run(values, [id]) {
      if (!id) throw new Problem('config.invalid', 'which server?')
      await withService(values, async (placement) => placement.releaseServer(id, text(values, 'reason')))
      return { json: { server: id, state: 'open' }, text: `${id} is in use again` }
    },
  },
}
