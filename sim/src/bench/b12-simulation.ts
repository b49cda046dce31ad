/**
 * B12: how fast the whole-system simulation runs on all cores: simulated hours of a site of 20 devices, and seeds of the
 * usual small site. Every run checks what was promised, so a figure counts only when nothing failed and pictures were kept.
 */
import { InternalError } from '@azukari/protocol/problem'
import { run as simulate } from '../simulation/command.ts'
import type { Row } from './row.ts'

/** A day of a site of 20 boards: each member comes every six hours, something fails every half hour. */
const day = { hours: 24, devices: 20, visitMinutes: 360, faultMinutes: 30 }

export async function run({ days = 8, seeds = 60 } = {}): Promise<Row[]> {
  // Threads compile the program once; that is no part of the figure, so each run is long against it.
  const long = await simulate({ seeds: days, first: 1_000, ...day })
  const short = await simulate({ seeds, first: 2_000 })
  for (const { failed, kept } of [long, short]) {
    if (failed.length > 0) throw new InternalError(`seeds ${failed.join(', ')} failed`)
    if (kept === 0) throw new InternalError('nothing was kept, so nothing was simulated')
  }
  const hoursPerMinute = Math.round((long.hours / long.seconds) * 60)
  const seedsPerMinute = Math.round((short.seeds / short.seconds) * 60)
  const target = 1_000
  return [
    {
      row: 'B12',
      what: 'simulated hours of a site with 20 devices per minute',
      value: hoursPerMinute,
      unit: 'h/min',
      peer: 60 / 3600,
      ratio: Math.round(hoursPerMinute * 60),
      target: `≥ ${target} h/min`,
      met: hoursPerMinute >= target,
      note: `${long.hours} h in ${long.seconds} s; ${long.kept} pictures kept; ratio is against real time`,
    },
    {
      row: 'B12',
      what: 'seeds per minute: 5 devices, 2 hours, a fault every 2.5 minutes',
      value: seedsPerMinute,
      unit: 'seeds/min',
      peer: seedsPerMinute,
      ratio: 1,
      target: '—',
      met: true,
      note: `${short.hours} h in ${short.seconds} s; ${short.kept} pictures kept, ${short.printed} printed`,
    },
  ]
}
