/**
 * B4: the device runtime as a process of its own, beside a bare `node` and a bare MQTT.js client in the same run: as the
 * sources stand, and as a board runs it: bundled into one file. Then from the sources with the drivers of each board definition.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Aedes } from 'aedes'
import { build } from 'esbuild'
import { SimulatedSite } from '../site/site.ts'
import { quietLog } from '../testkit/log.ts'
import { places } from '../testkit/places.ts'
import { boardRows } from './b4-boards.ts'
import { installedMegabytes } from './installed.ts'
import { type BenchMember, benchMember } from './member.ts'
import { diskBytesOf, Measured, memoryOf, pause } from './process.ts'
import { type BenchContext, median, type Row, rounded, spread } from './row.ts'

const photoBytes = 12_000_000
const photos = 3
/** How a board should run it (README of @azukari/device): a young generation of 1 MB gives block memory back sooner. */
const lean = ['--max-semi-space-size=1']

export async function run(context: BenchContext): Promise<Row[]> {
  const { folder, quick, tell } = context
  const rounds = quick ? 2 : 5
  const site = new SimulatedSite({ folder: `${folder}/site`, servers: places.slice(0, 3), boards: [], log: quietLog })
  const bare = await bareBroker()
  try {
    tell('a site with three data servers, and a bare broker beside it')
    await site.start()
    const member = await benchMember(site.folder)
    const broker = `mqtt://127.0.0.1:${site.port}`
    tell('bundling')
    const scripts = {
      device: { source: here('device-process.ts'), bundled: await bundle('device-process.ts', folder) },
      client: { source: here('client-process.ts'), bundled: await bundle('client-process.ts', folder) },
    }
    const node = `${folder}/node.mjs`
    writeFileSync(node, `process.stdout.write('{"up":true}\\n'); setInterval(() => {}, 1 << 30)\n`)

    const kinds = {
      node: { args: [node] },
      'client, source': { args: [scripts.client.source, bare.url] },
      'client, bundled': { args: [...lean, scripts.client.bundled, bare.url] },
      'device, source': {
        args: [scripts.device.source, await enrolled(site, broker, scripts.device.source, 'source')],
      },
      'device, bundled': {
        args: [...lean, scripts.device.bundled, await enrolled(site, broker, scripts.device.source, 'bundled')],
      },
    }
    type Kind = keyof typeof kinds
    const start: Record<Kind, number[]> = forAll(kinds)
    const idle: Record<Kind, number[]> = forAll(kinds)
    const upload: number[] = []
    let writtenBytes = 0
    let watchedMs = 0
    for (let round = 0; round < rounds; round++) {
      tell(`round ${round + 1} of ${rounds}`)
      for (const kind of Object.keys(kinds) as Kind[]) {
        const measured = new Measured(kinds[kind].args)
        try {
          await measured.said('up')
          start[kind].push(performance.now() - measured.startedMs)
          await pause(quick ? 1_000 : 2_500)
          idle[kind].push(memoryOf(measured.pid).nowMb)
          if (kind !== 'device, bundled') continue
          const before = diskBytesOf(measured.pid)
          const watched = quick ? 1_000 : 5_000
          await pause(watched)
          writtenBytes += diskBytesOf(measured.pid) - before
          watchedMs += watched
          upload.push(await mostDuringUpload(measured, member, folder))
        } finally {
          await measured.end()
        }
      }
    }
    const of = (figures: Record<Kind, number[]>, kind: Kind) => rounded(median(figures[kind]), 1)
    const against = (
      what: string,
      unit: string,
      figures: Record<Kind, number[]>,
      ours: Kind,
      peer: Kind,
      limit: number,
      note = '',
    ) => {
      const ratio = rounded(median(figures[ours]) / median(figures[peer]), 3)
      return {
        row: 'B4',
        what,
        unit,
        value: of(figures, ours),
        peer: of(figures, peer),
        ratio,
        target: `≤ ${limit} × ${peer}`,
        met: ratio <= limit,
        note: `${spread(figures[ours], 1)} against ${spread(figures[peer], 1)} of ${peer}${note}`,
      }
    }
    const bareNode = `; bare node ${of(idle, 'node')} MB`
    const delta = median(upload) - median(idle['device, bundled'])
    const bundleMb = statSync(scripts.device.bundled).size / 1e6
    const deviceMb = installedMegabytes(['@azukari/device'])
    const clientMb = installedMegabytes(['mqtt'])
    const boards = await boardRows(context, here('board-process.ts'), (board) =>
      enrolled(site, broker, here('board-process.ts'), board, { board }),
    )
    return [
      against('memory idle, bundled', 'MB', idle, 'device, bundled', 'client, bundled', 1, bareNode),
      against(
        'memory idle, bundled, to the client as it is',
        'MB',
        idle,
        'device, bundled',
        'client, source',
        1,
        bareNode,
      ),
      {
        ...against('memory idle, sources', 'MB', idle, 'device, source', 'client, source', 1, bareNode),
        met: null,
        target: '',
      },
      {
        row: 'B4',
        what: `memory during uploads of 12 MB, above idle`,
        unit: 'MB',
        value: rounded(delta, 1),
        peer: of(idle, 'device, bundled'),
        ratio: null,
        target: '≤ 16 MB',
        met: delta <= 16,
        note: `most of ${photos} photos: ${spread(upload, 1)} MB`,
      },
      against('cold start to birth acknowledged, bundled', 'ms', start, 'device, bundled', 'client, bundled', 1.2),
      {
        ...against('cold start to birth acknowledged, sources', 'ms', start, 'device, source', 'client, source', 1.2),
        met: null,
        target: '',
      },
      {
        row: 'B4',
        what: 'disk writes per hour, idle',
        unit: 'MB',
        value: rounded((writtenBytes / watchedMs) * 3.6, 3),
        peer: null,
        ratio: null,
        target: '',
        met: null,
        note: `extrapolated from ${rounded(watchedMs / 1000, 0)} s of the kernel’s count; a report every 15 min writes nothing`,
      },
      {
        row: 'B4',
        what: 'installed, bundled',
        unit: 'MB',
        value: rounded(bundleMb),
        peer: rounded(clientMb),
        ratio: rounded(bundleMb / clientMb),
        target: '',
        met: null,
        note: `one file of ${rounded(bundleMb)} MB; with packages ${rounded(deviceMb)} MB; MQTT.js alone ${rounded(clientMb)} MB`,
      },
      ...boards,
    ]
  } finally {
    await site.stop()
    await bare.close()
  }
}

