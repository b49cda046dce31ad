/**
 * Where everything is kept, at what risk and by which servers, read from the running site: the devices' saves, the servers'
 * status, placement's replicas and risks.
 */
import type { Save } from '@azukari/device/saves'
import { distanceKm } from '@azukari/gateway/geography'
import type { RiskReport } from '@azukari/gateway/services/placement/risk/report'
import type { Language } from '@azukari/protocol/finding-text'
import { places, positionOf } from '../testkit/places.ts'
import { statusReader } from './server-status.ts'
import type { SimulatedSite, SiteServer } from './site.ts'
import { nameOf, regionName, type Said, say } from './words.ts'

const maxStanding = 2_000
/** From which probability of loss on a hazard is shown as one that arrives. */
const shownLoss = 0.005

/** A replica of an object, as placement has it. */
interface Standing {
  slot: number
  server: string
  algorithm: string
}

export class Keeping {
  /** Of all devices, the latest first. */
  saves: (Save & { device: string })[] = []
  readonly #site: SimulatedSite
  readonly #usedBytes = new Map<string, number>()
  /** Where each object lies now, by its id in hex: what a receipt said may have moved since. */
  #standing = new Map<string, Standing[]>()
  readonly #risks = new Map<string, RiskReport['servers'][number]>()
  #status: Awaited<ReturnType<typeof statusReader>> | undefined

  constructor(site: SimulatedSite) {
    this.#site = site
  }

  async begin(): Promise<void> {
    this.#status = await statusReader(this.#site)
  }

  end(): void {
    this.#status?.close()
  }

  /** Reads it all anew. @returns what has moved since, told */
  async look(): Promise<Said[]> {
    const all = await Promise.all(
      [...this.#site.boards].map(async ([id, { runtime }]) =>
        (await runtime.saves.list(50)).map((save) => ({ ...save, device: id })),
      ),
    )
    this.saves = all.flat().sort((a, b) => b.takenMs - a.takenMs)
    for (const [id, { usedBytes }] of (await this.#status?.read()) ?? []) this.#usedBytes.set(id, usedBytes)
    const moved = await this.#stand()
    for (const risk of (await this.#site.risks()).servers) this.#risks.set(risk.server, risk)
    return moved
  }

  /** Where everything lies now; what has moved is told. */
  async #stand(): Promise<Said[]> {
    const moved: Said[] = []
    const standing = new Map<string, Standing[]>()
    for (const { object, ...replica } of await this.#site.rows<Standing & { object: Uint8Array }>(
      'SELECT object, slot, server, algorithm FROM replicas WHERE root IS NOT NULL ORDER BY object, slot LIMIT ?',
      maxStanding,
    )) {
      const id = Buffer.from(object).toString('hex')
      standing.set(id, [...(standing.get(id) ?? []), replica])
    }
    for (const { object, name } of this.saves) {
      const id = Buffer.from(object).toString('hex')
      const [before, now] = [this.#standing.get(id), standing.get(id)]
      if (before?.length !== 2 || now?.length !== 2 || before.every(({ server }, at) => server === now[at]!.server))
        continue
      const [first, second] = now.map(({ server }) => this.serverName(server))
      moved.push({
        en: `${name} has moved: it is now kept in ${first!.en} and ${second!.en}`,
        ja: `${name} を移しました：今は${first!.ja}と${second!.ja}にあります`,
      })
    }
    this.#standing = standing
    return moved
  }

  /** The servers, as the page lists them. @param stormAt whether a cyclone was forecast there by hand */
  servers(language: Language, stormAt: (id: string) => boolean): unknown[] {
    return inOrder(this.#site.servers.values()).map(({ place, process }) => {
      const { id, name, region, latitude, longitude } = place
      const risk = this.#risks.get(id)
      const arriving = risk?.terms.find(
        ({ hazard, arrivesMs, loss }) => hazard !== undefined && arrivesMs !== undefined && loss >= shownLoss,
      )
      return {
        id,
        name: nameOf(name)[language],
        region: regionName(region)[language],
        abroad: !region.startsWith('JP'),
        latitude,
        longitude,
        up: process !== undefined,
        risk: risk?.risk,
        why: risk?.terms.map((term) => `${term[language]} (${term.source})`).join('\n'),
        arrivesMs: arriving?.arrivesMs,
        storm: stormAt(id),
        replicas: [...this.#standing.values()].flat().filter(({ server }) => server === id).length,
        usedBytes: this.#usedBytes.get(id) ?? 0,
      }
    })
  }

  /** Where a save lies now, or did when its receipt was written. */
  placesOf({ object, receipt, device }: Save & { device: string }, language: Language) {
    const region = this.#site.boards.get(device)?.place.region
    const standing = this.#standing.get(Buffer.from(object).toString('hex'))
    return standing && region
      ? standing.map(({ server, algorithm }) => {
          const { place } = this.#site.servers.get(server)!
          return {
            server,
            name: nameOf(place.name)[language],
            algorithm,
            distanceKm: Math.round(distanceKm(positionOf(region), place)),
          }
        })
      : receipt?.replicas.map(({ server, distanceKm, algorithm }) => ({
          server,
          name: this.serverName(server)[language],
          distanceKm,
          algorithm,
        }))
  }

  keptLine(name: string, replicas: readonly { server: string; distanceKm: number }[]): Said {
    const places = say((to) =>
      replicas
        .map(({ server, distanceKm }) => {
          const place = this.serverName(server)[to]
          return to === 'ja' ? `${place}（${distanceKm} km 先）` : `${place} (${distanceKm} km away)`
        })
        .join(to === 'ja' ? 'と' : ' and '),
    )
    return { en: `${name} is kept in ${places.en}`, ja: `${name} を${places.ja}に保存しました` }
  }

  serverName(id: string): Said {
    return nameOf(this.#site.servers.get(id)?.place.name ?? id)
  }
}

/** As they are listed, whichever came up first. */
function inOrder(servers: Iterable<SiteServer>): SiteServer[] {
  const at = ({ place }: SiteServer) => places.findIndex(({ id }) => id === place.id)
  return [...servers].sort((a, b) => at(a) - at(b))
}
