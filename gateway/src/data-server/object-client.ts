/** Content at a data server in another process, over HTTP/2 with mutual TLS: the same port as one in this process. */
import * as contracts from '@azukari/protocol/contracts/delivery'
import { cutEvenly } from '@azukari/protocol/sealed'
import { blockPlainBytes } from '@azukari/protocol/transfer'
import type { CallClient } from '../transport/client.ts'
import type { ObjectServerPort } from './object-port.ts'
import type { SourcePort } from './object-server.ts'

/** A miss is fetched from afar before it is answered, ms. */
const longWaitMs = 300_000

/** @param client closed by whoever made it */
export function remoteObjects(client: CallClient): ObjectServerPort {
  return {
    keep: async (request, blocks) => {
      await client.call(contracts.keepObject, request, { body: blocks, idleMs: longWaitMs })
    },
    read: async function* (grant, from, count) {
      const { body } = await client.stream(contracts.readObject, { grant, from, count })
      yield* cutEvenly(body, blockPlainBytes)
    },
    deliver: (request) => client.call(contracts.deliverObject, request, { idleMs: longWaitMs }),
    reverse: (order) => client.call(contracts.reverseDelivery, { order }),
    records: async (from, count) => (await client.call(contracts.readDeliveries, { from, count })).records,
    list: async (after) => (await client.call(contracts.listObjects, after ? { after } : {})).objects,
    drop: async (grant) => {
      await client.call(contracts.dropObject, { grant })
    },
  }
}

/** Another data server, as this one fetches from it. */
export function remoteSource(client: CallClient): SourcePort {
  return {
    fetch: async (grant, from, count, signal) => {
      const { reply, body } = await client.stream(contracts.fetchObject, { grant, from, count }, { signal })
      return { ...reply, blocks: cutEvenly(body, blockPlainBytes) }
    },
  }
}
