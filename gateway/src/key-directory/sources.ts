/** Where the gateway learns a service's public keys: inside its own process, or from a process apart. */
import { type HeldKey, readServiceKeys, rotateServiceKeys } from '@azukari/protocol/contracts/keys'
import { Problem } from '@azukari/protocol/problem'
import { answers, type CallHandler, gatewayName } from '../transport/server.ts'
import type { Caller } from '../transport/spread-client.ts'
import type { KeySource } from './issuer.ts'

/** What a service says of its keys; without `rotate` they stay as they are. */
export type ServiceKeys = Pick<KeySource, 'held'> & Partial<Pick<KeySource, 'rotate'>>

/** What is said of a service that has only ever had one pair of keys, with which its cards were made, too. */
export function firstKeys({ key, agreement }: { key: Uint8Array; agreement: Uint8Array }): HeldKey[] {
  return [
    { use: 'sign', key, fromMs: 0 },
    { use: 'agree', key: agreement, fromMs: 0 },
    { use: 'card', key, fromMs: 0 },
  ]
}

/** @throws {Problem} `keys.fixed` */
async function refuseRotation(): Promise<never> {
  throw new Problem('keys.fixed')
}

export function insideSource(holder: string, keys: ServiceKeys): KeySource {
  return {
    holder,
    held: () => keys.held(),
    rotate: (order) => keys.rotate?.(order) ?? refuseRotation(),
  }
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
export function serviceKeyHandlers(keys: ServiceKeys): CallHandler[] {
  const { held, rotate } = insideSource('', keys)
  return [
    answers(readServiceKeys, [gatewayName], async () => ({ reply: { keys: [...(await held())] } })),
    answers(rotateServiceKeys, [gatewayName], async (order) => ({ reply: { keys: [...(await rotate(order))] } })),
  ]
}
