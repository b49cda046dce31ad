/**
 * B5: an audit's rounds over a data server of more than 3 GiB on real files: what a round of random leaves reads, how surely
 * it finds one bad leaf in a hundred, and how fast the server scans and repairs; beside them the full fetch and the disk.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { openDatabase } from '@azukari/gateway/adapters/database'
import { filesIn, replicaName } from '@azukari/gateway/data-server/layout'
import { createDataServer, type DataServer } from '@azukari/gateway/data-server/server'
import { fixedTrust } from '@azukari/gateway/data-server/trust'
import { lookAtLeaves, planLeaves, takeLeaves } from '@azukari/gateway/services/placement/audit/probes'
import { pickLeaves, sampleSize } from '@azukari/gateway/services/placement/audit/sample'
import { createKeys } from '@azukari/gateway/services/placement/keys/keystore'
import { placementMigrations } from '@azukari/gateway/services/placement/migrations'
import type { ReplacePorts } from '@azukari/gateway/services/placement/moves/making'
import { replicas, type ServerRow, servers } from '@azukari/gateway/services/placement/store'
import { migrate } from '@azukari/gateway/storage/migrate'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { signerOf } from '@azukari/protocol/cose'
import { coseKey, generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { type Manifest, signManifest } from '@azukari/protocol/manifest'
import { TreeHash } from '@azukari/protocol/merkle'
import type { Files } from '@azukari/protocol/ports'
import { InternalError } from '@azukari/protocol/problem'
import { openScrubReport } from '@azukari/protocol/scrub'
import {
  sealedBytes,
  sealedFormat,
  segmentCount,
  segmentPlainBytes,
  segmentSealedBytes,
} from '@azukari/protocol/sealed'
import { quietLog } from '../testkit/log.ts'
import { SeededRandom } from '../testkit/world/chance.ts'
import { type BenchContext, median, type Row, rounded, spread } from './row.ts'

/** Photos of the size that a camera makes. */
const plainBytes = 183 * segmentPlainBytes
const share = 0.01
const certainty = 0.99

export async function run({ quick, folder, tell }: BenchContext): Promise<Row[]> {
  const objects = quick ? 20 : 288
  const site = await build(folder, objects)
  const sealed = objects * sealedBytes(plainBytes)
  tell(`${(sealed / 2 ** 30).toFixed(2)} GiB are kept in ${objects} replicas`)
  const { server, counted } = site
  const signal = new AbortController().signal

  // A round over sound data, and everything fetched.
  const sound = await round(site, signal, false)
  if (sound.found > 0) throw new InternalError('a round found what is not there')
  tell(`a round of ${sound.leaves} leaves read ${(sound.readBytes / 1e6).toFixed(1)} MB in ${sound.ms.toFixed(0)} ms`)
  const fetched = await timed(counted, () => fetchAll(server, site.names, quick ? 10 : 24))
  const fetchMs = (fetched.ms * objects) / (quick ? 10 : 24)

  // Scan, beside the disk itself.
  const scans: number[] = []
  for (let at = 0; at < (quick ? 1 : 2); at++) {
    const scanned = await timed(counted, () => scan(server, site))
    scans.push(scanned.readBytes / 1e3 / scanned.ms)
  }
  const disk = diskRate(folder, quick ? 20 : 120)
  tell(`scanned at ${median(scans).toFixed(0)} MB/s, the disk reads ${disk?.toFixed(0) ?? '?'} MB/s`)

  // One leaf in a hundred is bad.
  const leaves = objects * segmentCount(plainBytes)
  const bad = new Set(pickLeaves(leaves, Math.round(leaves * share), systemRandom))
  for (const leaf of bad) await spoil(site, leaf)
  const until = await round(site, signal, true)
  if (until.found === 0 && !quick) tell('a round found nothing: one in a hundred may')
  const draws = quick ? 500 : 20_000
  const chance = new SeededRandom(5, 5)
  let hits = 0
  const size = sampleSize(share, certainty)
  for (let at = 0; at < draws; at++) if (pickLeaves(leaves, size, chance).some((leaf) => bad.has(leaf))) hits++
  const repairing = await timed(counted, () => scan(server, site))
  tell(`${repairing.value.repaired} shards repaired in ${repairing.ms.toFixed(0)} ms`)
  const left = repairing.value.unrepairable
  await site.close()

  const readShare = sound.readBytes / sealed
  // Exactly, by counting: drawn without replacement. The draws only check it.
  let misses = 1
  for (let at = 0; at < size; at++) misses *= 1 - bad.size / (leaves - at)
  const probability = 1 - misses
  if (Math.abs(hits / draws - probability) > 0.01) throw new InternalError('the draws are not even')
  const scanRate = median(scans)
  return [
    {
      row: 'B5',
      what: `a round of ${size} random leaves: bytes read of ${(sealed / 2 ** 30).toFixed(2)} GiB`,
      value: rounded(sound.readBytes / 1e6),
      unit: 'MB',
      peer: rounded(sealed / 1e6),
      ratio: rounded(readShare, 4),
      target: '< 0.01 × of the bytes',
      met: quick ? null : readShare < 0.01,
      note: `read from files, hash records included; ${rounded(sound.ms / 1000)} s against ${rounded(fetchMs / 1000)} s for fetching everything`,
    },
    {
      row: 'B5',
      what: `probability that a round finds 1 % bad leaves`,
      value: rounded(probability, 4),
      unit: '',
      peer: certainty,
      ratio: rounded(probability / certainty, 4),
      target: '≥ 0.99',
      met: probability >= certainty,
      note: `${leaves} leaves, ${bad.size} of them bad; ${hits} of ${draws} draws found one`,
    },
    {
      row: 'B5',
      what: 'bytes read until the first bad leaf is found',
      value: rounded(until.readBytes / 1e6),
      unit: 'MB',
      peer: rounded(sealed / 1e6),
      ratio: rounded(until.readBytes / sealed, 5),
      target: '< 0.01 × of the bytes',
      met: quick ? null : until.found > 0 && until.readBytes / sealed < 0.01,
      note: `after ${until.leaves} leaves and ${until.ms.toFixed(0)} ms; the stripe around it is read and repaired at once`,
    },
    {
      row: 'B5',
      what: 'scan of all media',
      value: rounded(scanRate, 0),
      unit: 'MB/s',
      peer: disk === undefined ? null : rounded(disk, 0),
      ratio: disk === undefined ? null : rounded(scanRate / disk),
      target: '≥ 0.7 × the disk',
      met: disk === undefined || quick ? null : scanRate / disk >= 0.7,
      note: `${spread(scans)} MB/s; the disk read past its cache by dd, in the same run`,
    },
    {
      row: 'B5',
      what: 'scan that repairs 1 % bad leaves by parity',
      value: rounded(repairing.readBytes / 1e3 / repairing.ms, 0),
      unit: 'MB/s',
      peer: rounded(scanRate, 0),
      ratio: rounded(repairing.readBytes / 1e3 / repairing.ms / scanRate),
      target: '—',
      met: null,
      note: `${repairing.value.repaired} parts restored, ${rounded((repairing.value.repaired * segmentSealedBytes) / 1e3 / repairing.ms, 1)} MB/s of them; ${left} replicas beyond parity`,
    },
  ]
}

