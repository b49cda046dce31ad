/** Greetings, sealed messages and what is in them: damaged ones give problems, and none opens that was not sent so. */

import { systemRandom } from '@azukari/protocol/adapters/random'
import { readState } from '@azukari/protocol/contracts/fleet'
import { initTransfer } from '@azukari/protocol/contracts/transfer'
import { sign1, signerOf } from '@azukari/protocol/cose'
import { signCwt, verifyCwt } from '@azukari/protocol/cwt'
import {
  type Birth,
  birthDomain,
  Channel,
  checkBirth,
  decodeEvent,
  decodeReply,
  decodeRequest,
  encodeEvent,
  encodeReply,
  encodeRequest,
  openGreeting,
  signGreeting,
} from '@azukari/protocol/envelope'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import { isProblem } from '@azukari/protocol/problem'
import { anyValue } from '@azukari/protocol/test-values'
import { deviceTopic, maySubscribe, parseTopic } from '@azukari/protocol/topics'
import fc from 'fast-check'
import { campaign, damaged, damages, type FuzzReport } from './damage.ts'

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

export const name = 'envelope'

const time = fc.nat({ max: 4_000_000_000_000 })
const contract = fc.constantFrom('test.note@1', readState.id, initTransfer.id)
const message = fc.oneof(
  fc
    .record({
      contract,
      id: bytes(16),
      atMs: time,
      expiresMs: fc.option(time),
      act: fc.option(fc.record({ stream: bytes(16), seq: fc.integer({ min: 1, max: 1_000 }) })),
      body: anyValue,
    })
    .map(({ expiresMs, act, ...rest }) =>
      encodeRequest({ ...rest, ...(expiresMs !== null && { expiresMs }), ...(act && { act }) }),
    ),
  fc.record({ id: bytes(16), body: anyValue }).map((reply) => encodeReply(reply)),
  fc.record({ contract, id: bytes(16), atMs: time, body: anyValue }).map((event) => encodeEvent(event)),
)
const input = fc.record({
  message,
  inside: damages,
  outside: damages,
  greeting: damages,
  token: damages,
  topic: damages,
  epoch: fc.integer({ min: 1, max: 1_000 }),
})

/** What a damaged message may end in. @returns undefined for a problem */
function orProblem<T>(work: () => T, count: (what: string) => void): T | undefined {
  try {
    return work()
  } catch (error) {
    if (!isProblem(error)) throw error
    count(error.code)
    return undefined
  }
}

export function run(seed: number, seconds: number): Promise<FuzzReport> {
  const [deviceShare, gatewayShare] = [generateKey('x25519', systemRandom), generateKey('x25519', systemRandom)]
  const key = generateKey('ed25519', systemRandom)
  const known = publicOf(key)
  const session = systemRandom.bytes(8)
  const birth: Birth = {
    site: 'tokyo',
    device: 'device-1',
    epoch: 1,
    share: coseKey(publicOf(deviceShare)),
    nonce: systemRandom.bytes(16),
    at: 1_700_000_000_000,
    model: 'fuzz',
    version: '1',
    roles: ['camera'],
  }
  const device = Channel.agree('device', deviceShare, coseKey(publicOf(gatewayShare)), birth, session)
  const gateway = Channel.agree('gateway', gatewayShare, birth.share, birth, session)
  const topic = deviceTopic('tokyo', 'device-1', 'call', 'test.note')
  const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0
  return campaign(
    input,
    ({ message, inside, outside, greeting, token, topic: onTopic, epoch }, count) => {
      const plain = damaged(message, inside)
      for (const [read, write] of [
        [decodeRequest, encodeRequest],
        [decodeReply, encodeReply],
        [decodeEvent, encodeEvent],
      ] as const) {
        const value = orProblem(() => read(plain), count)
        if (value === undefined) continue
        count(`${read.name} accepted`)
        read(write(value as never))
      }
      const sealed = device.seal(plain, topic)
      const changed = damaged(sealed, outside)
      const opened = orProblem(() => gateway.open(changed, topic), count)
      if (opened && !same(opened, plain)) throw new Error('something else opened')
      if (!opened && same(changed, sealed)) throw new Error('what was sent does not open')
      if (opened) count('opened')
      if (orProblem(() => gateway.open(sealed, `${topic}x`), count)) throw new Error('opened on another topic')

      const signed = signGreeting({ ...birth, epoch }, signerOf(key), birthDomain)
      const heard = damaged(signed, greeting)
      const greeted = orProblem(() => openGreeting(heard, () => known, birthDomain, checkBirth), count)
      if (greeted && greeted.epoch !== epoch) throw new Error('a greeting says something else')
      if (greeted) count('greeted')
      // Signed, and yet nonsense: a device of ours that went mad.
      const mad = sign1(plain, signerOf(key), birthDomain)
      orProblem(() => openGreeting(mad, () => known, birthDomain, checkBirth), count)

      const iat = 1_700_000_000
      const cwt = signCwt({ iss: 'device-1', aud: 'tokyo', iat, exp: iat + 300 }, signerOf(key))
      const claims = orProblem(
        () => verifyCwt(damaged(cwt, token), () => known, { aud: 'tokyo', nowMs: iat * 1_000 }),
        count,
      )
      if (claims && (claims.iss !== 'device-1' || claims.exp !== iat + 300))
        throw new Error('a token says something else')
      if (claims) count('admitted')

      const text = Buffer.from(damaged(new TextEncoder().encode(topic), onTopic)).toString('utf8')
      const parsed = orProblem(() => parseTopic(text), count)
      if (parsed) count('topics')
      if (maySubscribe('tokyo', 'device-2', text) && !/^v1\/tokyo\/(site$|d\/device-2\/)/.test(text))
        throw new Error('subscribes to another device')
    },
    seed,
    seconds,
  )
}
