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
  signManifest,
  signRemoval,
} from '@azukari/protocol/manifest'
import type { Clock, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { DataServers } from './data-servers.ts'
import { identify } from './identify.ts'
import type { ServerRow } from './store.ts'

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
    ...{ object, version, slot, epoch, server: server.id, issuedMs, expiresMs: issuedMs + removalMs },
    ...(forward && { forward }),
  }
  const receipt = await dataServers.of(server).remove(signRemoval(order, signer), signal)
  openRemovalReceipt(receipt, parseCoseKey(server.key))
  return receipt
}
