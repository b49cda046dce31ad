/**
 * S12 on the running site: under a data server's address somebody else answers, with its certificate and without its key,
 * when the member keeps something.
 */
import { mkdir, readdir, rename } from 'node:fs/promises'
import type { VerdictTable } from '@azukari/gateway/services/placement/audit/tables'
import { catalogueMedia } from '@azukari/gateway/services/placement/store'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { hex } from '@azukari/protocol/bytes'
import { Problem } from '@azukari/protocol/problem'
import { gatewayCommand, type Running, startGatewayCommand } from '../../site/processes.ts'
import { until } from '../../site/wait.ts'
import type { DemoPart, Kept, PlacementDemo } from './stage.ts'

/** Something is kept so often at most until it was to go there. */
const maxTries = 20
/** So often at most one takes the other's place: placement may ask the server just while neither is there, and then keeps nothing there. */
const maxSwaps = 5
/** Placement asks every server once a minute whether it is there. */
const askedWithinMs = 150_000

export const impostorPart: DemoPart = {
  ids: ['S12'],
  async run(demo) {
    await demo.insert(demo.camera)
    const { last, target } = await choosePlace(demo)
    const there = async () =>
      (
        await demo.site.rows<{ n: number }>(
          `SELECT count(*) AS n FROM replicas AS r JOIN saves AS s ON s.object = r.object AND s.version = r.version
         WHERE r.server = ? AND s.state = 'kept'`,
          target,
        )
      )[0]!.n
    const held = await there()
    const first = sessionOf(demo)
    const { impostor, fresh } = await meetImpostor(demo, target)
    const verdict = await verdictOf(demo, target)
    demo.checks.add(
      'S12',
      'what did not prove its key was shut off when something was to be kept there, and the save went elsewhere',
      verdict?.kind === 'impostor' && fresh !== undefined && !placesOf(fresh).includes(target),
      `${verdict?.because ?? 'not met'}; kept in ${fresh ? placesOf(fresh).join(' and ') : 'no place'}`,
    )
    const again = await until(
      'the session to stand again',
      () => {
        const id = sessionOf(demo)
        return id !== undefined && id !== first ? id : undefined
      },
      90_000,
    ).catch(() => undefined)
    demo.checks.add(
      'S12',
      'the member’s session was called up, and the card proved itself again',
      first !== undefined && again !== undefined,
      `session ${first?.slice(0, 8)}, then ${again?.slice(0, 8) ?? 'none'}`,
    )
    await until('what it held to be made anew', async () => ((await there()) === 0 ? true : undefined), 90_000).catch(
      () => undefined,
    )
    const files = await filesOf(impostor.disk)
    const places = new Set((await demo.standing(last.save.object)).map(({ server }) => server))
    demo.checks.add(
      'S12',
      'all that lay there was made anew elsewhere from the other copies, and the impostor was given not a byte',
      held > 0 && (await there()) === 0 && places.size === 2 && files === 0,
      `${held} copies before, ${await there()} after; ${files} files on its disk`,
    )
    await backAgain(demo, target, impostor)
    const row = await serverOf(demo, target)
    await demo.insert(demo.printer)
    const back = await demo.fetched(demo.printer, last)
    demo.checks.add(
      'S12',
      'when the real one answered again the operator let it back in, with nothing held against it',
      row.state === 'open' &&
        row.impostors === 0 &&
        (await verdictOf(demo, target))?.outcome === 'released' &&
        back.equal,
      `${target} is ${row.state}, ${row.impostors} impostors; ${last.name} ${back.equal ? 'came back equal' : 'did not come back'}`,
    )
  },
}

/**
 * Keeps things until one lies where the member's catalogue does not: that is written after each save by placement alone, at
 * no board whose session could be called up.
 */
async function choosePlace(demo: PlacementDemo): Promise<{ last: Kept; target: string }> {
  for (let i = 1; i <= maxTries; i++) {
    const last = await demo.keep(`before-${i}.bin`, systemRandom.bytes(20_000 + i))
    const catalogues = await demo.site.rows<{ server: string }>(
      'SELECT r.server FROM replicas AS r JOIN saves AS s ON s.object = r.object AND s.version = r.version WHERE s.media = ?',
      catalogueMedia,
    )
    const free = (await demo.standing(last.save.object)).find(
      ({ server }) => !catalogues.some((at) => at.server === server),
    )
    if (free) return { last, target: free.server }
  }
  throw new Problem('placement.no-server', 'everything is kept where the catalogue is')
}

