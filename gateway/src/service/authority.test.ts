/** Members and signers before every service: whoever is not genuine never reaches a handler (S2, P4, D4). */

import type { KeyObject } from 'node:crypto'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { hex, sameBytes } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { type Contract, contract, Nothing, type RequestOf, Type } from '@azukari/protocol/contract'
import { contracts } from '@azukari/protocol/contracts/all'
import { register } from '@azukari/protocol/contracts/settlement-members'
import { registerForWork } from '@azukari/protocol/contracts/work'
import { encryptTo, sign1, signerOf } from '@azukari/protocol/cose'
import { coseKey, generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { signMemberToken } from '@azukari/protocol/member-token'
import { InternalError, Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { memoryDatabase } from '../adapters/database.ts'
import { systemDefer } from '../adapters/defer.ts'
import { tokenKeysOf } from '../host/token-keys.ts'
import { createAuthority, issue } from '../pki/authority.ts'
import { silent } from '../test-contracts.ts'
import { CallClient } from '../transport/client.ts'
import { startCallServer } from '../transport/server.ts'
import { createServiceHost } from './host.ts'
import { memberCheck } from './member-tokens.ts'
import { remoteService } from './remote.ts'
import { serviceHandlers } from './serve.ts'
import { act, call, type Handler, memberCall, type Service, signedAct, signedCall } from './service.ts'
import { throwUnlisted } from './unlisted.ts'

const mine = contract({
  name: 'toy.mine',
  kind: 'call',
  service: 'content',
  authority: 'member',
  title: 'test',
  serves: ['S2'],
  request: Nothing,
  reply: Type.Object({ member: Type.String(), level: Type.Integer() }),
})
const anybodys = contract({ ...mine, name: 'toy.anybodys', authority: 'device' })

const placement = generateKey('ed25519', systemRandom)
const folder = {
  read: 0,
  publicKeys: async () => {
    folder.read++
    return { key: coseKey(publicOf(placement)), agreement: new Uint8Array(0) }
  },
}
const member = {
  id: systemRandom.bytes(16),
  level: 2,
  card: systemRandom.bytes(32),
  session: systemRandom.bytes(16),
  device: 'printer',
}
const token = (atMs = Date.now(), by = placement) => signMemberToken(member, atMs, signerOf(by))

function content(handlers: readonly Handler[], isJudged = true) {
  return createServiceHost({
    name: 'content',
    database: memoryDatabase(),
    clock: systemClock,
    random: systemRandom,
    log: silent,
    defer: systemDefer,
    migrations: [],
    handlers,
    unlisted: throwUnlisted,
    members: isJudged ? memberCheck(tokenKeysOf(folder, systemClock)) : undefined,
  })
}

async function ask(service: Service, sent: Uint8Array | undefined, device = 'printer') {
  const caller = { device, region: 'JP-13', roles: [] }
  const request = { caller, contract: mine.id, id: systemRandom.bytes(16), atMs: Date.now(), body: {} }
  const { body, problem } = await service.handle(sent ? { ...request, token: sent } : request)
  return problem?.code ?? body
}

let reached = 0
const handler = memberCall(mine, (_body, { member: { id, level } }) => {
  reached++
  return { member: hex(id), level }
})

t.test('S2: a service judges tokens by placement’s key alone, in this process and in its own', async (t) => {
  const service = await content([handler])
  await service.start()
  const validity = { nowMs: Date.now(), days: 1 }
  const authority = await createAuthority('tokyo', validity, systemRandom)
  const identity = async (id: string, role: 'service' | 'gateway') => {
    const { cert, key } = await issue(authority, { id, role }, validity, systemRandom)
    return { ca: authority.cert, cert, key }
  }
  const server = await startCallServer({
    tls: await identity('content', 'service'),
    handlers: serviceHandlers(service, systemClock),
    clock: systemClock,
    log: silent,
    port: 0,
    unlisted: throwUnlisted,
  })
  const client = new CallClient({
    url: `https://127.0.0.1:${server.port}`,
    tls: await identity('gateway', 'gateway'),
    server: 'content',
    clock: systemClock,
  })
  const apart = remoteService({ name: 'content', client, clock: systemClock, log: silent })
  t.teardown(async () => {
    await client.close()
    await server.stop()
    await service.stop()
  })
  for (const to of [service, apart]) {
    t.same(await ask(to, token()), { member: hex(member.id), level: 2 })
    reached = 0
    t.equal(await ask(to, undefined), 'session.required')
    t.equal(await ask(to, token(Date.now() - 121_000)), 'session.expired')
    t.equal(await ask(to, token(Date.now(), generateKey('ed25519', systemRandom))), 'session.forged')
    t.equal(await ask(to, systemRandom.bytes(100)), 'session.forged')
    t.equal(await ask(to, token(), 'camera'), 'session.elsewhere')
    t.equal(reached, 0, 'none of them reached the handler')
  }
  t.ok(folder.read < 5, 'keys that are made up do not read the folder each time')
})

t.test(
  'D4: a handler of the wrong kind for its contract, or without who judges, is refused at the start',
  async (t) => {
    const answer = () => ({ member: '', level: 0 })
    await t.rejects(content([call(mine, answer)]), InternalError, 'a member who is not judged')
    await t.rejects(
      content([memberCall(anybodys, answer)]),
      InternalError,
      'a member whom the contract does not ask for',
    )
    await t.rejects(content([handler], false), InternalError, 'nobody judges')
  },
)

t.test('S2: what a member asks with a token is a call: an act would wait in the outbox until it has ended', (t) => {
  const members = contracts.filter(({ authority }) => authority === 'member')
  t.ok(members.length >= 4)
  t.same(
    members.filter(({ kind }) => kind !== 'call').map(({ id }) => id),
    [],
  )
  t.end()
})

/** Bodies that are well formed, of contracts whose key is found in what it signs. */
const registrations: Readonly<Record<string, (key: KeyObject) => RequestOf<Contract>>> = {
  [register.id]: (key) => ({
    contract: register.id,
    audience: new Uint8Array(32),
    act: systemRandom.bytes(16),
    issuedMs: 0,
    expiresMs: 1,
    number: '00000000000000',
    code: 'aaaaaaaaaaaaaaaa',
    key: coseKey(publicOf(key)),
    agreement: coseKey(publicOf(key)),
    person: { name: 'a', kana: 'a', postcode: '1000001', address: 'a' },
  }),
  [registerForWork.id]: (key) => ({
    contract: registerForWork.id,
    audience: new Uint8Array(32),
    issuedMs: 0,
    device: 'cam',
    key: coseKey(publicOf(key)),
    code: 'aaaaaaaaaaaaaaaa',
  }),
}

t.test('P4, S4: a forged signature never reaches a handler, whichever contract is signed', async (t) => {
  const [registered, stranger] = [generateKey('ed25519', systemRandom), generateKey('ed25519', systemRandom)]
  const agreement = generateKey('x25519', systemRandom)
  const kid = thumbprint(registered)
  const all = contracts.filter(({ authority }) => authority === 'signed')
  t.ok(all.length >= 15, `${all.length} contracts`)
  const reachedBy: string[] = []
  const services = new Map<string, Service>()
  for (const name of new Set(all.map(({ service }) => service))) {
    const reach = (id: string) => {
      reachedBy.push(id)
      throw new Problem('service.busy', 'reached')
    }
    const service = await createServiceHost({
      name,
      database: memoryDatabase(),
      migrations: [],
      unlisted: throwUnlisted,
      clock: systemClock,
      random: systemRandom,
      log: silent,
      defer: systemDefer,
      handlers: all
        .filter((one) => one.service === name)
        .map((one) => (one.kind === 'act' ? signedAct : signedCall)(one, () => reach(one.id))),
      signers: {
        agreement,
        find: async (_sql, asked) => (sameBytes(asked, kid) ? { key: coseKey(publicOf(registered)) } : undefined),
      },
    })
    await service.start()
    services.set(name, service)
    t.teardown(() => service.stop())
  }
  for (const one of all) {
    const { in: field, domain, sealed, keyIn } = one.signed!
    const body = keyIn ? registrations[one.id]?.(registered) : {}
    const wrap = (message: Uint8Array) =>
      sealed ? encryptTo(publicOf(agreement), message, domain, systemRandom) : message
    const sign = (by: KeyObject, as = thumbprint(by), under = domain) =>
      sign1(encodeDeterministic(body), signerOf(by, as), under)
    const answer = async (message: Uint8Array) => {
      const request = { [field]: wrap(message), transferKey: new Uint8Array(64) }
      const { problem } = await services.get(one.service)!.handle({
        caller: { device: 'cam', region: 'JP-13', roles: [] },
        contract: one.id,
        id: systemRandom.bytes(16),
        atMs: 0,
        body: request,
        ...(one.kind === 'act' && { act: { stream: systemRandom.bytes(16), seq: 1 } }),
      })
      return problem?.code
    }
    const changed = sign(registered)
    changed[changed.length - 1]! ^= 1
    t.equal(await answer(sign(stranger, kid)), 'cose.bad-signature', `${one.id}: another key under a known name`)
    t.equal(await answer(changed), 'cose.bad-signature', `${one.id}: a changed signature`)
    t.equal(
      await answer(sign(registered, kid, new Uint8Array(1))),
      'cose.bad-signature',
      `${one.id}: signed for another use`,
    )
    t.equal(await answer(sign(stranger)), 'cose.unknown-key', `${one.id}: a stranger`)
    t.match(await answer(new Uint8Array(80)), /^(cose|cbor)\./, `${one.id}: not signed`)
    t.same(reachedBy, [])
    // With a genuine signature the next question is what it says.
    t.equal(await answer(sign(registered)), keyIn ? 'service.busy' : 'message.invalid', `${one.id}: genuine`)
    t.same(reachedBy.splice(0), keyIn ? [one.id] : [])
  }
})

t.test('D4: a signed contract has no other handler than one that gets what was verified', async (t) => {
  for (const one of contracts.filter(({ authority }) => authority === 'signed'))
    await t.rejects(content([one.kind === 'act' ? act(one, () => ({})) : call(one, () => ({}))]), InternalError, one.id)
  const [signed] = contracts.filter(({ authority, kind }) => authority === 'signed' && kind === 'act')
  await t.rejects(content([signedAct(signed!, () => ({}))]), InternalError, 'without keys to verify by')
  t.throws(() => contract({ ...mine, name: 'toy.signed', authority: 'signed' }), InternalError)
})
