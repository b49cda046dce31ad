/** D8: members' rights over their data on the running site: consent, export, erasure and closing, all at the boards. */
import { readdir } from 'node:fs/promises'
import { historyName, manifestName } from '@azukari/device/apps/export'
import type { Erasures } from '@azukari/device/apps/member-requests'
import { readExif } from '@azukari/device/picture'
import { hex } from '@azukari/protocol/bytes'
import { thumbprint } from '@azukari/protocol/keys'
import { isProblem } from '@azukari/protocol/problem'
import { pin } from '../../site/site.ts'
import { until } from '../../site/wait.ts'
import type { DemoPart, Kept, PlacementDemo } from './stage.ts'

export const rightsPart: DemoPart = {
  ids: ['D8'],
  async run(demo) {
    const kept: Kept[] = []
    await demo.insert(demo.camera)
    for (let i = 1; i <= 3; i++) kept.push(await demo.keep(`diary-${i}.txt`, text(i)))
    await consent(demo)
    await exported(demo, kept)
    await erased(demo, kept)
    await closed(demo)
  },
}

async function consent(demo: PlacementDemo): Promise<void> {
  demo.tell('Hanako withdraws her consent to storage abroad and to places being kept')
  await demo.insert(demo.terminal)
  const { terminal, requests } = demo.terminal.runtime
  await (await terminal!.wish({ kind: 'consent', location: false, abroad: false }, pin)).accepted
  const abroad = async () =>
    (
      await demo.site.rows<{ n: number }>(
        `SELECT count(*) AS n FROM replicas AS r JOIN servers AS s ON s.id = r.server JOIN saves AS o
       ON o.object = r.object AND o.version = r.version WHERE s.region NOT LIKE 'JP%' AND o.state = 'kept'`,
      )
    )[0]!.n
  const before = await abroad()
  await until('her data to come home', async () => ((await abroad()) === 0 ? true : undefined), 90_000).catch(
    () => undefined,
  )
  demo.checks.add(
    'D8',
    'without consent to storage abroad everything was moved home',
    (await abroad()) === 0,
    `${before} copies abroad before, ${await abroad()} after`,
  )
  const settings = await requests!.settings()
  demo.checks.add(
    'D8',
    'the member reads at the terminal what she has agreed to',
    !settings.abroad && !settings.location,
    JSON.stringify(settings),
  )
  await demo.insert(demo.camera)
  const save = await demo.camera.runtime.camera!.shutter(pin)
  await until(
    'the photo to be kept',
    async () =>
      (await demo.camera.runtime.saves.list(50)).find(
        (one) => hex(one.object) === hex(save.object) && one.state === 'kept',
      ),
    60_000,
  )
  await demo.insert(demo.terminal)
  await demo.terminal.runtime.terminal!.exportAll(pin)
  const name = (await demo.terminal.board.memory.list()).find((file) => file.name.includes(hex(save.object)))!
  const exif = readExif(await fileOf(demo, name.name))
  demo.checks.add(
    'D8',
    'a photo taken without consent says when, and not where',
    exif.position === undefined && exif.takenAt !== undefined,
    `${exif.takenAt ?? 'no time'}, ${exif.position ? 'a position' : 'no position'}`,
  )
}

async function exported(demo: PlacementDemo, kept: readonly Kept[]): Promise<void> {
  demo.tell('Hanako takes everything out onto a memory card, which is pulled out in the middle once')
  const { terminal } = demo.terminal.runtime
  const { memory } = demo.terminal.board
  // As if it had been broken off before: some is there, and the next file is torn.
  for (const { save } of kept)
    for (const { name } of await memory.list()) if (name.includes(hex(save.object))) await memory.remove(name)
  memory.tearAfter(1_000)
  const broken = await terminal!.exportAll(pin).then(
    () => undefined,
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )
  memory.insert()
  const first = (await memory.list()).filter(({ name }) => !name.endsWith('.json')).length
  let known = 0
  const manifest = await terminal!.exportAll(pin, (progress) => {
    if (progress.known) known++
  })
  const equal: boolean[] = []
  for (const one of kept) {
    const file = manifest.files.find(({ object }) => object === hex(one.save.object))
    equal.push(!!file && Buffer.from(await fileOf(demo, file.file)).equals(one.bytes))
  }
  const names = (await memory.list()).map(({ name }) => name)
  const history = JSON.parse(Buffer.from(await fileOf(demo, historyName)).toString()) as {
    objects: { receipt: string; places: { en: string }[] }[]
  }
  demo.checks.add(
    'D8',
    'all that she has was exported with its history; broken off once, it went on where it stopped',
    broken !== undefined &&
      equal.every(Boolean) &&
      known === first &&
      known > 0 &&
      manifest.missing.length === 0 &&
      names.includes(manifestName) &&
      history.objects.length === manifest.files.length &&
      history.objects.every(({ receipt, places }) => receipt && places.length === 2 && places.every(({ en }) => en)),
    `${manifest.files.length} files, ${known} of them there already, then ${broken}; ${manifest.missing.length} missing`,
  )
}

