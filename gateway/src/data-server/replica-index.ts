/** Which replicas are on which disk: read from the disks at start, kept in memory (about 300 bytes each). */
import { hex } from '@azukari/protocol/bytes'
import { type Manifest, peekManifest, type ReplicaRef } from '@azukari/protocol/manifest'
import type { Files, Log } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import type { Disk } from './disk.ts'
import { bytesOnDisk, encodeNotes, filesIn, parseReplicaName, replicaName, type Shape, shapeOf } from './layout.ts'
import { ReplicaReader } from './reader.ts'

export interface Held {
  name: string
  ref: ReplicaRef
  disk: Disk
  folder: string
  /** Absent when the manifest is rotten in both places. */
  known: { epoch: number; root: Uint8Array; shape: Shape; atMs: number } | undefined
  diskBytes: number
}

export class ReplicaIndex {
  readonly #held = new Map<string, Held>()
  readonly #byObject = new Map<string, Set<Held>>()

  get count(): number {
    return this.#held.size
  }

  get(ref: ReplicaRef): Held | undefined {
    return this.#held.get(replicaName(ref))
  }

  named(name: string): Held | undefined {
    return this.#held.get(name)
  }

  names(): string[] {
    return [...this.#held.keys()].sort()
  }

  /** The named version, or the newest; the named slot, or whichever is here. */
  find(object: Uint8Array, version: number | undefined, slot: 1 | 2 | undefined): Held | undefined {
    let found: Held | undefined
    for (const held of this.#byObject.get(hex(object)) ?? []) {
      if ((version !== undefined && held.ref.version !== version) || (slot !== undefined && held.ref.slot !== slot))
        continue
      if (!held.known || !held.disk.works) continue
      if (!found || held.ref.version > found.ref.version) found = held
    }
    return found
  }

  add(held: Held): void {
    this.#held.set(held.name, held)
    const object = hex(held.ref.object)
    const same = this.#byObject.get(object) ?? new Set()
    this.#byObject.set(object, same.add(held))
    held.disk.usedBytes += held.diskBytes
    held.disk.replicas++
  }

  delete(held: Held): void {
    this.#held.delete(held.name)
    const object = hex(held.ref.object)
    const same = this.#byObject.get(object)
    same?.delete(held)
    if (same?.size === 0) this.#byObject.delete(object)
    held.disk.usedBytes -= held.diskBytes
    held.disk.replicas--
  }
}

/** A replica that has just been written. */
export function heldOf(
  { object, version, slot, epoch, root, sealedBytes }: Manifest,
  disk: Disk,
  diskBytes: number,
  atMs: number,
): Held {
  const ref: ReplicaRef = { object: Uint8Array.from(object), version, slot }
  const name = replicaName(ref)
  const known = { epoch, root: Uint8Array.from(root), shape: shapeOf(sealedBytes), atMs }
  return { name, ref, disk, folder: disk.folderOf(name).folder, known, diskBytes }
}

/** Readies a disk: makes its folders, clears what a crash left half-written, and finds what is there. */
export async function readDisk(disk: Disk, files: Files, index: ReplicaIndex, log: Log): Promise<void> {
  try {
    for (const folder of [disk.incoming, `${disk.path}/replicas`, `${disk.path}/journal`])
      await files.makeDirectory(folder)
    await files.syncDirectory(disk.path)
    // What a process showed and died before it synced is relied on from here on.
    for (const folder of [`${disk.path}/replicas`, `${disk.path}/journal`]) {
      for (const below of await files.list(folder)) await files.syncDirectory(`${folder}/${below}`)
      await files.syncDirectory(folder)
    }
    await files.syncDirectory(disk.path.slice(0, disk.path.lastIndexOf('/')) || '/')
    for (const left of await files.list(disk.incoming)) await files.remove(`${disk.incoming}/${left}`)
    disk.usedBytes += await bytesBelow(files, `${disk.path}/journal`)
    for (const bucket of await files.list(`${disk.path}/replicas`))
      for (const name of await files.list(`${disk.path}/replicas/${bucket}`)) {
        const ref = parseReplicaName(name)
        if (!ref || !name.startsWith(bucket)) continue
        const held = await readHeld(disk, name, ref, files)
        const other = index.named(name)
        if (other && (other.known?.epoch ?? -1) >= (held.known?.epoch ?? -1)) {
          log.warn('a replica is on two disks', { replica: name, disk: disk.number })
          continue
        }
        if (other) index.delete(other)
        index.add(held)
      }
  } catch (error) {
    if (!isProblem(error)) throw error
    disk.fail(error.detail ?? error.code)
  }
}

async function readHeld(disk: Disk, name: string, ref: ReplicaRef, files: Files): Promise<Held> {
  const { folder } = disk.folderOf(name)
  const reader = new ReplicaReader(files, folder, shapeOf(0))
  try {
    const preamble = await reader.preamble()
    if (!preamble) return { name, ref, disk, folder, known: undefined, diskBytes: await bytesBelow(files, folder) }
    const said = manifestOrNothing(preamble.manifest)
    if (!said) return { name, ref, disk, folder, known: undefined, diskBytes: await bytesBelow(files, folder) }
    const notes = (await files.stat(filesIn(folder).notes))?.sizeBytes ?? 0
    return {
      name,
      ref,
      disk,
      folder,
      known: { ...knownOf(said), atMs: preamble.atMs },
      diskBytes: bytesOnDisk(said.sealedBytes, 0) - emptyNotesBytes + notes,
    }
  } finally {
    await reader.close()
  }
}

/** What is kept in memory of a manifest. */
export function knownOf({ epoch, root, sealedBytes }: Manifest) {
  return { epoch, root: Uint8Array.from(root), shape: shapeOf(sealedBytes) }
}

/** One replica's manifest that is none says nothing about the rest of the disk. */
export function manifestOrNothing(signed: Uint8Array): Manifest | undefined {
  try {
    return peekManifest(signed)
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}

/** What empty notes take. */
const emptyNotesBytes = encodeNotes(new Uint8Array(0)).length

async function bytesBelow(files: Files, folder: string): Promise<number> {
  let bytes = 0
  for (const name of await files.list(folder)) {
    const found = await files.stat(`${folder}/${name}`)
    bytes += found?.directory ? await bytesBelow(files, `${folder}/${name}`) : (found?.sizeBytes ?? 0)
  }
  return bytes
}
