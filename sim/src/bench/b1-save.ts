/**
 * B1: photos from a device to two sealed, fsynced replicas with a signed receipt and the conditions ready for the card;
 * every part a process of its own. Beside it, in the same run: what broker, disk and ciphers could carry at most, and
 * restic and rclone putting the same photos in two encrypted places.
 */
import { spawnSync } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { SimulatedSite } from '../site/site.ts'
import { quietLog } from '../testkit/log.ts'
import { places } from '../testkit/places.ts'
import { bareForward } from './bare-forward.ts'
import { benchMember } from './member.ts'
import { cpuSecondsOf, Measured, memoryOf } from './process.ts'
import { type BenchContext, median, type Row, rounded, spread } from './row.ts'

interface Size {
  megabytes: number
  photos: number
}

/** Writes per byte kept: the device's spool, the receive buffer, and two replicas with 2 parity shards for 16 of data. */
const writes = 1 + 1 + 2 * (18 / 16)
/**
 * Passes over each byte that no design of these guarantees can leave out. SHA-256: plaintext and leaf at the device, leaf
 * at the gateway, plaintext at placement, leaf of each replica at placement and at its server. AES-GCM: transfer
 * both ways, slot 1, and TLS both ways for two replicas. ChaCha20: slot 2.
 */
const passes = { sha: 8, aes: 7, chacha: 1 }
const memoryMostMb = 200

export async function run(context: BenchContext): Promise<Row[]> {
  const { folder, quick, tell } = context
  const sizes: Size[] = quick
    ? [
        { megabytes: 0.2, photos: 10 },
        { megabytes: 5, photos: 3 },
        { megabytes: 12, photos: 2 },
      ]
    : [
        { megabytes: 0.2, photos: 60 },
        { megabytes: 5, photos: 10 },
        { megabytes: 12, photos: 5 },
      ]
  const rounds = quick ? 1 : 3
  const site = new SimulatedSite({ folder: `${folder}/site`, servers: places.slice(0, 3), boards: [], log: quietLog })
  let device: Measured | undefined
  try {
    tell('a site with three data servers and a device')
    await site.start()
    const member = await benchMember(site.folder)
    device = await startDevice(site)
    const rows: Row[] = []
    for (const size of sizes) {
      const ours: number[] = []
      const ceilings: number[] = []
      const restic: number[] = []
      const rclone: number[] = []
      let bounds = ''
      let busy = ''
      for (let round = 0; round < rounds; round++) {
        tell(`${size.megabytes} MB, round ${round + 1} of ${rounds}`)
        const photos = makePhotos(`${folder}/photos`, size)
        const total = photos.length * size.megabytes
        const processes = [device.pid, site.gateway!.pid, ...[...site.servers.values()].map((one) => one.process!.pid)]
        const before = processes.map(cpuSecondsOf)
        const started = performance.now()
        for (const photo of photos) device.ask({ keep: photo, ...member })
        for (const _ of photos) {
          const { kept, problem } = await device.said('kept')
          if (problem) throw new Error(`${kept} was refused: ${problem}`)
        }
        const seconds = (performance.now() - started) / 1000
        ours.push(total / seconds)
        const used = processes.map((pid, at) => (cpuSecondsOf(pid) - before[at]!) / seconds)
        busy = `cores busy: device ${used[0]!.toFixed(2)}, gateway ${used[1]!.toFixed(2)}, servers ${used
          .slice(2)
          .map((one) => one.toFixed(2))
          .join(' ')}`
        const limit = await ceiling(folder, quick)
        ceilings.push(limit.megabytesPerSecond)
        bounds = limit.what
        for (const [peer, found] of [
          [resticTwice, restic],
          [rcloneTwice, rclone],
        ] as const) {
          const took = peer(`${folder}/photos`, `${folder}/peer`)
          if (took !== undefined) found.push(total / took)
          rmSync(`${folder}/peer`, { recursive: true, force: true })
        }
        rmSync(`${folder}/photos`, { recursive: true })
      }
      const against = (
        what: string,
        figures: number[],
        target: string,
        least: number | undefined,
        note: string,
      ): Row => {
        const value = median(ours)
        const peer = figures.length > 0 ? median(figures) : null
        const ratio = peer === null ? null : value / peer
        return {
          row: 'B1',
          what: `save ${size.megabytes} MB photos, against ${what}`,
          value: rounded(value),
          unit: 'MB/s',
          peer: peer && rounded(peer),
          ratio: ratio && rounded(ratio, 3),
          target,
          met: ratio === null || least === undefined ? null : ratio >= least,
          note: peer === null ? `${what} is not installed` : note,
        }
      }
      rows.push(
        against(
          'the ceiling',
          ceilings,
          '≥ 0.8',
          0.8,
          `${rounded(median(ours) / size.megabytes)} photos/s, ${spread(ours, 1)} MB/s; ceiling: ${bounds}; ${busy}`,
        ),
        against(
          'restic backup × 2',
          restic,
          '≥ 3 ×',
          3,
          `restic ${restic.length ? spread(restic, 1) : ''} MB/s; two repositories, one after the other`,
        ),
        against(
          'rclone copy × 2',
          rclone,
          '',
          undefined,
          'two crypt remotes, one after the other; rclone does not sync to disk',
        ),
      )
    }
    const memory = [
      ['device', device.pid],
      ['gateway', site.gateway!.pid],
      ...[...site.servers.values()].map((one) => [one.place.id, one.process!.pid] as const),
    ] as const
    const most = memory.map(([name, pid]) => ({ name, mb: memoryOf(pid).mostMb }))
    const worst = Math.max(...most.map(({ mb }) => mb))
    rows.push({
      row: 'B1',
      what: 'the most memory of any process, all sizes',
      value: rounded(worst, 0),
      unit: 'MB',
      peer: memoryMostMb,
      ratio: rounded(worst / memoryMostMb),
      target: '≤ 200 MB',
      met: worst <= memoryMostMb,
      note: most.map(({ name, mb }) => `${name} ${mb.toFixed(0)}`).join(', '),
    })
    return rows
  } finally {
    await device?.end()
    await site.stop()
  }
}

