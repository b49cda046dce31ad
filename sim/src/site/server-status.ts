/** Asks the site's data servers how they are, as the site's own placement may. */

import { RemoteDataServers } from '@azukari/gateway/data-server/remote'
import { SiteFolder } from '@azukari/gateway/site-folder'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { SimulatedSite } from './site.ts'

/** Servers that do not answer within this are left out. */
const answerMs = 2_000

export async function statusReader(site: SimulatedSite) {
  const ports = { clock: systemClock, random: systemRandom, files: systemFiles() }
  const folder = new SiteFolder(site.folder, 'site', ports)
  const remote = new RemoteDataServers(await folder.keyring.identity('placement', 'service'), ports)
  return {
    /** Replicas and bytes of every server that answers. */
    read: async (): Promise<[id: string, status: { replicas: number; usedBytes: number }][]> => {
      const asked = await mapInOrder(
        [...site.servers.values()].filter((server) => server.process),
        async ({ place, url }) => {
          const { replicas, usedBytes } = await remote.of({ id: place.id, url }).status(AbortSignal.timeout(answerMs))
          return [place.id, { replicas, usedBytes }] as [string, { replicas: number; usedBytes: number }]
        },
      )
      return (await Promise.allSettled(asked)).flatMap((result) =>
        result.status === 'fulfilled' ? [result.value] : [],
      )
    },
    close: () => remote.close(),
  }
}
