/** The receive buffer for services of their own process: what the gateway answers, and what the service calls (S4, D4). */
import type { ServiceName } from '@azukari/protocol/contract'
import { describeBuffer, readBuffer, releaseBuffer } from '@azukari/protocol/contracts/internal'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { ReceiveBuffer } from '../service/service.ts'
import { answers, type CallHandler } from '../transport/server.ts'
import type { Caller } from '../transport/spread-client.ts'

/** Blocks in one answer, so that it fits into one head. */
const blocksPerCall = 8

/**
 * The gateway's side. A service is who its certificate says and sees what was sent to it, nothing else.
 * @param services that run apart from the gateway and take transfers
 */
export function bufferHandlers(
  services: readonly ServiceName[],
  bufferFor: (service: string) => ReceiveBuffer,
): CallHandler[] {
  return [
    answers(describeBuffer, services, async ({ transfer }, { peer }) => {
      const found = await bufferFor(peer.id).describe(transfer)
      if (!found) throw new Problem('transfer.unknown')
      return { reply: found }
    }),
    answers(readBuffer, services, async ({ transfer, from, count }, { peer }) => ({
      reply: { blocks: await bufferFor(peer.id).read(transfer, from, Math.min(count, blocksPerCall)) },
    })),
    answers(releaseBuffer, services, async ({ transfer }, { peer }) => {
      await bufferFor(peer.id).release(transfer)
      return { reply: {} }
    }),
  ]
}

/** The service's side. */
export function remoteBuffer(client: Pick<Caller, 'call'>): ReceiveBuffer {
  return {
    describe: async (transfer) => {
      try {
        return await client.call(describeBuffer, { transfer })
      } catch (error) {
        if (isProblem(error, 'transfer.unknown')) return undefined
        throw error
      }
    },
    read: async (transfer, from, count) => {
      const blocks: Uint8Array[] = []
      while (blocks.length < count) {
        const wanted = Math.min(blocksPerCall, count - blocks.length)
        const answer = await client.call(readBuffer, { transfer, from: from + blocks.length, count: wanted })
        blocks.push(...answer.blocks)
        // Fewer than asked for: the end of the transfer.
        if (answer.blocks.length < wanted) break
      }
      return blocks
    },
    release: async (transfer) => void (await client.call(releaseBuffer, { transfer })),
  }
}
