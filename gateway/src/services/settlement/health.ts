/** What settlement shows to operators: figures with plots (P9), and how two centres stand. */
import { gaugesOf } from '../../host/gauges.ts'
import type { ServiceHealth } from '../../host/service-module.ts'
import type { CentreReport } from './centre/watch.ts'
import { statisticsPage, statisticsPolicy } from './statistics/page.ts'
import { type StatisticsReport, statisticsPicture } from './statistics/picture.ts'

/** How long figures are shown before they are added up again. */
const statisticsMs = 300_000

export function statisticsHealth(statistics: () => Promise<StatisticsReport>): ServiceHealth {
  // Adding up a year of a large journal takes a while: once is enough for some minutes.
  let drawn: { page: string; picture: string; atMs: number } | undefined
  const now = async () => {
    if (!drawn || performance.now() - drawn.atMs > statisticsMs) {
      const report = await statistics()
      drawn = { page: statisticsPage(report), picture: statisticsPicture(report), atMs: performance.now() }
    }
    return drawn
  }
  return {
    pages: {
      '/statistics': async () => ({
        type: 'text/html; charset=utf-8',
        policy: statisticsPolicy,
        body: (await now()).page,
      }),
      '/statistics.svg': async () => ({ type: 'image/svg+xml', policy: statisticsPolicy, body: (await now()).picture }),
    },
  }
}

/** @param centres how each stands */
export function centresHealth(centres: () => Promise<CentreReport[]>): ServiceHealth {
  return {
    metrics: (registry) => {
      const { labelled } = gaugesOf(registry)
      const ofCentre = (name: string, help: string, value: (report: CentreReport) => number | boolean) =>
        labelled(`centre_${name}`, help, 'centre', async () =>
          (await centres()).map((report) => [report.centre, Number(value(report))]),
        )
      ofCentre('up', '1 when the settlement centre answers', ({ up }) => up)
      ofCentre('leading', '1 for the centre that leads', ({ leading }) => leading)
      ofCentre('epoch', 'Epoch of the leadership that the centre knows', ({ epoch }) => epoch)
      ofCentre('paired', '1 when what the leader acknowledges is on both disks', ({ paired }) => paired)
      ofCentre('entries', 'Commits that the centre has', ({ entries }) => entries)
      ofCentre(
        'acknowledged',
        'The last commit that the leader says is acknowledged',
        ({ acknowledged }) => acknowledged,
      )
      ofCentre('lag', 'Commits not acknowledged yet, or not at this centre yet', ({ lag }) => lag)
    },
  }
}