async function erased(demo: PlacementDemo, kept: readonly Kept[]): Promise<void> {
  const [one, other] = kept as [Kept, Kept]
  const { terminal } = demo.terminal.runtime
  const [slot] = await demo.standing(one.save.object)
  demo.tell(`Hanako deletes ${one.name} while ${slot!.server} is down`)
  await demo.site.servers.get(slot!.server)!.process!.stop()
  const { act, accepted } = await terminal!.wish({ kind: 'erase', objects: [one.save.object] }, pin)
  await accepted
  const waiting = await follow(demo, act, ({ waiting }) => waiting.length === 1, 60_000)
  await demo.site.startServer(demo.site.servers.get(slot!.server)!.place)
  const done = await follow(demo, act, ({ open }) => open === 0, 120_000)
  const [receipt] = done.receipts
  const places = receipt?.places ?? []
  const left = await onDisks(demo, one.save.object)
  demo.checks.add(
    'D8',
    'a deleted object is destroyed on every server, on one that was down as soon as it is back, and the receipt names them',
    waiting.waiting[0] === slot!.server &&
      places.length >= 2 &&
      places.every(({ outcome, receipt }) => outcome === 'destroyed' && receipt) &&
      left === 0,
    `waited for ${waiting.waiting.join(' ')}; ${places.map(({ server, outcome }) => `${server} ${outcome}`).join(', ')}; ${left} files left`,
  )
  const twice = await terminal!.wish({ kind: 'erase', objects: [one.save.object] }, pin)
  const refused = await twice.accepted.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )
  demo.checks.add(
    'D8',
    'deleting it again is refused, and nothing else was touched',
    refused === 'object.unknown' && (await onDisks(demo, other.save.object)) > 0,
    refused,
  )
}

async function closed(demo: PlacementDemo): Promise<void> {
  demo.tell('Hanako closes her account')
  const { terminal, identity } = demo.terminal.runtime
  const objects = await demo.site.rows<{ object: Uint8Array }>("SELECT DISTINCT object FROM saves WHERE state = 'kept'")
  const { act, accepted } = await terminal!.wish({ kind: 'close' }, pin)
  await accepted
  const done = await follow(demo, act, ({ closing }) => closing !== undefined, 120_000)
  let left = 0
  for (const { object } of objects) left += await onDisks(demo, object)
  const members = (await demo.site.rows<{ n: number }>('SELECT count(*) AS n FROM members'))[0]!.n
  demo.checks.add(
    'D8',
    'a closed account leaves no object, no key and no name, only placement’s signed receipt',
    done.closing?.objects === objects.length && left === 0 && members === 0,
    `${done.closing?.objects} objects, ${left} files left, ${members} members; signed by ${hex(thumbprint(identity.trust!.placementKey)).slice(0, 8)}`,
  )
}

async function follow(
  demo: PlacementDemo,
  act: Uint8Array,
  done: (erasures: Erasures) => boolean,
  limitMs: number,
): Promise<Erasures> {
  const { requests } = demo.terminal.runtime
  return until(
    'the receipts',
    async () => {
      const found = await requests!.erasures(act, AbortSignal.timeout(10_000)).catch(() => undefined)
      return found && done(found) ? found : undefined
    },
    limitMs,
  )
}

/** Files on the data servers' disks that bear the object's name. */
async function onDisks(demo: PlacementDemo, object: Uint8Array): Promise<number> {
  const names = await readdir(`${demo.site.folder}/data-servers`, { recursive: true })
  return names.filter((name) => name.includes(hex(object))).length
}

async function fileOf(demo: PlacementDemo, name: string): Promise<Uint8Array> {
  const file = await demo.terminal.board.memory.open(name)
  try {
    return await file.read(0, file.sizeBytes)
  } finally {
    await file.close()
  }
}

function text(n: number): Uint8Array {
  return new TextEncoder().encode(`Diary, part ${n}.\n`.repeat(120))
}
