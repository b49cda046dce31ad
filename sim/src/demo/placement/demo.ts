/**
 * `npm run demo -- placement`: disasters on a running site, with every check computed from what really happened. Each
 * part is one file and adds its checks by requirement id; parts run one after the other on the same site.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Check } from '../../site/checks.ts'
import { SimulatedSite } from '../../site/site.ts'
import { impostorPart } from './impostor.ts'
import { levelsPart } from './levels.ts'
import { rightsPart } from './rights.ts'
import { riskPart } from './risk.ts'
import { type DemoPart, PlacementDemo, type PlacementDemoOptions } from './stage.ts'
import { tamperingPart } from './tampering.ts'

/** In this order: the last one closes the member’s account. */
const parts: readonly DemoPart[] = [riskPart, levelsPart, tamperingPart, impostorPart, rightsPart]

export interface PlacementDemoReport {
  checks: Check[]
  folder: string
}

/** Runs every part. The site's folder stays, so that logs can be looked at. */
export async function runPlacementDemo(options: PlacementDemoOptions): Promise<PlacementDemoReport> {
  const folder = options.folder ? resolve(options.folder) : await mkdtemp(join(tmpdir(), 'azukari-demo-'))
  if (options.folder) await rm(`${folder}/hazards`, { recursive: true, force: true })
  const { log, tell } = options
  const site = new SimulatedSite({ folder, log, tell })
  try {
    await site.start()
    const demo = new PlacementDemo(site, options)
    for (const part of parts) {
      tell(`— ${part.ids.join(', ')}`)
      try {
        await part.run(demo)
      } catch (error) {
        // A part that breaks off fails its own checks, not those of the others.
        demo.checks.add(
          part.ids[0]!,
          'the part came to its end',
          false,
          error instanceof Error ? error.message : String(error),
        )
      }
    }
    return { checks: demo.checks.list, folder }
  } finally {
    tell('Stopping the site')
    await site.stop()
  }
}
