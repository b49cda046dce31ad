/** `azukari-gateway moves …`: what is being moved, and an operator's word about servers and members (S9, S16). */

import { type Command, integer, type Values } from '@azukari/protocol/adapters/command-line'
import { mapInOrder } from '@azukari/protocol/in-order'
import { Problem } from '@azukari/protocol/problem'
import { systemPorts } from '../adapters/system-ports.ts'
import { parsePlan } from '../services/placement/level.ts'
import { reasonText } from '../services/placement/reasons.ts'
import { movesReport, movesText } from '../services/placement/replace/report.ts'
import { facts, replicas, type ServerState, servers } from '../services/placement/store.ts'
import { erasureReport, erasureText } from '../services/placement/wishes/report.ts'
import { withPlacement, withService } from './placement-access.ts'
import { folder, site } from './site-options.ts'

const states: readonly ServerState[] = ['open', 'draining', 'lost']

export const moveCommands: Record<string, Command> = {
  moves: {
    what: 'Shows what is being moved between data servers, why, and what has nowhere to go. Exit 1 when something has not.',
    options: {
      folder,
      limit: { type: 'string', what: 'how many of the most urgent moves to list', default: '10' },
      watch: { type: 'boolean', what: 'show it again every two seconds until all is done' },
    },
    async run(values) {
      const limit = integer(values, 'limit', 0, 1_000)
      const ask = () => withPlacement(values, (database) => movesReport(database, limit))
      let report = await ask()
      while (values['watch'] && (report.queue.length > 0 || report.buckets.toQueue > 0)) {
        console.error(`${movesText(report)}\n`)
        await systemPorts.clock.sleep(2_000)
        report = await ask()
      }
      return { json: report, text: movesText(report), exit: report.buckets.stuck > 0 ? 1 : 0 }
    },
  },

  'moves pause': {
    what: 'No move begins any more; what is being made is finished. Data at risk stays where it is.',
    options: { folder },
    run: async (values) => pause(values, true),
  },

  'moves resume': {
    what: 'Moves begin again.',
    options: { folder },
    run: async (values) => pause(values, false),
  },

  erasures: {
    what: 'Shows what members had erased and which servers have still to destroy it (D8). Exit 1 when something is left.',
    options: { folder },
    async run(values) {
      const report = await withPlacement(values, erasureReport)
      return { json: report, text: erasureText(report), exit: report.open > 0 ? 1 : 0 }
    },
  },

  'moves why': {
    what: 'Says in words why an object lies where it lies.',
    positionals: 'OBJECT',
    options: { folder, version: { type: 'string', what: 'its version', default: '1' } },
    async run(values, [object]) {
      if (!object || !/^[0-9a-f]{32}$/.test(object)) throw new Problem('config.invalid', 'which object? 32 hex digits')
      return withPlacement(values, async (database) => {
        const found = await replicas.of(
          database,
          new Uint8Array(Buffer.from(object, 'hex')),
          integer(values, 'version', 1, 0xffff_ffff),
        )
        if (found.length === 0) throw new Problem('object.unknown', object)
        const regions = new Map((await servers.all(database)).map(({ id, region }) => [id, region]))
        const regionOf = (server: string) => regions.get(server)
        const rows = await mapInOrder(found, async ({ slot, server, epoch, reason }) => ({
          ...{ slot, server, region: await regionOf(server), epoch },
          en: reasonText(reason, 'en', regionOf),
          ja: reasonText(reason, 'ja', regionOf),
        }))
        const language = process.env['LANG']?.startsWith('ja') ? 'ja' : 'en'
        return {
          json: { object, replicas: rows },
          text: rows.map((row) => `slot ${row.slot} on ${row.server} (${row.region}): ${row[language]}`).join('\n'),
        }
      })
    },
  },

  'server state': {
    what: 'open: in use; draining: is emptied; lost: gone for good, and all that was there is made anew elsewhere.',
    positionals: `ID ${states.join('|')}`,
    options: { folder, site },
    async run(values, [id, state]) {
      const wanted = states.find((known) => known === state)
      if (!id || !wanted) throw new Problem('config.invalid', `server state ID ${states.join('|')}`)
      await withService(values, (placement) => placement.changeServer(id, wanted))
      return { json: { server: id, state: wanted }, text: `${id} is ${wanted}` }
    },
  },

  'member change': {
    what: 'Changes a member’s plan, level or home region; data follows, and the card is told at its next session.',
    positionals: 'NUMBER',
    options: {
      folder,
      site,
      plan: { type: 'string', what: 'light, basic, standard or premium; years of membership are added' },
      level: { type: 'string', what: '0 to 3, in place of a plan' },
      home: { type: 'string', what: 'home region, such as JP-13' },
    },
    async run(values, [number]) {
      if (!number) throw new Problem('config.invalid', 'which member number?')
      const { plan, level, home } = values
      if (plan === undefined && level === undefined && home === undefined)
        throw new Problem('config.invalid', 'one of --plan, --level, --home')
      const row = await withService(values, (placement) =>
        placement.changeMember(number, {
          ...(plan !== undefined && { plan: parsePlan(String(plan)) }),
          ...(level !== undefined && { level: integer(values, 'level', 0, 3) }),
          ...(home !== undefined && { home: String(home) }),
        }),
      )
      const now = { number, plan: row.plan, level: row.level, home: row.home }
      return { json: now, text: `member ${number}: level ${row.level}${row.plan && ` (${row.plan})`}, ${row.home}` }
    },
  },
}

async function pause(values: Values, paused: boolean) {
  await withPlacement(values, (database) =>
    database.transaction((sql) => facts.set(sql, 'moves.paused', Uint8Array.of(paused ? 1 : 0))),
  )
  return { json: { paused }, text: paused ? 'Moves are paused' : 'Moves go on' }
}
