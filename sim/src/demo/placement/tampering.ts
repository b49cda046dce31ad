/**
 * S11 on the running site: somebody with placement's keys draws something else into one copy of a picture, on the disk of a
 * data server, and makes every checksum agree; another copy rots. The operator has both looked at.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeJpeg } from '@azukari/device/picture'
import { filesIn } from '@azukari/gateway/data-server/layout'
import type { VerdictTable } from '@azukari/gateway/services/placement/audit/tables'
import { openPlacementKeys } from '@azukari/gateway/services/placement/main'
import type { ReplicaRow } from '@azukari/gateway/services/placement/store'
import { SiteFolder } from '@azukari/gateway/site-folder'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { hex } from '@azukari/protocol/bytes'
import pngjs from 'pngjs'
import { gatewayCommand } from '../../site/processes.ts'
import { until } from '../../site/wait.ts'
import { drawScene } from '../../testkit/boards/scene.ts'
import { forge, replicaFolder, sealedAnew } from '../../testkit/placement/forger.ts'
import type { DemoPart, Kept, PlacementDemo } from './stage.ts'

const ports = { clock: systemClock, random: systemRandom, files: systemFiles() }
const size = { width: 320, height: 240 }
/** What is painted over, in pixels. */
const forged = { x: 160, y: 64, toX: 224, toY: 112 }

export const tamperingPart: DemoPart = {
  ids: ['S11'],
  async run(demo) {
    await demo.insert(demo.camera)
    const { good, changed } = pictures()
    const picture = await demo.keep('family.jpg', good)
    const archive = await demo.keep('archive.bin', systemRandom.bytes(300_000))
    const [, copy] = await replicasOf(demo, picture)
    const [rotting] = await replicasOf(demo, archive)
    demo.tell(`Somebody paints over family.jpg at ${copy!.server}; a medium rots at ${rotting!.server}`)
    await paintOver(demo, copy!, changed)
    await rot(demo, rotting!)
    for (const { save } of [picture, archive])
      await gatewayCommand(['audit', 'start', hex(save.object), '--folder', demo.site.folder])
    const judged = (one: Kept) => async () =>
      (
        await demo.site.rows<VerdictTable>(
          'SELECT * FROM verdicts WHERE object = ? AND done IS NOT NULL ORDER BY id',
          one.save.object,
        )
      )[0]
    const tampering = await until('the verdict on the picture', judged(picture), 90_000)
    const media = await until('the verdict on the rotten file', judged(archive), 90_000)
    await remade(demo, picture, copy!, tampering)
    await repaired(demo, archive, rotting!, media)
    await told(demo, picture, tampering)
    await drawn(demo, tampering)
  },
}

function pictures(): { good: Uint8Array; changed: Uint8Array } {
  const raster = drawScene({ bytes: () => new Uint8Array(), float: () => 0.4 }, size.width, size.height)
  const painted = { ...raster, rgba: Uint8Array.from(raster.rgba) }
  for (let y = forged.y; y < forged.toY; y++)
    for (let x = forged.x; x < forged.toX; x++) painted.rgba.set([255, 0, 255, 255], (y * size.width + x) * 4)
  const good = encodeJpeg(raster, 95)
  // Of the same length, so that what placement recorded still fits it.
  const changed = new Uint8Array(good.length)
  changed.set(encodeJpeg(painted, 95).subarray(0, good.length))
  return { good, changed }
}

async function replicasOf(demo: PlacementDemo, { save }: Kept): Promise<ReplicaRow[]> {
  return demo.site.rows<ReplicaRow>('SELECT * FROM replicas WHERE object = ? ORDER BY slot', save.object)
}

function folderOf(demo: PlacementDemo, replica: ReplicaRow): string {
  return replicaFolder(`${demo.site.folder}/data-servers/${replica.server}/disk`, replica)
}

async function paintOver(demo: PlacementDemo, replica: ReplicaRow, changed: Uint8Array): Promise<void> {
  const keys = await openPlacementKeys(new SiteFolder(demo.site.folder, 'site', ports))
  const [member] = await demo.site.rows<{ wrapped_key: Uint8Array }>(
    'SELECT m.wrapped_key FROM members AS m JOIN saves AS s ON s.member = m.id WHERE s.object = ?',
    replica.object,
  )
  const segments = sealedAnew(replica, keys, member!.wrapped_key, changed)
  const folder = folderOf(demo, replica)
  const beside = `${demo.site.folder}/data-servers/${replica.server}/forged`
  await forge(ports.files, beside, replica, segments, Date.now())
  await ports.files.remove(folder)
  await ports.files.rename(beside, folder)
}

