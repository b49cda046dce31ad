/** Centres and witnesses over HTTP/2 with mutual TLS (P9). Certificates name them: a centre speaks for itself only. */
import {
  appendEntries,
  centreState,
  centreStatus,
  installCopy,
  promiseEpoch,
  standAs,
} from '@azukari/protocol/contracts/settlement-centre'
import { Problem } from '@azukari/protocol/problem'
import type { CallClient } from '../../../transport/client.ts'
import { answers, type CallHandler, gatewayName } from '../../../transport/server.ts'
import type { Centre, PeerLink, WitnessLink } from './centre.ts'
import type { Entry } from './log.ts'

export const primaryName = 'settlement'
export const backupName = 'settlement-backup'
export const witnessName = (number: number) => `settlement-witness-${number}`

/** A call that is not answered so soon counts as lost, ms. */
const answerMs = 1_500
/** What follows a request in one call. */
const maxBatch = 64 << 20
const centres = [primaryName, backupName] as const

export function witnessLink(client: CallClient): WitnessLink {
  return {
    promise: (request) => client.call(promiseEpoch, request, { idleMs: answerMs }),
    stand: (request) => client.call(standAs, request, { idleMs: answerMs }),
  }
}

export function peerLink(client: CallClient): PeerLink {
  return {
    state: (epoch) => client.call(centreState, { epoch }, { idleMs: answerMs }),
    append: (epoch, entries) =>
      client.call(
        appendEntries,
        { epoch, entries: entries.map(({ n, epoch, chain, changes }) => ({ n, epoch, chain, size: changes.length })) },
        { idleMs: answerMs * 4, body: changesOf(entries) },
      ),
    install: (epoch, over, copy) => client.call(installCopy, { epoch, over }, { body: copy }),
  }
}

async function* changesOf(entries: readonly Entry[]): AsyncGenerator<Uint8Array> {
  for (const { changes } of entries) yield changes
}

/** What a witness answers. */
export function witnessHandlers(witness: WitnessLink): CallHandler[] {
  return [
    answers(promiseEpoch, centres, async (request, { peer }) => {
      speaksFor(peer.id, request.centre)
      return { reply: await witness.promise(request) }
    }),
    answers(standAs, centres, async (request, { peer }) => {
      speaksFor(peer.id, request.standing.leader)
      return { reply: await witness.stand(request) }
    }),
  ]
}

/** What a centre answers to the other one. @param other its name */
export function centreHandlers(centre: Centre, other: string): CallHandler[] {
  return [
    answers(centreState, [other], async ({ epoch }) => ({ reply: await centre.state(epoch) })),
    answers(appendEntries, [other], async ({ epoch, entries }, { body }) => {
      const size = entries.reduce((sum, entry) => sum + entry.size, 0)
      if (size > maxBatch) throw new Problem('message.too-large', `${size} bytes`)
      const bytes = await exactly(body, size)
      let at = 0
      const whole = entries.map(({ size, ...entry }): Entry => {
        at += size
        return { ...entry, changes: bytes.subarray(at - size, at) }
      })
      return { reply: await centre.append(epoch, whole) }
    }),
    answers(installCopy, [other], async ({ epoch, over }, { body }) => ({
      reply: await centre.install(epoch, over, body),
    })),
    answers(centreStatus, [other, gatewayName], async () => ({ reply: await centre.status() })),
  ]
}

function speaksFor(peer: string, centre: string): void {
  if (peer !== centre) throw new Problem('message.unauthorised', `${peer} speaks for ${centre}`)
}

async function exactly(body: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size)
  let at = 0
  for await (const chunk of body) {
    if (at + chunk.length > size) throw new Problem('message.invalid', 'more follows than was said')
    bytes.set(chunk, at)
    at += chunk.length
  }
  if (at < size) throw new Problem('message.invalid', 'less follows than was said')
  return bytes
}
