/** S5, S9: a pushed hazard changes a server's risk, new data avoids it, data at risk leaves before it arrives, cards are told. */

import { rm } from 'node:fs/promises'
import { filterInOrder } from '@azukari/protocol/in-order'
import { until } from '../../site/wait.ts'
import { cycloneGone, cycloneOver, hostileAlert } from './documents.ts'
import type { DemoPart, Kept, PlacementDemo } from './stage.ts'

const hourMs = 3_600_000

export const riskPart: DemoPart = {
  ids: ['S5', 'S9', 'S14'],
  async run(demo) {
    await explained(demo)
    await demo.insert(demo.camera)
    for (let i = 1; i <= 6; i++) await demo.keep(`letter-${i}.bin`, pattern(20_000 + i))
    const target = await mostUsed(demo)
    const before = await demo.site.risks()
    const arrivesMs = Date.now() + 6 * hourMs
    const { place } = demo.site.servers.get(target)!
    demo.tell(`A cyclone is forecast for ${place.name}`)
    const began = performance.now()
    await demo.site.pushHazard(cycloneOver('Demo-1', place, Date.now(), 6 * hourMs), 'json')
    await until('the risk to rise', async () => ((await demo.riskOf(target)).risk > 0.02 ? true : undefined), 20_000)
    const seconds = (performance.now() - began) / 1000
    await rose(demo, target, before, seconds)
    await avoided(demo, target)
    await left(demo, target, arrivesMs)
    await hostile(demo, target)
    await passed(demo, target, before)
  },
}

async function explained(demo: PlacementDemo): Promise<void> {
  const { servers } = await demo.site.risks()
  const sums = servers.every(
    ({ risk, terms }) => Math.abs(1 - terms.reduce((left, { loss }) => left * (1 - loss), 1) - risk) < 1e-12,
  )
  const told = servers.every(({ terms }) => terms.every(({ ja, en, source }) => ja && en && source))
  const risks = servers.map(({ risk }) => risk)
  demo.checks.add(
    'S5',
    'every server’s risk is told term by term, in Japanese and English, and the terms make it up',
    servers.length === demo.site.servers.size && sums && told,
    `${servers.length} servers, ${(Math.min(...risks) * 100).toFixed(3)} % to ${(Math.max(...risks) * 100).toFixed(3)} % a year`,
  )
}

/** The server that holds most of what was kept. */
async function mostUsed(demo: PlacementDemo): Promise<string> {
  const counts = new Map<string, number>()
  for (const { save } of demo.kept)
    for (const { server } of await demo.standing(save.object)) counts.set(server, (counts.get(server) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1])[0]![0]
}

async function rose(
  demo: PlacementDemo,
  target: string,
  before: Awaited<ReturnType<PlacementDemo['site']['risks']>>,
  seconds: number,
): Promise<void> {
  const after = await demo.site.risks()
  const was = before.servers.find(({ server }) => server === target)!.risk
  const now = after.servers.find(({ server }) => server === target)!
  const others = after.servers.filter(
    ({ server, risk }) => server !== target && risk > 1.05 * before.servers.find((one) => one.server === server)!.risk,
  )
  const live = now.terms.find(({ hazard }) => hazard === 'track:Demo-1')
  demo.checks.add(
    'S9',
    'a pushed forecast raised the risk of the server in its way, with its time of arrival, within seconds',
    now.risk > 10 * was && live?.arrivesMs !== undefined && seconds < 10,
    `${target}: ${(was * 100).toFixed(3)} % to ${(now.risk * 100).toFixed(1)} % in ${seconds.toFixed(1)} s; ${live?.en ?? 'no term'}`,
  )
  demo.checks.add(
    'S9',
    'servers out of its way kept their risk',
    others.length < demo.site.servers.size / 2,
    others.length === 0 ? 'all others' : `all but ${others.map(({ server }) => server).join(', ')}`,
  )
}

