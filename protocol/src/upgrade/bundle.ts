/** Bundles on their way into a slot, and what lies in one: read, written and held against what was signed (D6). */
import { createHash, type KeyObject } from 'node:crypto'
import { makeDurableDirectory } from '../durable-directory.ts'
import type { FileHandle, Files } from '../ports.ts'
import { isProblem, Problem } from '../problem.ts'
import {
  type Installed,
  openUpgrade,
  refusalOf,
  type UpgradeManifest,
  upgradeManifestMaxBytes,
  upgradeName,
} from './manifest.ts'
import type { SlotStore } from './slot-store.ts'
import type { Held, SlotName } from './slots.ts'

/** Where a bundle comes from: a folder, or the gateway piece by piece. */
export interface BundleSource {
  manifest(): Promise<Uint8Array>
  /** Up to `length` bytes of one of the manifest's files; none when it ends before. */
  read(path: string, at: number, length: number): Promise<Uint8Array>
}

export interface StageOptions {
  store: SlotStore
  source: BundleSource
  installed: Omit<Installed, 'floor'>
  releaseKey: KeyObject
  signal?: AbortSignal
  /** Bytes of the bundle on disk so far. */
  onProgress?: (bytes: number) => void
}

const manifestName = 'manifest.cose'
/** What is asked for at once, in bytes. */
const pieceBytes = 32 * 1024

/**
 * Brings a release into the slot that does not run, and leaves it staged. Begun again after a break or a power cut it
 * goes on with what is on disk; each file is held against its hash before it counts.
 * @throws {Problem} `upgrade.*`, `storage.*`, and the source's
 */
export async function stage({ store, source, installed, releaseKey, signal, onProgress }: StageOptions): Promise<Held> {
  const { files } = store
  const signed = await source.manifest()
  const manifest = openUpgrade(signed, releaseKey, store.program)
  const slots = await store.read()
  const refusal = refusalOf(manifest, { ...installed, floor: slots.floor })
  if (refusal) throw refusal
  const release = { version: manifest.version, sequence: manifest.sequence, name: upgradeName(signed) }
  const under =
    slots.attempt && Buffer.from(slots.attempt.release.name).equals(release.name) ? slots.attempt : undefined
  if (under && under.phase !== 'staging') return release
  const slot = (under ? slots : await store.step({ kind: 'begin', release })).attempt!.slot
  const directory = store.directoryOf(slot)
  await makeDurableDirectory(files, `${directory}/files`)
  await removeOthers(files, `${directory}/files`, manifest)
  await writeWhole(files, `${directory}/${manifestName}`, signed)
  let done = 0
  for (const { path, bytes, hash } of manifest.files) {
    const target = `${directory}/files/${path}`
    await makeDurableDirectory(files, target.slice(0, target.lastIndexOf('/')))
    await fill(files, target, bytes, hash, async (at, length) => {
      signal?.throwIfAborted()
      return source.read(path, at, length)
    })
    done += bytes
    onProgress?.(done)
  }
  for (const at of directoriesOf(manifest)) await files.syncDirectory(`${directory}/files${at}`)
  await files.syncDirectory(directory)
  // Read back from what the disk now says, before anybody relies on it.
  await openSlot(store, slot, releaseKey)
  await store.step({ kind: 'staged' })
  return release
}

/**
 * What lies in a slot, when every byte is what the release key signed, and nothing else lies beside it.
 * @throws {Problem} `upgrade.damaged`, `upgrade.truncated`, `upgrade.wrong-signer`, `cbor.*`, `storage.*`
 */
export async function openSlot(store: SlotStore, slot: SlotName, releaseKey: KeyObject): Promise<UpgradeManifest> {
  const { files } = store
  const directory = store.directoryOf(slot)
  const manifest = openUpgrade(
    await readWhole(files, `${directory}/${manifestName}`, upgradeManifestMaxBytes),
    releaseKey,
    store.program,
  )
  const lying = await listAll(files, `${directory}/files`)
  const wanted = new Set(manifest.files.map(({ path }) => path))
  const other = lying.find((path) => !wanted.has(path))
  if (other !== undefined) throw new Problem('upgrade.damaged', `${other} is not of the bundle`)
  for (const { path, bytes, hash } of manifest.files) {
    const file = await openOr(files, `${directory}/files/${path}`)
    if (!file) throw new Problem('upgrade.truncated', `${path} is absent`)
    try {
      if ((await file.size()) !== bytes) throw new Problem('upgrade.truncated', path)
      if (!(await hashOf(file, bytes)).equals(hash)) throw new Problem('upgrade.damaged', path)
    } finally {
      await file.close()
    }
  }
  return manifest
}

