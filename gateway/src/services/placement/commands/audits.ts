/** `azukari-gateway audit …` and `servers …`: how data is cared for, and an operator's word about servers (S11, S12). */
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { flatMapInOrder, mapInOrder } from '@azukari/protocol/in-order'
import { Problem } from '@azukari/protocol/problem'
import { openVerdict } from '@azukari/protocol/verdict'
import { folder, site } from '../../../operator/site-options.ts'
import { auditNow } from '../audit/audit.ts'
import { decodePicture, differingRegions, drawRegions, encodePng } from '../audit/picture.ts'
import { auditReport, auditText, verdictLine, verdictText } from '../audit/report.ts'
import { showDifference } from '../audit/show.ts'
import { suspects, verdicts } from '../audit/store.ts'
import { leftOn } from '../moves/leaving.ts'
import { replicas, servers } from '../store.ts'
import type { PlacementCommands } from './context.ts'

const reason = { type: 'string', what: 'why, for whoever reads it later', required: true } as const

export const auditCommands: PlacementCommands = {
  audit: {
    what: 'Shows how far audits are, what is to be examined, and the latest verdicts. Exit 1 while a verdict is being dealt with or a server is shut off.',
    role: 'placement',
    offline: true,
    options: { folder, site, limit: { type: 'string', what: 'how many verdicts and suspects to list', default: '20' } },
    async carryOut({ service: { store }, ports: { clock } }, _act, values) {
      const report = await auditReport(store.sql, clock.now(), integer(values, 'limit', 0, 10_000))
      const open = report.verdicts.some((row) => row.open > 0) || report.suspects.count > 0
      return { json: report, text: auditText(report), exit: open ? 1 : 0 }
    },
  },

  'audit start': {
    what: 'Begins every round now, or examines one object.',
    role: 'placement',
    positionals: '[OBJECT]',
    options: {
      folder,
      site,
      server: { type: 'string', what: 'only this server' },
      whole: { type: 'boolean', what: 'open and compare every object anew, too' },
    },
    async carryOut({ service: placement, ports: { clock } }, _act, values, [object]) {
      const nowMs = clock.now()
      const server = values['server'] === undefined ? undefined : String(values['server'])
      if (object !== undefined && !/^[0-9a-f]{32}$/.test(object))
        throw new Problem('config.invalid', 'which object? 32 hex digits')
      const begun = await placement.store.transaction(async ({ sql }) => {
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
      })
      placement.audits.wake()
      return {
        json: begun,
        text: begun.rounds ? 'Every round begins now' : `${begun.replicas} replicas are to be examined`,
      }
    },
  },

  'audit show': {
    what: 'Shows one verdict with its evidence checked, where the bytes differ, and for a picture the differing regions drawn on it.',
    role: 'placement',
    positionals: 'VERDICT',
    options: { folder, site, png: { type: 'string', what: 'file for the picture with the differing regions' } },
    filesOut: ['png'],
    async carryOut({ service: placement }, act, values, [number]) {
      const id = Number(number)
      if (!Number.isSafeInteger(id) || id < 1) throw new Problem('config.invalid', 'which verdict? its number')
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
      const limit = AbortSignal.any([act.signal, AbortSignal.timeout(120_000)])
      const shown = await showDifference(placement.replace, id, limit)
      const good = await decodePicture(shown.good)
      const changed = good && (await decodePicture(shown.changed))
      const regions = good && changed ? differingRegions(good, changed) : undefined
      const file = values['png'] === undefined ? undefined : text(values, 'png')
      if (file !== undefined) {
        if (!good || !regions) throw new Problem('object.not-printable', 'it cannot be shown as a picture')
        await act.give({ option: 'png', bytes: encodePng(drawRegions(good, regions)) })
      }
      const lines = [
        verdictText(line),
        'signed by placement',
        ...shown.ranges.slice(0, 50).map(([from, to]) => `  bytes ${from} to ${to - 1}`),
      ]
      if (shown.ranges.length > 50) lines.push(`  and ${shown.ranges.length - 50} more ranges`)
      for (const { x, y, toX, toY } of regions ?? [])
        lines.push(`  picture: ${toX - x} × ${toY - y} pixels at ${x}, ${y}`)
      if (file !== undefined) lines.push(`drawn on ${file}`)
      return { json: { ...json, ranges: shown.ranges, regions: regions ?? null }, text: lines.join('\n') }
    },
  },

  servers: {
    what: 'Lists data servers: state, how often somebody else answered in their name, how far audits are. Exit 1 when one is shut off or does not answer.',
    role: 'placement',
    offline: true,
    options: { folder, site },
    async carryOut({ service: { store }, ports: { clock } }) {
      const { servers: registered } = await auditReport(store.sql, clock.now(), 0)
      const rows = await mapInOrder(registered, async (row) => ({
        ...row,
        toDestroy: (await leftOn(store.sql, row.server)).toDestroy,
      }))
      const lines = rows.map(
        ({ server, state, awaySinceMs, impostors, replicas: count, toDestroy }) =>
          `${server.padEnd(16)} ${state.padEnd(9)} ${count} replicas${state === 'draining' ? drainedText(count, toDestroy) : ''}${awaySinceMs ? `, no answer since ${new Date(awaySinceMs).toISOString()}` : ''}${impostors > 0 ? `, ${impostors} times an impostor` : ''}`,
      )
      return {
        json: rows,
        text: lines.join('\n'),
        exit: rows.some(({ state, awaySinceMs }) => state === 'contained' || awaySinceMs) ? 1 : 0,
      }
    },
  },

  'servers contain': {
    what: 'Shuts a server off: nothing is read or written there, and what it holds is made anew elsewhere from the other copies.',
    role: 'placement',
    positionals: 'ID',
    options: { folder, site, reason },
    async carryOut({ service: placement }, _act, values, [id]) {
      if (!id) throw new Problem('config.invalid', 'which server?')
      await placement.containServer(id, text(values, 'reason'))
      return { json: { server: id, state: 'contained' }, text: `${id} is shut off` }
    },
  },

  'servers release': {
    what: 'Lets a server back in that was shut off, once it has been examined.',
    role: 'placement',
    positionals: 'ID',
    options: { folder, site, reason },
    async carryOut({ service: placement }, _act, values, [id]) {
      if (!id) throw new Problem('config.invalid', 'which server?')
      await placement.releaseServer(id, text(values, 'reason'))
      return { json: { server: id, state: 'open' }, text: `${id} is in use again` }
    },
  },
}

/** How far one that is emptied is. */
function drainedText(copies: number, toDestroy: number): string {
  if (toDestroy > 0) return `, ${toDestroy} old ones to be destroyed`
  return copies === 0 ? ', empty: it can be removed' : ' still to leave'
}
