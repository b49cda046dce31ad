/** The data server's dispatch table: contracts on one side, the server on the other. */
import { putKeyDirectory } from '@azukari/protocol/contracts/keys'
import * as contracts from '@azukari/protocol/contracts/server'
import { isAnnouncement, type Manifest, manifestMaxBytes, peekManifest } from '@azukari/protocol/manifest'
import { Problem } from '@azukari/protocol/problem'
import { cutEvenly, segmentSealedBytes } from '@azukari/protocol/sealed'
import { services } from '../services/index.ts'
import { answers, type CallHandler, gatewayName } from '../transport/server.ts'
import type { DataServerPort } from './port.ts'
import type { TakesKeys } from './trust.ts'

/** Services that keep things here do everything; the gateway carries members' frames and reads the status. No other one has business here. */
const users = services.flatMap(({ name, usesDataServers }) => (usesDataServers ? [name] : []))
const usersAndGateway = [...users, gatewayName]

export function dataServerAnswers(server: DataServerPort): CallHandler[] {
  return [
    answers(contracts.identifyServer, usersAndGateway, async ({ nonce, verifier }) => ({
      reply: { proof: await server.identify(nonce, verifier) },
    })),
    answers(contracts.putReplica, users, async ({ manifest, notes }, { body, signal }) => {
      const segments = sentSegments(body, peekManifest(manifest))
      return { reply: { receipt: await server.put(manifest, notes, segments, signal) } }
    }),
    answers(contracts.readReplica, users, async ({ replica, from, count }, { signal }) => {
      const { sealedBytes, segments } = peekManifest(await server.manifest(replica))
      // The first segment before the answer, so that what is wrong with it can still be told.
      const source = server.readSegments(replica, from, count, signal)[Symbol.asyncIterator]()
      const first = await source.next()
      return { reply: { sealedBytes, segments }, body: after(first, source) }
    }),
    answers(contracts.readFrame, usersAndGateway, async ({ frame }) => ({
      reply: { frame: await server.frame(frame) },
    })),
    answers(contracts.readManifest, users, async ({ replica }) => ({
      reply: { manifest: await server.manifest(replica) },
    })),
    answers(contracts.replaceManifest, users, async ({ manifest }) => ({
      reply: { receipt: await server.replaceManifest(manifest) },
    })),
    answers(contracts.restoreSegments, users, async ({ replica, from, segments }) => {
      await server.restoreSegments(replica, from, segments)
      return { reply: {} }
    }),
    answers(contracts.readNotes, users, async ({ replica }) => ({
      reply: { notes: await server.readNotes(replica) },
    })),
    answers(contracts.writeNotes, users, async ({ replica, notes }) => {
      await server.writeNotes(replica, notes)
      return { reply: {} }
    }),
    answers(contracts.removeReplica, users, async ({ order }) => ({
      reply: { receipt: await server.remove(order) },
    })),
    answers(contracts.listReplicas, users, async ({ after: last, limit, full }) => ({
      reply: { replicas: await server.list(last, limit, full) },
    })),
    answers(contracts.serverStatus, usersAndGateway, async () => ({ reply: await server.status() })),
    answers(contracts.scrubServer, users, async ({ maxBytes }) => ({
      reply: { report: await server.scrub(maxBytes) },
    })),
    answers(contracts.challengeLeaves, users, async ({ replica, indexes, bytes }) => ({
      reply: { leaves: await server.challenge(replica, indexes, bytes) },
    })),
    answers(contracts.proveLeaves, users, async ({ replica, indexes }) => ({
      reply: { leaves: await server.proofs(replica, indexes) },
    })),
    answers(contracts.examineReplica, users, async ({ replica, nonce }) => ({
      reply: { examination: await server.examine(replica, nonce) },
    })),
    answers(contracts.appendJournal, users, async ({ stream, seq, entries }) => ({
      reply: { next: await server.journalAppend(stream, seq, entries) },
    })),
    answers(contracts.readJournal, users, async ({ stream, from, count }) => ({
      reply: await server.journalRead(stream, from, count),
    })),
  ]
}

/** The gateway brings the site's key directory. */
export function keyAnswers(keys: Partial<TakesKeys>): CallHandler[] {
  const take = keys.take?.bind(keys)
  if (!take) return []
  return [
    answers(putKeyDirectory, [gatewayName], async ({ directory }) => ({ reply: { version: await take(directory) } })),
  ]
}

/** The segments, and after an announcement the manifest that follows them. */
async function* sentSegments(body: AsyncIterable<Uint8Array>, manifest: Manifest): AsyncGenerator<Uint8Array> {
  const { sealedBytes } = manifest
  const trailer = isAnnouncement(manifest) ? manifestMaxBytes : 0
  const rest: Uint8Array[] = []
  const split = async function* () {
    let left = sealedBytes
    for await (const chunk of upTo(body, sealedBytes + trailer)) {
      if (left > 0) yield chunk.subarray(0, left)
      // Kept longer than the packet that it may lie in.
      if (chunk.length > left) rest.push(chunk.slice(left))
      left = Math.max(0, left - chunk.length)
    }
  }
  yield* cutEvenly(split(), segmentSealedBytes)
  if (rest.length > 0) yield Buffer.concat(rest)
}

/** No more than was announced. */
async function* upTo(source: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes
  for await (const chunk of source) {
    left -= chunk.length
    if (left < 0) throw new Problem('message.too-large', 'more than the manifest says')
    yield chunk
  }
}

async function* after(first: IteratorResult<Uint8Array>, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for (let next = first; !next.done; next = await rest.next()) yield next.value
  } finally {
    await rest.return?.()
  }
}