async function startDevice(site: SimulatedSite): Promise<Measured> {
  const folder = `${site.folder}/devices/bench`
  mkdirSync(folder, { recursive: true })
  const claim = await site.newClaim('JP-27')
  const script = fileURLToPath(new URL('device-process.ts', import.meta.url))
  const device = new Measured([
    '--max-semi-space-size=1',
    script,
    JSON.stringify({ broker: `mqtt://127.0.0.1:${site.port}`, folder, claim }),
  ])
  await device.said('up')
  return device
}

/** Photos that neither compress nor repeat. */
function makePhotos(folder: string, { megabytes, photos }: Size): string[] {
  mkdirSync(folder, { recursive: true })
  const bytes = Math.round(megabytes * 1e6)
  return Array.from({ length: photos }, (_, photo) => {
    const content = Buffer.allocUnsafe(bytes)
    for (let at = 0; at < bytes; at += 65_536)
      crypto.getRandomValues(content.subarray(at, Math.min(bytes, at + 65_536)))
    writeFileSync(`${folder}/${photo}.jpg`, content)
    return `${folder}/${photo}.jpg`
  })
}

/** What this machine could carry at this moment if nothing but the unavoidable were done. */
async function ceiling(folder: string, quick: boolean): Promise<{ megabytesPerSecond: number; what: string }> {
  const broker = await bareForward(quick ? 300 : 1_000)
  const disk = diskRate(folder, quick ? 32 : 128)
  const block = new Uint8Array(65_536)
  const cipher = (algorithm: 'aes-256-gcm' | 'chacha20-poly1305') => () => {
    const one = createCipheriv(algorithm as 'aes-256-gcm', new Uint8Array(32), new Uint8Array(12), {
      authTagLength: 16,
    })
    one.update(block)
    one.final()
  }
  const sha = rate(() => createHash('sha256').update(block).digest())
  const aes = rate(cipher('aes-256-gcm'))
  const chacha = rate(cipher('chacha20-poly1305'))
  const cores = cpus().length
  const bounds = {
    broker,
    [`disk ${disk.toFixed(0)} ÷ ${writes}`]: disk / writes,
    'ciphers and hashes': cores / (passes.sha / sha + passes.aes / aes + passes.chacha / chacha),
  }
  const megabytesPerSecond = Math.min(...Object.values(bounds))
  return {
    megabytesPerSecond,
    what: Object.entries(bounds)
      .map(([name, value]) => `${name} ${value.toFixed(0)}`)
      .join(', '),
  }
}

