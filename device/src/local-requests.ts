/** What programs of the same machine ask of the running board over its local socket. */
import { checker, type Static, Type } from '@azukari/protocol/contract'
import { Points } from '@azukari/protocol/contracts/work'
import { InternalError, Problem } from '@azukari/protocol/problem'
import type { WorkPoints } from './work/points.ts'

const LocalRequest = Type.Union([Type.Object({ do: Type.Literal('redeem'), points: Points })])
export type LocalRequest = Static<typeof LocalRequest>

const check = checker(LocalRequest, 'local request')

/** What of the runtime answers. */
export interface LocalParts {
  points: WorkPoints | undefined
}

/** @throws {Problem} `message.invalid`, what the asked part throws */
export async function answerLocally(parts: LocalParts, asked: unknown, signal: AbortSignal): Promise<unknown> {
  const request = check(asked)
  switch (request.do) {
    case 'redeem':
      if (!parts.points) throw new Problem('work.unregistered')
      return { redeemed: await parts.points.redeem(request.points, signal) }
    default:
      throw new InternalError(`local request ${JSON.stringify(request)}`)
  }
}
