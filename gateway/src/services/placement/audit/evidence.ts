/** Gathers what is needed to judge one replica (S11): its server proves its key, reads it from end to end, signs, and sends it. */
import { sameBytes } from '@azukari/protocol/bytes'
import { type Examination, openExamination } from '@azukari/protocol/examination'
import { parseCoseKey } from '@azukari/protocol/keys'
import { type Manifest, openManifest, openReplicaReceipt, peekManifest } from '@azukari/protocol/manifest'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { PlacementKeys } from '../keys/keys.ts'
import type { ReplacePorts, Standing } from '../moves/making.ts'
import { identify } from '../replicas/identify.ts'
import type { ReplicaRow, ServerRow } from '../store.ts'
import { metBy, readRoot } from './read.ts'
import type { Evidence, Met, OnMedium } from './verdict.ts'

export interface Gathered {
  evidence: Evidence
  /** COSE_Sign1, for the verdict. */
  signed?: Uint8Array
}

/** @param refusals how often in a row the server has refused before */
export async function gather(
  ports: ReplacePorts,
  standing: Standing,
  server: ServerRow,
  met: Met,
  refusals: number,
  signal: AbortSignal,
): Promise<Gathered> {
  const { dataServers, signer, random, keys } = ports
  const { old } = standing
  const port = dataServers.of(server)
  const evidence: Evidence = {
    met,
    identity: 'proven',
    refusals,
    onMedium: { is: 'none' },
    signedRoot: signedRootOf(keys, server, old),
  }
  try {
    await identify(port, server, signer.kid, random, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!isProblem(error)) throw error
    return { evidence: { ...evidence, identity: error.code === 'server.impostor' ? 'failed' : 'silent' } }
  }
  const { object, version, slot } = old
  const replica = { object, version, slot }
  const nonce = random.bytes(32)
  let signed: Uint8Array
  let examination: Examination
  try {
    signed = await port.examine(replica, nonce, signal)
    examination = openExamination(signed, parseCoseKey(server.key), { server: server.id, replica, nonce })
  } catch (error) {
    signal.throwIfAborted()
    if (!isProblem(error)) throw error
    return metBy(error) === 'refused'
      ? { evidence: { ...evidence, refusals: refusals + 1 } }
      : { evidence: { ...evidence, identity: 'silent' } }
  }
  evidence.refusals = 0
  evidence.examination = examination
  evidence.onMedium = onMediumOf(keys, old, examination.manifest)
  if (examination.held && examination.lostSegments === 0 && examination.root) {
    try {
      evidence.readRoot = await readRoot(ports, standing, old, signal, segmentsOf(examination.manifest))
    } catch (error) {
      signal.throwIfAborted()
      if (!isProblem(error)) throw error
      // A line that broke says nothing about the bytes.
      if (!metBy(error)) evidence.identity = 'silent'
    }
  }
  return { evidence, signed }
}

/** The root that placement's manifest and the server's own receipt name; undefined when they do not agree. */
function signedRootOf(keys: PlacementKeys, server: ServerRow, replica: ReplicaRow): Uint8Array | undefined {
  try {
    const manifest = openManifest(replica.manifest!, keys.own)
    openReplicaReceipt(replica.receipt!, parseCoseKey(server.key), manifest)
    const own = sameBytes(manifest.root, replica.root!) && manifest.slot === replica.slot
    return own && sameBytes(manifest.object, replica.object) ? manifest.root : undefined
  } catch (error) {
    if (error instanceof Problem) return undefined
    throw error
  }
}

/** How many segments the manifest on the medium names; undefined when it is no manifest. */
function segmentsOf(signed: Uint8Array | undefined): number | undefined {
  try {
    return signed && peekManifest(signed).segments
  } catch (error) {
    if (error instanceof Problem) return undefined
    throw error
  }
}

function onMediumOf(keys: PlacementKeys, replica: ReplicaRow, signed: Uint8Array | undefined): OnMedium {
  if (!signed) return { is: 'none' }
  let manifest: Manifest
  try {
    manifest = openManifest(signed, keys.own)
  } catch (error) {
    if (error instanceof Problem) return { is: 'foreign' }
    throw error
  }
  const { object, version, slot, epoch, root } = manifest
  if (!sameBytes(object, replica.object) || slot !== replica.slot) return { is: 'foreign' }
  if (version === replica.version && epoch === replica.epoch && sameBytes(root, replica.root!)) return { is: 'current' }
  const older = version < replica.version || (version === replica.version && epoch < replica.epoch)
  return older ? { is: 'older', root } : { is: 'foreign' }
}