function forAll<K extends string>(kinds: Record<K, unknown>): Record<K, number[]> {
  return Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []])) as unknown as Record<K, number[]>
}

function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url))
}

/** One file with everything that is used, as a board would run it. */
async function bundle(file: string, folder: string): Promise<string> {
  const outfile = `${folder}/${file.replace('.ts', '.mjs')}`
  await build({
    entryPoints: [here(file)],
    outfile,
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    logLevel: 'silent',
    external: ['cbor-extract', 'bufferutil', 'utf-8-validate'],
    banner: { js: `import { createRequire as __r } from 'node:module'; const require = __r(import.meta.url);` },
  })
  return outfile
}

/** Enrols a device, so that what is timed later is a start and not an enrolment. */
async function enrolled(
  site: SimulatedSite,
  broker: string,
  script: string,
  name: string,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const folder = `${site.folder}/devices/${name}`
  mkdirSync(folder, { recursive: true })
  const claim = await site.newClaim('JP-27')
  const measured = new Measured([script, JSON.stringify({ broker, folder, claim, ...more })])
  await measured.said('up')
  await measured.end()
  return JSON.stringify({ broker, folder, ...more })
}

/** The most memory while photos are sealed and sent; believed only when each was really kept. */
async function mostDuringUpload(measured: Measured, member: BenchMember, folder: string): Promise<number> {
  let most = 0
  const timer = setInterval(() => {
    most = Math.max(most, memoryOf(measured.pid).nowMb)
  }, 10)
  try {
    for (let photo = 0; photo < photos; photo++) {
      const file = `${folder}/photo-${photo}.jpg`
      writeFileSync(file, crypto.getRandomValues(new Uint8Array(65_536)))
      const one = crypto.getRandomValues(new Uint8Array(60_000))
      writeFileSync(file, Buffer.concat(Array.from({ length: photoBytes / one.length }, () => one)))
      measured.ask({ keep: file, ...member })
      const { problem } = await measured.said('kept')
      if (problem) throw new Error(`a photo was refused: ${problem}`)
    }
    return most
  } finally {
    clearInterval(timer)
  }
}

/** aedes and nothing else. */
async function bareBroker(): Promise<{ url: string; close(): Promise<void> }> {
  const broker = await Aedes.createBroker()
  const server = createServer((socket) => broker.handle(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    url: `mqtt://127.0.0.1:${port}`,
    close: async () => {
      await new Promise<void>((resolve) => broker.close(() => resolve()))
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