/** MB/s of a step over 64 KiB on one core. */
function rate(step: () => unknown): number {
  const started = performance.now()
  let steps = 0
  while (performance.now() - started < 150) {
    step()
    steps++
  }
  return (steps * 65.536) / (performance.now() - started)
}

/** MB/s of sequential writing with a sync for every 8 blocks of 64 KiB, as the buffer does. */
function diskRate(folder: string, megabytes: number): number {
  const file = openSync(`${folder}/disk-rate`, 'w')
  const chunk = crypto.getRandomValues(new Uint8Array(65_536))
  const started = performance.now()
  for (let written = 0, blocks = 1; written < megabytes * 1e6; written += chunk.length, blocks++) {
    writeSync(file, chunk)
    if (blocks % 8 === 0) fsyncSync(file)
  }
  fsyncSync(file)
  const seconds = (performance.now() - started) / 1000
  closeSync(file)
  rmSync(`${folder}/disk-rate`)
  return megabytes / seconds
}

/** Seconds of two `restic backup`s; undefined where restic is not installed. @throws when the files are not in both */
function resticTwice(photos: string, work: string): number | undefined {
  mkdirSync(work, { recursive: true })
  const environment = { RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: `${work}/cache`, HOME: work }
  const restic = (...args: string[]) => command('restic', ['--quiet', ...args], environment)
  const repositories = [`${work}/one`, `${work}/two`]
  for (const repository of repositories) if (!restic('init', '--repo', repository)) return undefined
  const started = performance.now()
  for (const repository of repositories) restic('backup', '--repo', repository, photos)
  return (performance.now() - started) / 1000
}

/** Seconds of two `rclone copy`s to crypt remotes; undefined where rclone is not installed. */
function rcloneTwice(photos: string, work: string): number | undefined {
  mkdirSync(work, { recursive: true })
  const environment = { RCLONE_CONFIG: `${work}/rclone.conf`, HOME: work }
  const password = command('rclone', ['obscure', 'bench'], environment)?.trim()
  if (password === undefined) return undefined
  writeFileSync(
    environment.RCLONE_CONFIG,
    ['one', 'two']
      .map((name) => `[${name}]\ntype = crypt\nremote = ${work}/${name}\npassword = ${password}\n`)
      .join('\n'),
  )
  const started = performance.now()
  for (const name of ['one', 'two']) command('rclone', ['copy', photos, `${name}:`], environment)
  const seconds = (performance.now() - started) / 1000
  const count = readdirSync(photos).length
  for (const name of ['one', 'two'])
    if (readdirSync(`${work}/${name}`).length !== count) throw new Error('rclone did not copy everything')
  return seconds
}

/** Standard output; undefined when there is no such program. */
function command(name: string, args: string[], environment: Record<string, string>): string | undefined {
  const { status, stdout, stderr, error } = spawnSync(name, args, {
    encoding: 'utf8',
    timeout: 300_000,
    env: { PATH: process.env['PATH'] ?? '', ...environment },
  })
  if (error && 'code' in error && error.code === 'ENOENT') return undefined
  if (status !== 0) throw new Error(`${name} ${args[0]}: ${stderr}`)
  return stdout || ' '
}