type Site = Awaited<ReturnType<typeof build>>

/** A data server with that many replicas, and placement's records of them. */
async function build(folder: string, objects: number) {
  const counted = { bytes: 0 }
  const files = countingFiles(systemFiles(), counted)
  const { keys } = createKeys(systemRandom)
  const identity = generateKey('ed25519', systemRandom)
  const server = await createDataServer({
    id: 'ds-1',
    identity,
    clock: systemClock,
    random: systemRandom,
    files,
    log: quietLog,
    disks: [{ path: `${folder}/disk`, capacityBytes: 1e12 }],
    trust: fixedTrust([publicOf(keys.signing)]),
  })
  const database = openDatabase(`${folder}/placement.db`)
  await migrate(database, [{ set: 'placement', migrations: placementMigrations }], 1)
  const signer = signerOf(keys.signing)
  await servers.put(database, {
    id: 'ds-1',
    name: 'ds-1',
    region: 'JP-13',
    latitude: 0,
    longitude: 0,
    domain: 'a',
    url: '',
    capacity: 1e12,
    key: coseKey(publicOf(identity)),
    kid: thumbprint(identity),
    rates: '[]',
  })
  const names: { object: Uint8Array; version: number; slot: 1 }[] = []
  const count = segmentCount(plainBytes)
  const sealed = sealedBytes(plainBytes)
  const pool = systemRandom.bytes(sealed + objects * 16)
  const keep = async (at: number): Promise<void> => {
    const name = { object: systemRandom.bytes(16), version: 1, slot: 1 as const }
    // What is kept looks random; each replica begins elsewhere in the same random bytes.
    const segment = (index: number) => {
      const from = at * 16 + index * segmentSealedBytes
      return pool.subarray(from, from + segmentSealedBytes)
    }
    const tree = new TreeHash()
    for (let index = 0; index < count; index++) tree.add(segment(index))
    const manifest: Manifest = {
      format: sealedFormat,
      ...name,
      epoch: 1,
      server: 'ds-1',
      serverKey: thumbprint(identity),
      algorithm: 'A256GCM',
      keyId: systemRandom.bytes(8),
      segmentBytes: segmentPlainBytes,
      segments: count,
      plainBytes,
      sealedBytes: sealed,
      root: tree.root(),
      createdMs: 1,
      owner: { member: new Uint8Array(16), key: coseKey(publicOf(identity)) },
    }
    const signed = signManifest(manifest, signer)
    const all = async function* () {
      for (let index = 0; index < count; index++) yield segment(index)
    }
    const receipt = await server.put(signed, systemRandom.bytes(60), all())
    await replicas.put(database, {
      ...name,
      server: 'ds-1',
      epoch: 1,
      algorithm: 'A256GCM',
      key_id: manifest.keyId,
      wrapped_key: new Uint8Array(60),
      prefix: new Uint8Array(7),
      root: manifest.root,
      sealed,
      manifest: signed,
      receipt,
      reason: '{}',
    })
    names.push(name)
  }
  // Several at once, so that the disk’s syncs are waited for together.
  for (let at = 0; at < objects; at += 8)
    await Promise.all(Array.from({ length: Math.min(8, objects - at) }, (_, i) => keep(at + i)))
  names.sort((a, b) => Buffer.compare(a.object, b.object))
  const ports: Pick<ReplacePorts, 'store' | 'dataServers' | 'signer' | 'random' | 'clock'> = {
    store: { sql: database, transaction: async () => unused(), commit: () => unused() },
    dataServers: { of: () => server },
    signer,
    random: systemRandom,
    clock: systemClock,
  }
  const row: ServerRow = (await servers.byId(database, 'ds-1'))!
  const close = () => database.close()
  return { server, identity, folder, names, ports: ports as ReplacePorts, row, counted, close }
}

