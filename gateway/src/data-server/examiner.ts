/** Reads one replica from end to end because placement asks (S11): what stands there, what parity restored, what is lost. */
import { type Examination, lostNamedMax } from '@azukari/protocol/examination'
import { manifestMaxBytes } from '@azukari/protocol/manifest'
import { TreeHash } from '@azukari/protocol/merkle'
import type { Files } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import { shapeOf } from './layout.ts'
import { scanNotes } from './notes.ts'
import { ReplicaReader } from './reader.ts'
import { type Held, manifestOrNothing } from './replica-index.ts'

type Finding = Omit<Examination, 'server' | 'replica' | 'nonce' | 'atMs'>

/** @param held undefined when nothing of that name is here */
export async function examine(files: Files, held: Held | undefined): Promise<Finding> {
  const finding: Finding = {
    held: held !== undefined,
    badParts: 0,
    repairedParts: 0,
    lostSegments: 0,
    lost: [],
    notesLost: false,
    readBytes: 0,
  }
  if (!held) return finding
  // A disk that is out of use is the medium's fault; a folder that is gone while the disk works is nobody's yet.
  if (!held.disk.works) return { ...finding, badParts: 1 }
  if (!(await files.stat(held.folder))) return { ...finding, held: false }
  // By the manifest on the medium, not by the one that was there when the server started.
  let reader = new ReplicaReader(files, held.folder, held.known?.shape ?? shapeOf(0))
  try {
    const preamble = await reader.preamble()
    if (!preamble) finding.badParts += 2
    else {
      if (preamble.manifest.length >= 64 && preamble.manifest.length <= manifestMaxBytes)
        finding.manifest = preamble.manifest
      // Whoever wrote what is no manifest gave it a sound checksum: placement has to judge it.
      const { root, sealedBytes } = manifestOrNothing(preamble.manifest) ?? {
        root: held.known?.root ?? new Uint8Array(32),
        sealedBytes: reader.shape.sealedBytes,
      }
      if (sealedBytes !== reader.shape.sealedBytes) {
        add(finding, reader)
        await reader.close()
        reader = new ReplicaReader(files, held.folder, shapeOf(sealedBytes))
      }
      await readStripes(finding, reader, root)
    }
    const notes = await scanNotes(files, held.folder)
    if (notes === undefined) finding.notesLost = true
    if (notes !== true) finding.badParts++
    if (notes === false) finding.repairedParts++
  } catch (error) {
    // A disk that does not let itself be repaired: what could be read stands, and the fault is the medium's.
    if (!isProblem(error, 'storage.failed')) throw error
    delete finding.root
    finding.badParts++
  } finally {
    add(finding, reader)
    await reader.close()
  }
  return finding
}

async function readStripes(finding: Finding, reader: ReplicaReader, root: Uint8Array): Promise<void> {
  const tree = new TreeHash()
  let known = true
  for (let number = 0; number < reader.shape.stripes; number++) {
    const { hashes, lost } = await reader.stripe(number, root)
    known &&= hashes.length > 0
    for (const hash of hashes) tree.addHash(hash)
    finding.lostSegments += lost.length
    finding.badParts += lost.length
    finding.lost.push(...lost.slice(0, lostNamedMax - finding.lost.length))
  }
  if (known) finding.root = tree.root()
}

function add(finding: Finding, reader: ReplicaReader): void {
  finding.badParts += reader.repaired
  finding.repairedParts += reader.repaired
  finding.readBytes += reader.readBytes
}