interface Impostor {
  process: Running
  disk: string
  /** Where the true key lies meanwhile. */
  key: string
}

async function impersonate(demo: PlacementDemo, id: string): Promise<Impostor> {
  const { site } = demo
  const server = site.servers.get(id)!
  await server.process!.stop()
  const home = `${site.folder}/data-servers/${id}`
  const disk = `${home}/impostor`
  await mkdir(disk, { recursive: true })
  const key = `${home}/identity.key`
  await rename(key, `${key}.true`)
  const process = await startGatewayCommand(
    [
      'data-server',
      '--folder',
      site.folder,
      '--site',
      'site',
      '--id',
      id,
      '--port',
      new URL(server.url).port,
      '--disk',
      `${disk}=${server.place.capacityBytes}`,
    ],
    { logFile: `${site.folder}/${id}-impostor.log` },
  )
  server.process = process
  return { process, disk, key }
}

async function backAgain(demo: PlacementDemo, id: string, { process, key }: Impostor): Promise<void> {
  await process.stop()
  await rename(`${key}.true`, key)
  await demo.site.startServer(demo.site.servers.get(id)!.place)
  await gatewayCommand([
    'servers',
    'release',
    id,
    '--folder',
    demo.site.folder,
    '--reason',
    'the real one answers again',
  ])
}

/** Somebody else answers as `target`, until something was to be kept there. @returns what was kept then, elsewhere */
async function meetImpostor(
  demo: PlacementDemo,
  target: string,
): Promise<{ impostor: Impostor; fresh: Kept | undefined }> {
  for (let i = 1; ; i++) {
    demo.tell(`Somebody else answers as ${target}`)
    const impostor = await impersonate(demo, target)
    const fresh = await metWhileKeeping(demo, target)
    if (fresh || i === maxSwaps) return { impostor, fresh }
    demo.tell(`Placement asked ${target} just while nobody was there: the real one comes back first`)
    await backAgain(demo, target, impostor)
    await until(
      `${target} to be there again`,
      async () => (await serverOf(demo, target)).away === null || undefined,
      askedWithinMs,
    )
  }
}

/** Keeps one thing after the other until one was to go there. @returns that one; undefined when none goes there */
async function metWhileKeeping(demo: PlacementDemo, target: string): Promise<Kept | undefined> {
  for (let i = 1; i <= maxTries; i++) {
    const kept = await demo.keep(`meanwhile-${i}.bin`, systemRandom.bytes(10_000 + i))
    const { state, away } = await serverOf(demo, target)
    const verdict = await verdictOf(demo, target)
    if (state === 'contained') return verdict?.because.includes('was to be kept') ? kept : undefined
    if (away !== null) return undefined
  }
  return undefined
}

function sessionOf(demo: PlacementDemo): string | undefined {
  const session = demo.camera.runtime.presence?.card?.session
  return session && hex(session.id)
}

function placesOf(kept: Kept): string[] {
  return kept.receipt.replicas.map(({ server }) => server)
}

interface ServerSeen {
  state: string
  impostors: number
  /** Since when it does not answer; null: it does. */
  away: number | null
}

async function serverOf(demo: PlacementDemo, id: string): Promise<ServerSeen> {
  return (await demo.site.rows<ServerSeen>('SELECT state, impostors, away FROM servers WHERE id = ?', id))[0]!
}

async function verdictOf(demo: PlacementDemo, server: string): Promise<VerdictTable | undefined> {
  return (
    await demo.site.rows<VerdictTable>(
      'SELECT * FROM verdicts WHERE server = ? AND object IS NULL ORDER BY id DESC',
      server,
    )
  )[0]
}

/** Files of replicas, whole or being written. */
async function filesOf(disk: string): Promise<number> {
  const found = await readdir(disk, { recursive: true, withFileTypes: true })
  return found.filter((entry) => entry.isFile() && /\/(replicas|incoming)(\/|$)/.test(entry.parentPath)).length
}
