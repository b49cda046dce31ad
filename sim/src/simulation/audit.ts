/**
 * The checks of the simulation: what was promised is looked for where it must be, past all code that made the promise.
 * Nothing here changes the world.
 */
import { createHash, type KeyObject } from 'node:crypto'
import { filesIn, replicaName, shapeOf } from '@azukari/gateway/data-server/layout'
import { ReplicaReader } from '@azukari/gateway/data-server/reader'
import { decode } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import { Conditions, conditionsDomain, type ReplicaConditions } from '@azukari/protocol/contracts/save'
import { decryptFrom } from '@azukari/protocol/cose'
import { publicOf, thumbprint } from '@azukari/protocol/keys'
import { TreeHash } from '@azukari/protocol/merkle'
import type { FileHandle, Files } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { type SealAlgorithm, type Slot, segmentCount, Unsealer, unsealStream } from '@azukari/protocol/sealed'
import type { SimFiles } from '../testkit/world/files.ts'
import { type ServerMachine, serverDisks } from './server-machine.ts'

const checkConditions = checker(Conditions, 'conditions')

/** What a card would read in a record of conditions. @throws {Problem} when it does not open */
export function openConditions(record: Uint8Array, agreementKey: KeyObject): Conditions {
  return checkConditions(decode(decryptFrom(record, agreementKey, conditionsDomain)))
}

/**
 * Both replicas stand, durably, on two servers, and each gives the original with the keys of the conditions (I1).
 * @param spoilt whether a replica was harmed just now
 * @throws {Error} that says what is missing
 */
export async function checkReplicas(
  conditions: Conditions,
  original: Uint8Array,
  servers: ReadonlyMap<string, ServerMachine>,
  spoilt: (replica: ReplicaConditions) => boolean | Promise<boolean> = () => false,
): Promise<void> {
  const { replicas } = conditions
  if (replicas.length !== 2) throw new Error(`${replicas.length} replicas`)
  if (replicas[0]!.server === replicas[1]!.server) throw new Error(`both replicas are on ${replicas[0]!.server}`)
  if (Buffer.from(replicas[0]!.dataKey).equals(replicas[1]!.dataKey)) throw new Error('both replicas have one key')
  for (const replica of replicas) {
    const machine = servers.get(replica.server)
    if (!machine) throw new Error(`no server ${replica.server}`)
    // What a disaster or somebody has just taken is made anew from the other one; the checks at the end look whether it was.
    if (machine.gone || (await spoilt(replica))) continue
    if (!Buffer.from(thumbprint(publicOf(machine.identity))).equals(replica.serverKey))
      throw new Error(`the card knows another key of ${replica.server}`)
    const bytes = await readReplica(machine.files, conditions, replica).catch((error) => {
      throw new Error(`slot ${replica.slot} on ${replica.server} does not open: ${String(error)}`)
    })
    if (!createHash('sha256').update(bytes).digest().equals(createHash('sha256').update(original).digest()))
      throw new Error(`slot ${replica.slot} on ${replica.server} is not the original`)
  }
}

/** Reads a replica as it would be after a power cut now. */
async function readReplica(files: SimFiles, conditions: Conditions, replica: ReplicaConditions): Promise<Uint8Array> {
  const name = { object: conditions.object, version: conditions.version, slot: replica.slot as Slot }
  const text = replicaName(name)
  const folder = serverDisks
    .map((path) => `${path}/replicas/${text.slice(0, 2)}/${text}`)
    .find((path) => files.durable(filesIn(path).segments))
  if (!folder) throw new Problem('replica.missing', text)
  const reader = new ReplicaReader(durableFiles(files), folder, shapeOf(replica.sealedBytes))
  const count = segmentCount(conditions.sizeBytes)
  const segments = await reader.segments(0, count, replica.root)
  await reader.close()
  const tree = new TreeHash()
  for (const segment of segments) tree.add(segment)
  if (!Buffer.from(tree.root()).equals(replica.root)) throw new Error('another root')
  const { algorithm, keyId, dataKey, prefix } = replica
  const unsealer = new Unsealer(name, { algorithm: algorithm as SealAlgorithm, keyId, dataKey, prefix }, count)
  const parts: Uint8Array[] = []
  for await (const part of unsealStream(unsealer, count, from(segments))) parts.push(part)
  return new Uint8Array(Buffer.concat(parts))
}

async function* from(items: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* items
}

/** The durable part of files, to read; what is written vanishes. */
function durableFiles(files: SimFiles): Files {
  const refuse = (): never => {
    throw new Problem('storage.failed', 'only to be read')
  }
  return {
    open: async (path) => {
      const bytes = files.durable(path)
      if (!bytes) throw new Problem('object.unknown', path)
      const handle: FileHandle = {
        read: async (at, length) => bytes.slice(at, at + length),
        write: async () => {},
        truncate: async () => {},
        size: async () => bytes.length,
        sync: async () => {},
        close: async () => {},
      }
      return handle
    },
    rename: refuse,
    remove: refuse,
    list: refuse,
    makeDirectory: refuse,
    syncDirectory: refuse,
    stat: refuse,
    freeBytes: refuse,
  }
}