function unused(): never {
  throw new InternalError('a look writes nothing')
}

/** One round of random leaves, through the code that audits. @param untilFound stops at the first bad one */
async function round({ ports, row, counted }: Site, signal: AbortSignal, untilFound: boolean) {
  const { value, ms, readBytes } = await timed(counted, async () => {
    let rest = await planLeaves(ports, row.id, sampleSize(share, certainty), signal)
    let leaves = 0
    let found = 0
    for (let taken = takeLeaves(rest); taken; taken = takeLeaves(rest)) {
      rest = taken.rest
      leaves += taken.next.indexes.length
      const { met } = await lookAtLeaves(ports, row, taken.next, signal).catch(() => ({ met: 'damaged' as const }))
      if (met) found++
      if (met && untilFound) break
    }
    return { leaves, found }
  })
  return { ...value, ms, readBytes }
}

async function fetchAll(server: DataServer, names: Site['names'], count: number): Promise<void> {
  for (const name of names.slice(0, count))
    for await (const segment of server.readSegments(name, 0, segmentCount(plainBytes)))
      if (segment.length !== segmentSealedBytes) throw new InternalError('a segment has not its size')
}

/** The server's own scan, from the first replica to the last. */
async function scan(server: DataServer, { identity }: Site): Promise<{ repaired: number; unrepairable: number }> {
  const total = { repaired: 0, unrepairable: 0 }
  for (;;) {
    const report = openScrubReport(await server.scrub(256 * 1024 * 1024), publicOf(identity))
    total.repaired += report.repairedShards
    total.unrepairable += report.unrepairable.length
    if (report.complete) return total
  }
}

/** Flips bits of one leaf on the medium. */
async function spoil({ folder, names }: Site, leaf: number): Promise<void> {
  const count = segmentCount(plainBytes)
  const name = replicaName(names[Math.floor(leaf / count)]!)
  const path = filesIn(`${folder}/disk/replicas/${name.slice(0, 2)}/${name}`).segments
  const handle = await systemFiles().open(path, 'write')
  try {
    const at = (leaf % count) * segmentSealedBytes + 1_000
    const bytes = await handle.read(at, 16)
    await handle.write(
      at,
      bytes.map((byte) => byte ^ 0x55),
    )
  } finally {
    await handle.close()
  }
}

/** What the disk reads past the page cache, MB/s; undefined where it cannot be told. */
function diskRate(folder: string, count: number): number | undefined {
  const root = `${folder}/disk/replicas`
  const paths = readdirSync(root).flatMap((bucket) =>
    readdirSync(`${root}/${bucket}`).map((name) => filesIn(`${root}/${bucket}/${name}`).segments),
  )
  const started = performance.now()
  try {
    for (const path of paths.slice(0, count))
      execFileSync('dd', [`if=${path}`, 'of=/dev/null', 'bs=1M', 'iflag=direct'], { stdio: 'ignore', timeout: 60_000 })
  } catch {
    return undefined
  }
  return (Math.min(count, paths.length) * sealedBytes(plainBytes)) / 1e3 / (performance.now() - started)
}

async function timed<T>(counted: { bytes: number }, work: () => Promise<T>) {
  const bytesBefore = counted.bytes
  const started = performance.now()
  const value = await work()
  return { value, ms: performance.now() - started, readBytes: counted.bytes - bytesBefore }
}

/** Files that count what is read. */
function countingFiles(files: Files, counted: { bytes: number }): Files {
  return {
    open: async (path, mode) => {
      const handle = await files.open(path, mode)
      return {
        read: async (at, length, into) => {
          const bytes = await handle.read(at, length, into)
          counted.bytes += bytes.length
          return bytes
        },
        write: (at, bytes) => handle.write(at, bytes),
        truncate: (size) => handle.truncate(size),
        size: () => handle.size(),
        sync: () => handle.sync(),
        close: () => handle.close(),
      }
    },
    rename: (from, to) => files.rename(from, to),
    remove: (path) => files.remove(path),
    list: (directory) => files.list(directory),
    makeDirectory: (path) => files.makeDirectory(path),
    syncDirectory: (path) => files.syncDirectory(path),
    stat: (path) => files.stat(path),
    freeBytes: (path) => files.freeBytes(path),
  }
}
