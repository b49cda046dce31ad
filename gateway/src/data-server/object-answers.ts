/** The data server's dispatch table for content: contracts on one side, the object server on the other. */
import * as contracts from '@azukari/protocol/contracts/delivery'
import { cutEvenly } from '@azukari/protocol/sealed'
import { blockPlainBytes } from '@azukari/protocol/transfer'
import { services } from '../services/index.ts'
import { answers, type CallHandler } from '../transport/server.ts'
import type { ObjectServer } from './object-server.ts'

/** Services that order deliveries. What they may do with one object, a grant says besides. */
const users = services.flatMap(({ name, usesObjects }) => (usesObjects ? [name] : []))

export function objectAnswers(server: ObjectServer): CallHandler[] {
  return [
    answers(contracts.keepObject, users, async (request, { body, peer }) => {
      await server.keep(request, cutEvenly(body, blockPlainBytes), peer.id)
      return { reply: {} }
    }),
    answers(contracts.readObject, users, async ({ grant, from, count }, { peer }) => {
      const { sizeBytes, leaves } = server.describe(grant, peer.id)
      return { reply: { sizeBytes, leaves }, body: server.read(grant, from, count, peer.id) }
    }),
    answers(contracts.fetchObject, 'data-servers', async ({ grant, from, count }, { peer }) => {
      const { sizeBytes, leaves } = server.describe(grant, peer.id)
      return { reply: { sizeBytes, leaves }, body: server.read(grant, from, count, peer.id) }
    }),
    answers(contracts.deliverObject, users, async (request) => ({ reply: await server.deliver(request) })),
    answers(contracts.reverseDelivery, users, async ({ order }) => ({ reply: await server.reverse(order) })),
    answers(contracts.readDeliveries, users, async ({ from, count }) => ({
      reply: { records: await server.records(from, count) },
    })),
    answers(contracts.listObjects, users, async ({ after }) => ({ reply: { objects: await server.list(after) } })),
    answers(contracts.dropObject, users, async ({ grant }, { peer }) => {
      await server.drop(grant, peer.id)
      return { reply: {} }
    }),
  ]
}
