/** The row by which content has copies made at members' purchases (R3). */
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { buyCopy } from '@azukari/protocol/contracts/rights-copies'
import { answers, type CallHandler, gatewayName } from '../../../transport/server.ts'

/** Services at which members buy, and the gateway, inside which they may run. */
const sellingPeers = ['content', gatewayName] as const

export function buyHandlers(
  buy: (asked: RequestOf<typeof buyCopy>) => Promise<ReplyOf<typeof buyCopy>>,
): CallHandler[] {
  return [answers(buyCopy, sellingPeers, async (asked) => ({ reply: await buy(asked) }))]
}
