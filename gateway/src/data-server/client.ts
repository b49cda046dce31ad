/** A data server in another process, over HTTP/2 with mutual TLS: the same port as one in this process. */
import * as contracts from '@azukari/protocol/contracts/server'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { cutEvenly, sealedSegmentBytes, segmentSealedBytes } from '@azukari/protocol/sealed'
import type { CallClient } from '../transport/client.ts'
import type { DataServerPort } from './port.ts'

export type { AuditLeaf, DataServerPort, DiskStatus, HeldSummary, ServerStatus } from './port.ts'

/** A scan of media or a server-side copy may be silent for so long, ms. */
const longWaitMs = 300_000

/** @param client closed by whoever made it */
export function remoteDataServer(client: CallClient): DataServerPort {
  return {
    identify: async (nonce, verifier, signal) =>
      (await client.call(contracts.identifyServer, { nonce, verifier }, { signal })).proof,
    put: async (manifest, notes, segments, signal) =>
      (await client.call(contracts.putReplica, { manifest, notes }, { body: segments, signal, idleMs: longWaitMs }))
        .receipt,
    readSegments: (replica, from, count, signal) => readSegments(client, replica, from, count, signal),
    frame: async (frame, signal) => (await client.call(contracts.readFrame, { frame }, { signal })).frame,
    manifest: async (replica, signal) => (await client.call(contracts.readManifest, { replica }, { signal })).manifest,
    replaceManifest: async (manifest, signal) =>
      (await client.call(contracts.replaceManifest, { manifest }, { signal })).receipt,
    restoreSegments: async (replica, from, segments, signal) => {
      for (let at = 0; at < segments.length; at += 8)
        await client.call(
          contracts.restoreSegments,
          { replica, from: from + at, segments: segments.slice(at, at + 8) },
          { signal },
        )
    },
    readNotes: async (replica, signal) => (await client.call(contracts.readNotes, { replica }, { signal })).notes,
    writeNotes: async (replica, notes, signal) => {
      await client.call(contracts.writeNotes, { replica, notes }, { signal })
    },
    remove: async (order, signal) => (await client.call(contracts.removeReplica, { order }, { signal })).receipt,
    list: async (after, limit, full, signal) =>
      (
        await client.call(
          contracts.listReplicas,
          { ...(after ? { after } : {}), limit: Math.min(limit, 32), full },
          { signal },
        )
      ).replicas,
    status: (signal) => client.call(contracts.serverStatus, {}, { signal }),
    scrub: async (maxBytes, signal) =>
      (await client.call(contracts.scrubServer, { maxBytes }, { signal, idleMs: longWaitMs })).report,
    challenge: async (replica, indexes, bytes, signal) => {
      const leaves = []
      for (let at = 0; at < indexes.length; at += 8)
        leaves.push(
          ...(
            await client.call(
              contracts.challengeLeaves,
              { replica, indexes: indexes.slice(at, at + 8), bytes },
              { signal },
            )
          ).leaves,
        )
      return leaves
    },
    proofs: async (replica, indexes, signal) => {
      const leaves = []
      for (let at = 0; at < indexes.length; at += 64)
        leaves.push(
          ...(await client.call(contracts.proveLeaves, { replica, indexes: indexes.slice(at, at + 64) }, { signal }))
            .leaves,
        )
      return leaves
    },
    examine: async (replica, nonce, signal) =>
      (await client.call(contracts.examineReplica, { replica, nonce }, { signal, idleMs: longWaitMs })).examination,
    journalAppend: async (stream, seq, entries, signal) =>
      (
        await client.call(
          contracts.appendJournal,
          { stream, seq, entries: entries instanceof Uint8Array ? [entries] : [...entries] },
          { signal },
        )
      ).next,
    journalRead: (stream, from, count, signal) =>
      client.call(contracts.readJournal, { stream, from, count: Math.min(count, 256) }, { signal }),
  }
}

async function* readSegments(
  client: CallClient,
  replica: Parameters<DataServerPort['readSegments']>[0],
  from: number,
  count: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for (let at = from; at < from + count; ) {
    const before = at
    const { reply, body } = await client.stream(
      contracts.readReplica,
      { replica, from: at, count: from + count - at },
      { signal },
    )
    const end = Math.min(from + count, reply.segments)
    try {
      for await (const segment of cutEvenly(body, segmentSealedBytes)) {
        if (at >= end || segment.length !== sealedSegmentBytes(reply.sealedBytes, at))
          throw new Problem('message.invalid', `segment ${at} has not its size`)
        yield segment
        at++
      }
      if (at < end) throw new Problem('server.unreachable', 'the segments end early')
      return
    } catch (error) {
      // What broke it off is told at the next request, which begins there; without progress there is none.
      if (!isProblem(error, 'server.unreachable') || at === before) throw error
    }
  }
}
