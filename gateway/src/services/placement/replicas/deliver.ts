/**
 * A replica to its data server, and away from it (S7): the server proves its key before a byte is sent, and signs for what
 * it keeps or destroys.
 */
import type { DirectSigner } from '@azukari/protocol/cose'
import { parseCoseKey } from '@azukari/protocol/keys'
import {
  type Manifest,
  openRemovalReceipt,
  openReplicaReceipt,
  type ReplicaRef,
  rootToFollow,
  signManifest,
  signRemoval,
} from '@azukari/protocol/manifest'
import type { Clock, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { ServerRow } from '../store.ts'
import type { DataServers } from './data-servers.ts'
import { identify } from './identify.ts'

/** How long an order to destroy something is good. */
const removalMs = 3_600_000

export interface DeliveryPorts {
  dataServers: DataServers
  signer: DirectSigner
  clock: Clock
  random: Random
}

export interface Delivered {
  manifest: Uint8Array
  receipt: Uint8Array
}

/**
 * Brings a replica to a server. What lies there under another key, of a try whose answer was lost, gives way.
 * @param segments sealed segments, from the start at each call
 * @throws {Problem} `server.impostor`, `server.unreachable`, `storage.*`, `transfer.bad-root`, …
 */
export async function deliver(
  ports: DeliveryPorts,
  server: ServerRow,
  manifest: Manifest,
  notes: Uint8Array,
  segments: () => AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Delivered> {
  const { dataServers, signer, random } = ports
  const port = dataServers.of(server)
  await identify(port, server, signer.kid, random, signal)
  const signed = signManifest(manifest, signer)
  const put = () => port.put(signed, notes, segments(), signal)
  const receipt = await put().catch(async (error) => {
    if (!isProblem(error, 'replica.conflict')) throw error
    await destroy(ports, server, manifest, manifest.epoch, signal)
    return put()
  })
  openReplicaReceipt(receipt, parseCoseKey(server.key), manifest)
  return { manifest: signed, receipt }
}

/** Where the segments of a replica come from that is sealed while it is sent. */
export interface Sealing {
  /** Sealed segments, once. */
  segments(): AsyncIterable<Uint8Array>
  /** When they have ended. */
  root(): Uint8Array
  /** They are not wanted any more. */
  leave(): void
  /** The same once more, for a server that holds something of that name already. */
  again: { root(): Promise<Uint8Array>; segments(): AsyncIterable<Uint8Array> }
}

/**
 * Brings a replica to a server while it is sealed: announced first, the manifest with its root follows the segments.
 * @throws {Problem} as `deliver`
 */
export async function deliverSealing(
  ports: DeliveryPorts,
  server: ServerRow,
  describe: (root: Uint8Array) => Manifest,
  notes: Uint8Array,
  sealing: Sealing,
  signal: AbortSignal,
): Promise<Delivered & { root: Uint8Array }> {
  const { dataServers, signer, random } = ports
  const port = dataServers.of(server)
  await identify(port, server, signer.kid, random, signal)
  async function* segments() {
    yield* sealing.segments()
    yield signManifest(describe(sealing.root()), signer)
  }
  try {
    const receipt = await port.put(signManifest(describe(rootToFollow), signer), notes, segments(), signal)
    const root = sealing.root()
    openReplicaReceipt(receipt, parseCoseKey(server.key), describe(root))
    return { manifest: signManifest(describe(root), signer), receipt, root }
  } catch (error) {
    // Left by a try whose answer was lost: the same, or under a key that is gone. Only the root tells.
    if (!isProblem(error, 'replica.conflict')) throw error
    sealing.leave()
    const root = await sealing.again.root()
    return { ...(await deliver(ports, server, describe(root), notes, sealing.again.segments, signal)), root }
  }
}

/**
 * Has a server destroy what it holds of a slot up to an epoch.
 * @param forward the successor's signed manifest: the server answers readers with it from then on
 * @returns the server's signed receipt
 * @throws {Problem} `replica.superseded` when a newer one lies there, `server.unreachable`, …
 */
export async function destroy(
  { dataServers, signer, clock }: DeliveryPorts,
  server: ServerRow | undefined,
  { object, version, slot }: ReplicaRef,
  epoch: number,
  signal: AbortSignal,
  forward?: Uint8Array,
): Promise<Uint8Array> {
  if (!server) throw new Problem('server.unreachable', 'not in the register')
  const issuedMs = clock.now()
  const order = {
    object,
    version,
    slot,
    epoch,
    server: server.id,
    issuedMs,
    expiresMs: issuedMs + removalMs,
    ...(forward && { forward }),
  }
  const receipt = await dataServers.of(server).remove(signRemoval(order, signer), signal)
  openRemovalReceipt(receipt, parseCoseKey(server.key))
  return receipt
}
