/** Where the gateway learns a service's public keys: inside its own process, or from a process apart. */
import { type HeldKey, readServiceKeys, rotateServiceKeys } from '@azukari/protocol/contracts/keys'
import { Problem } from '@azukari/protocol/problem'
import type { Caller } from '../transport/pair-client.ts'
import { answers, type CallHandler, gatewayName } from '../transport/server.ts'
import type { KeySource } from './issuer.ts'

/** What a service says of its keys; without `rotate` they stay as they are. */
export type ServiceKeys = Pick<KeySource, 'held'> & Partial<Pick<KeySource, 'rotate'>>

/** The keys of a placement that has ever had one pair, with which its cards were made, too. */
export function fixedKeys({
  key,
  agreement,
}: {
  key: Uint8Array
  agreement: Uint8Array
}): Pick<KeySource, 'held' | 'rotate'> {
  const held: HeldKey[] = [
    { use: 'sign', key, fromMs: 0 },
    { use: 'agree', key: agreement, fromMs: 0 },
    { use: 'card', key, fromMs: 0 },
  ]
  return { held: async () => held, rotate: refuseRotation }
}

/** @throws {Problem} `keys.fixed` */
async function refuseRotation(): Promise<never> {
  throw new Problem('keys.fixed')
}

export function insideSource(holder: string, { held, rotate = refuseRotation }: ServiceKeys): KeySource {
  return { holder, held, rotate }
}

/** @param seed what is said of it until it has answered for the first time */
export function apartSource(holder: string, client: Caller, seed?: readonly HeldKey[]): KeySource {
  return {
    holder,
    ...(seed && { seed }),
    held: async () => (await client.call(readServiceKeys, {})).keys,
    rotate: async (order) => (await client.call(rotateServiceKeys, order)).keys,
  }
}

/** The rows that a service process adds to its call server. */
export function serviceKeyHandlers({ held, rotate = refuseRotation }: ServiceKeys): CallHandler[] {
  return [
    answers(readServiceKeys, [gatewayName], async () => ({ reply: { keys: [...(await held())] } })),
    answers(rotateServiceKeys, [gatewayName], async (order) => ({ reply: { keys: [...(await rotate(order))] } })),
  ]
}
