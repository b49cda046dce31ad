/** `azukari-gateway moves …`: what is being moved, and an operator's word about servers and members (S9, S16). */
import { integer } from '@azukari/protocol/adapters/command-line'
import { mapInOrder } from '@azukari/protocol/in-order'
import { Problem } from '@azukari/protocol/problem'
import { folder, site } from '../../../operator/site-options.ts'
import { erasureReport, erasureText } from '../erasure/report.ts'
import { parsePlan } from '../members/level.ts'
import type { MemberChange } from '../moves/changes.ts'
import { movesReport, movesText } from '../moves/report.ts'
import { reasonText } from '../risk/reasons.ts'
import { replicas, type ServerState, servers } from '../store.ts'
import type { PlacementCommands, PlacementContext } from './context.ts'

const watchMs = 2_000
const states: readonly ServerState[] = ['open', 'draining', 'lost']

export const moveCommands: PlacementCommands = {
  moves: {
    what: 'Shows what is being moved between data servers, why, and what has nowhere to go. Exit 1 when something has not.',
    role: 'placement',
    offline: true,
    options: {
      folder,
      site,
      limit: { type: 'string', what: 'how many of the most urgent moves to list', default: '10' },
      watch: { type: 'boolean', what: 'show it again every two seconds until all is done' },
    },
    async carryOut({ service: { store }, ports: { clock } }, { tell, signal }, values) {
      const limit = integer(values, 'limit', 0, 1_000)
      let report = await movesReport(store.sql, limit)
      while (values['watch'] && (report.queue.length > 0 || report.buckets.toQueue > 0)) {
        tell(`${movesText(report)}\n`)
        await clock.sleep(watchMs, signal)
        report = await movesReport(store.sql, limit)
      }
      return { json: report, text: movesText(report), exit: report.buckets.stuck > 0 ? 1 : 0 }
    },
  },

  'moves pause': {
    what: 'No move begins any more; what is being made is finished. Data at risk stays where it is.',
    role: 'placement',
    options: { folder, site },
    carryOut: (open) => pause(open, true),
  },

  'moves resume': {
    what: 'Moves begin again.',
    role: 'placement',
    options: { folder, site },
    carryOut: (open) => pause(open, false),
  },

  erasures: {
    what: 'Shows what members had erased and which servers have still to destroy it (D8). Exit 1 when something is left.',
    role: 'placement',
    offline: true,
    options: { folder, site },
    async carryOut({ service: { store } }) {
      const report = await erasureReport(store.sql)
      return { json: report, text: erasureText(report), exit: report.open > 0 ? 1 : 0 }
    },
  },

  'moves why': {
    what: 'Says in words why an object lies where it lies.',
    role: 'placement',
    offline: true,
    positionals: 'OBJECT',
    options: { folder, site, version: { type: 'string', what: 'its version', default: '1' } },
    async carryOut({ service: { store } }, { language }, values, [object]) {
      if (!object || !/^[0-9a-f]{32}$/.test(object)) throw new Problem('config.invalid', 'which object? 32 hex digits')
      const id = new Uint8Array(Buffer.from(object, 'hex'))
      const found = await replicas.of(store.sql, id, integer(values, 'version', 1, 0xffff_ffff))
      if (found.length === 0) throw new Problem('object.unknown', object)
      const regions = new Map((await servers.all(store.sql)).map(({ id, region }) => [id, region]))
      const regionOf = (server: string) => regions.get(server)
      const rows = await mapInOrder(found, async ({ slot, server, epoch, reason }) => ({
        slot,
        server,
        region: regionOf(server),
        epoch,
        en: reasonText(reason, 'en', regionOf),
        ja: reasonText(reason, 'ja', regionOf),
      }))
      return {
        json: { object, replicas: rows },
        text: rows.map((row) => `slot ${row.slot} on ${row.server} (${row.region}): ${row[language]}`).join('\n'),
      }
    },
  },

  'server state': {
    what: 'open: in use; draining: is emptied; lost: gone for good, and all that was there is made anew elsewhere.',
    role: 'placement',
    positionals: `ID ${states.join('|')}`,
    options: { folder, site },
    async carryOut({ service: placement }, _act, _values, [id, state]) {
      const wanted = states.find((known) => known === state)
      if (!id || !wanted) throw new Problem('config.invalid', `server state ID ${states.join('|')}`)
      await placement.changeServer(id, wanted)
      return { json: { server: id, state: wanted }, text: `${id} is ${wanted}` }
    },
  },

  'member change': {
    what: 'Changes a member’s plan, level or home region; data follows, and the card is told at its next session.',
    role: 'placement',
    positionals: 'NUMBER',
    options: {
      folder,
      site,
      plan: { type: 'string', what: 'light, basic, standard or premium; years of membership are added' },
      level: { type: 'string', what: '0 to 3, in place of a plan' },
      home: { type: 'string', what: 'home region, such as JP-13' },
    },
    async carryOut({ service: placement }, _act, values, [number]) {
      if (!number) throw new Problem('config.invalid', 'which member number?')
      const { plan, level, home } = values
      if (plan === undefined && level === undefined && home === undefined)
        throw new Problem('config.invalid', 'one of --plan, --level, --home')
      const change: MemberChange = {}
      if (plan !== undefined) change.plan = parsePlan(String(plan))
      if (level !== undefined) change.level = integer(values, 'level', 0, 3)
      if (home !== undefined) change.home = String(home)
      const row = await placement.changeMember(number, change)
      const now = { number, plan: row.plan, level: row.level, home: row.home }
      return { json: now, text: `member ${number}: level ${row.level}${row.plan && ` (${row.plan})`}, ${row.home}` }
    },
  },
}

async function pause({ service: { mover } }: PlacementContext, paused: boolean) {
  await mover.pause(paused)
  return { json: { paused }, text: paused ? 'Moves are paused' : 'Moves go on' }
}
