/** A device's way onto the bus with a lean client: connect, subscribe, greet; afterwards it may seal acts. */
import type { KeyObject } from 'node:crypto'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { decode } from '@azukari/protocol/codec'
import { signerOf } from '@azukari/protocol/cose'
import { signCwt } from '@azukari/protocol/cwt'
import {
  type Birth,
  birthDomain,
  Channel,
  checkWelcome,
  openGreeting,
  signGreeting,
  welcomeDomain,
} from '@azukari/protocol/envelope'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import { deviceTopic } from '@azukari/protocol/topics'
import { LeanClient } from './lean-client.ts'

export interface Caller {
  port: number
  site: string
  id: string
  key: KeyObject
  epoch: number
}

/** Connects; messages go to what `onMessage` then is. */
export async function connectLean(
  { port, site, id, key }: Caller,
  filters: readonly string[],
): Promise<{ client: LeanClient; hear(onMessage: (topic: string, payload: Uint8Array) => void): void }> {
  let onMessage: (topic: string, payload: Uint8Array) => void = () => undefined
  const iat = Math.floor(systemClock.now() / 1000)
  const client = await LeanClient.connect({
    port,
    clientId: id,
    username: 'device',
    password: signCwt({ iss: id, aud: site, iat, exp: iat + 300 }, signerOf(key)),
    onMessage: (topic, payload) => onMessage(topic, payload),
  })
  await client.subscribe(filters)
  return {
    client,
    hear: (next) => {
      onMessage = next
    },
  }
}

/** What a device says of itself when it comes. */
export function birthOf({ site, id, epoch }: Caller): { birth: Birth; share: KeyObject } {
  const share = generateKey('x25519', systemRandom)
  const birth: Birth = {
    site,
    device: id,
    epoch,
    share: coseKey(publicOf(share)),
    nonce: systemRandom.bytes(16),
    at: systemClock.now(),
    model: 'bench',
    version: '1',
    roles: ['camera'],
  }
  return { birth, share }
}

/** Greets over a connected client. @returns the sealed channel that both agreed on */
export async function greet(
  caller: Caller,
  gatewayKey: KeyObject,
  { client, hear }: Awaited<ReturnType<typeof connectLean>>,
): Promise<Channel> {
  const { birth, share } = birthOf(caller)
  const greeted = Promise.withResolvers<Channel>()
  hear((topic, payload) => {
    if (!topic.endsWith('/reply')) return
    const { s } = decode(payload) as { s: Uint8Array }
    const welcome = openGreeting(s, () => gatewayKey, welcomeDomain, checkWelcome)
    greeted.resolve(Channel.agree('device', share, welcome.share, birth, welcome.session))
  })
  void client.closed.then(() => greeted.reject(new Error('the line is gone')))
  client.publish(
    Buffer.from(deviceTopic(caller.site, caller.id, 'birth')),
    signGreeting(birth, signerOf(caller.key), birthDomain),
  )
  return greeted.promise
}