/** A bundle that lies in a folder as `manifest.cose` and `files/`. */
export function folderBundle(files: Files, folder: string): BundleSource {
  return {
    manifest: () => readWhole(files, `${folder}/${manifestName}`, upgradeManifestMaxBytes),
    read: async (path, at, length) => {
      const file = await openOr(files, `${folder}/files/${path}`)
      if (!file) return new Uint8Array(0)
      try {
        return await file.read(at, length)
      } finally {
        await file.close()
      }
    },
  }
}

/** Fills a file up from what is there already; what turns out wrong is fetched once more from its beginning. */
async function fill(
  files: Files,
  target: string,
  bytes: number,
  hash: Uint8Array,
  read: (at: number, length: number) => Promise<Uint8Array>,
): Promise<void> {
  const file = await files.open(target, 'create')
  try {
    let at = await file.size()
    for (let fresh = at === 0; ; fresh = true) {
      if (at > bytes) at = 0
      await file.truncate(at)
      while (at < bytes) {
        const piece = (await read(at, Math.min(pieceBytes, bytes - at))).subarray(0, bytes - at)
        if (piece.length === 0) throw new Problem('upgrade.truncated', `${target} ends at ${at} of ${bytes} bytes`)
        await file.write(at, piece)
        at += piece.length
      }
      await file.sync()
      if ((await hashOf(file, bytes)).equals(hash)) return
      // Half a write that a power cut left is no fault of the bundle's; what was fetched in one go is.
      at = 0
      await file.truncate(at)
      if (fresh) throw new Problem('upgrade.damaged', target)
    }
  } finally {
    await file.close()
  }
}

async function hashOf(file: FileHandle, bytes: number): Promise<Buffer> {
  const hash = createHash('sha256')
  for (let at = 0; at < bytes; ) {
    const piece = await file.read(at, Math.min(1 << 20, bytes - at))
    if (piece.length === 0) break
    hash.update(piece)
    at += piece.length
  }
  return hash.digest()
}

async function openOr(files: Files, path: string): Promise<FileHandle | undefined> {
  try {
    return await files.open(path, 'read')
  } catch (error) {
    if (isProblem(error, 'object.unknown')) return undefined
    throw error
  }
}

async function readWhole(files: Files, path: string, maxBytes: number): Promise<Uint8Array> {
  const file = await openOr(files, path)
  if (!file) throw new Problem('upgrade.truncated', `${path} is absent`)
  try {
    if ((await file.size()) > maxBytes) throw new Problem('message.too-large', path)
    return await file.read(0, maxBytes)
  } finally {
    await file.close()
  }
}

async function writeWhole(files: Files, path: string, bytes: Uint8Array): Promise<void> {
  const file = await files.open(path, 'create')
  try {
    await file.truncate(0)
    await file.write(0, bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Takes away what is not of the bundle: another release's files, and folders where this one has a file. */
async function removeOthers(files: Files, root: string, manifest: UpgradeManifest): Promise<void> {
  const wanted = new Set(manifest.files.map(({ path }) => `/${path}`))
  const folders = directoriesOf(manifest)
  const prune = async (below: string): Promise<void> => {
    for (const name of await files.list(`${root}${below}`)) {
      const path = `${below}/${name}`
      const entry = await files.stat(`${root}${path}`)
      if (entry?.directory && folders.has(path)) await prune(path)
      else if (entry?.directory || !wanted.has(path)) await files.remove(`${root}${path}`)
    }
  }
  await prune('')
}

/** Paths of all files below a directory. */
async function listAll(files: Files, directory: string, below = ''): Promise<string[]> {
  const found: string[] = []
  for (const name of await files.list(`${directory}${below}`)) {
    const entry = await files.stat(`${directory}${below}/${name}`)
    if (entry?.directory) found.push(...(await listAll(files, directory, `${below}/${name}`)))
    else found.push(`${below}/${name}`.slice(1))
  }
  return found
}

/** Of the bundle's files: `` for its root, `/src` and so on. */
function directoriesOf({ files }: UpgradeManifest): Set<string> {
  const found = new Set([''])
  for (const { path } of files)
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1))
      found.add(`/${path.slice(0, cut)}`)
  return found
}
