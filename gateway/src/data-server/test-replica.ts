/** Replicas as placement makes them, sealed and signed, for tests of data servers. */
import type { KeyObject } from 'node:crypto'
import { signerOf } from '@azukari/protocol/cose'
import { coseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { type Manifest, signManifest } from '@azukari/protocol/manifest'
import type { Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { newReplicaKey, Sealer, sealedBytes, sealedFormat, sealStream, segmentCount } from '@azukari/protocol/sealed'

export interface TestKeys {
  /** The server's own. */
  identity: KeyObject
  placement: KeyObject
  card: KeyObject
}

/** @param change what its manifest says in place of the usual */
export async function makeReplica(random: Random, keys: TestKeys, plainBytes: number, change: Partial<Manifest> = {}) {
  const plain = random.bytes(plainBytes)
  const slot = change.slot ?? 1
  const name = { object: change.object ?? random.bytes(16), version: change.version ?? 1, slot }
  const key = newReplicaKey(slot, random)
  const sealer = new Sealer(name, key)
  const segments: Uint8Array[] = []
  for await (const segment of sealStream(sealer, from([plain]))) segments.push(segment)
  const manifest: Manifest = {
    format: sealedFormat,
    ...name,
    epoch: 1,
    server: 'ds-1',
    serverKey: thumbprint(keys.identity),
    algorithm: key.algorithm,
    keyId: key.keyId,
    segmentBytes: 65_536,
    segments: segmentCount(plainBytes),
    plainBytes,
    sealedBytes: sealedBytes(plainBytes),
    root: sealer.root(),
    owner: { member: random.bytes(16), key: coseKey(publicOf(keys.card)) },
    createdMs: 1,
    ...change,
  }
  const signed = signManifest(manifest, signerOf(keys.placement))
  return { plain, name, key, segments, manifest, signed, notes: random.bytes(60) }
}

export async function* from(parts: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* parts
}

/** The problem that work ends with; anything else is thrown on, and so is success. */
export async function problemOf(work: Promise<unknown>): Promise<Problem> {
  try {
    await work
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
  throw new Error('nothing was refused')
}