/** A few bytes of one segment, which parity restores. */
async function rot(demo: PlacementDemo, replica: ReplicaRow): Promise<void> {
  const handle = await ports.files.open(filesIn(folderOf(demo, replica)).segments, 'write')
  const bytes = await handle.read(70_000, 3)
  await handle.write(
    70_000,
    bytes.map((byte) => byte ^ 0x10),
  )
  await handle.close()
}

async function remade(demo: PlacementDemo, picture: Kept, before: ReplicaRow, verdict: VerdictTable): Promise<void> {
  const now = (await replicasOf(demo, picture)).find(({ slot }) => slot === before.slot)!
  demo.checks.add(
    'S11',
    'bytes changed on a disk with every checksum made to agree were judged as tampering, and that copy was made anew',
    verdict.kind === 'tampering' &&
      verdict.server === before.server &&
      verdict.outcome === 'remade' &&
      now.server !== before.server &&
      now.epoch > before.epoch &&
      hex(now.key_id) !== hex(before.key_id),
    `${verdict.kind}: ${verdict.because}; ${before.server} epoch ${before.epoch} to ${now.server} epoch ${now.epoch} under another key`,
  )
}

async function repaired(demo: PlacementDemo, archive: Kept, before: ReplicaRow, verdict: VerdictTable): Promise<void> {
  const now = (await replicasOf(demo, archive)).find(({ slot }) => slot === before.slot)!
  const stored = await readFile(filesIn(folderOf(demo, now)).segments)
  const [other] = (await replicasOf(demo, archive)).filter(({ slot }) => slot !== before.slot)
  demo.checks.add(
    'S11',
    'bytes that rotted on a disk were judged as a fault of the medium and restored there by parity, and nobody was accused',
    verdict.kind === 'media' &&
      verdict.outcome === 'parity' &&
      now.server === before.server &&
      now.epoch === before.epoch &&
      stored.length === before.sealed &&
      other !== undefined,
    `${verdict.kind} at ${verdict.server}: ${verdict.because}`,
  )
}

async function told(demo: PlacementDemo, picture: Kept, verdict: VerdictTable): Promise<void> {
  demo.tell('Hanako puts her card into the printer')
  await demo.insert(demo.printer)
  const { display } = demo.printer.board
  const shown = () =>
    display.history.flatMap(({ lines }) => lines).filter((line) => line.startsWith('family.jpg: one copy was changed'))
  await until('the member to be told', () => (shown().length > 0 ? true : undefined), 30_000).catch(() => undefined)
  const noted = async () =>
    (await demo.site.rows<{ n: number }>('SELECT count(*) AS n FROM told WHERE verdict = ?', verdict.id))[0]!.n
  await until('placement to know', async () => ((await noted()) > 0 ? true : undefined), 30_000).catch(() => undefined)
  const back = await demo.fetched(demo.printer, picture)
  const lines = shown()
  demo.checks.add(
    'S11',
    'the member was told once, at her next session, what was changed and where, and the picture came back byte for byte',
    lines.length === 1 && (await noted()) === 1 && back.equal && !back.servers.includes(verdict.server),
    `“${lines[0] ?? 'nothing'}”, ${lines.length} times; from ${back.servers.join(' and ')}, ${back.equal ? 'equal' : 'other bytes'}`,
  )
}

async function drawn(demo: PlacementDemo, { id }: VerdictTable): Promise<void> {
  const file = join(demo.site.folder, 'tampering.png')
  const { folder } = demo.site
  const said = await gatewayCommand<{ regions: { x: number; y: number; toX: number; toY: number }[] | null }>([
    'audit',
    'show',
    String(id),
    '--folder',
    folder,
    '--png',
    file,
  ])
  const { width, height } = pngjs.PNG.sync.read(await readFile(file))
  const regions = said.regions ?? []
  const inside = regions.filter(
    ({ x, y, toX, toY }) => x < forged.toX && toX > forged.x && y < forged.toY && toY > forged.y,
  )
  demo.checks.add(
    'S11',
    'the operator’s picture marks what was painted over',
    width === size.width && height === size.height && inside.length > 0,
    `${width} × ${height} pixels, ${regions.length} regions, ${inside.length} of them where it was painted: ${file}`,
  )
}