async function avoided(demo: PlacementDemo, target: string): Promise<void> {
  const fresh: Kept[] = []
  for (let i = 1; i <= 3; i++) fresh.push(await demo.keep(`after-${i}.bin`, pattern(30_000 + i)))
  const servers = fresh.flatMap(({ receipt }) => receipt.replicas.map(({ server }) => server))
  demo.checks.add('S5', 'new data avoided it', !servers.includes(target), [...new Set(servers)].join(' '))
}

async function left(demo: PlacementDemo, target: string, arrivesMs: number): Promise<void> {
  const there = demo.kept.filter(({ receipt }) => receipt.replicas.some(({ server }) => server === target))
  const still = async () =>
    await filterInOrder(there, async ({ save }) =>
      (await demo.standing(save.object)).some(({ server }) => server === target),
    )
  let looks = 0
  let fewest = 2
  const gone = async () => {
    looks++
    for (const { save } of demo.kept)
      fewest = Math.min(fewest, new Set((await demo.standing(save.object)).map(({ server }) => server)).size)
    return (await still()).length === 0 ? true : undefined
  }
  await until('the data at risk to leave', gone, 90_000).catch(() => undefined)
  const leadMinutes = Math.round((arrivesMs - Date.now()) / 60_000)
  demo.checks.add(
    'S9',
    'what lay there left before the arrival, and at every look everything was in two places',
    there.length > 0 && (await still()).length === 0 && leadMinutes > 0 && fewest === 2,
    `${there.length} objects, ${(await still()).length} left behind, ${leadMinutes} minutes before the arrival, ${looks} looks`,
  )
  demo.tell('Hanako puts her card into the camera again, then into the printer')
  await demo.insert(demo.camera)
  const pending = async () =>
    (await demo.site.rows<{ n: number }>('SELECT count(*) AS n FROM conditions WHERE written IS NULL'))[0]?.n ?? 0
  await until('the card to know', async () => ((await pending()) === 0 ? true : undefined), 60_000).catch(
    () => undefined,
  )
  await demo.insert(demo.printer)
  const found = []
  for (const one of there) found.push(await demo.fetched(demo.printer, one))
  demo.checks.add(
    'S9',
    'the card was told the new places, and everything came back from there byte for byte',
    found.length > 0 && found.every(({ servers, equal }) => equal && servers.length === 2 && !servers.includes(target)),
    `${found.filter(({ equal }) => equal).length} of ${found.length}, ${await pending()} still to be told`,
  )
}

async function hostile(demo: PlacementDemo, target: string): Promise<void> {
  const before = (await demo.riskOf(target)).risk
  const file = await demo.site.pushHazard(hostileAlert, 'xml')
  const feed = await until(
    'the bad document to be reported',
    async () => (await demo.site.risks()).feeds.find(({ problem }) => problem !== null),
    20_000,
  ).catch(() => undefined)
  const after = (await demo.riskOf(target)).risk
  demo.checks.add(
    'S14',
    'an entity bomb was refused with a problem, reported, and lowered no risk',
    feed?.problem === 'feed.hostile' && after > before / 2,
    `${feed?.name}: ${feed?.problem ?? 'no problem'}`,
  )
  await rm(file, { force: true })
}

async function passed(
  demo: PlacementDemo,
  target: string,
  before: Awaited<ReturnType<PlacementDemo['site']['risks']>>,
): Promise<void> {
  await demo.site.pushHazard(cycloneGone('Demo-1', Date.now()), 'json')
  const was = before.servers.find(({ server }) => server === target)!.risk
  const now = await until(
    'the risk to fall',
    async () => {
      const { risk } = await demo.riskOf(target)
      return risk < was * 1.05 ? { risk } : undefined
    },
    20_000,
  ).catch(() => undefined)
  const history = (
    await demo.site.rows<{ n: number }>('SELECT count(*) AS n FROM risk_history WHERE server = ?', target)
  )[0]!.n
  demo.checks.add(
    'S9',
    'taken back by its agency, the risk fell again, and its history is kept',
    now !== undefined && history >= 3,
    `${((now?.risk ?? 1) * 100).toFixed(3)} %, ${history} entries`,
  )
}

function pattern(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 31 + (i >> 8) + length) & 255)
}
