/**
 * Golden vectors of what devices, gateway and data servers say before and around their contracts: tokens, claims,
 * greetings, channels, blocks, and the exchange in which a card reads. Other implementations check themselves against
 * `vectors/wire.json`; a change of any byte is a change of the protocol.
 */
import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { decode, encodeDeterministic } from './codec.ts'
import { decrypt0, signerOf } from './cose.ts'
import { signCwt, verifyCwt } from './cwt.ts'
import {
  type Birth,
  birthDomain,
  Channel,
  checkBirth,
  checkWelcome,
  decodeRequest,
  encodeRequest,
  openGreeting,
  signGreeting,
  type Welcome,
  welcomeDomain,
} from './envelope.ts'
import { coseKey, generateKey, parseCoseKey, privateCoseKey, publicOf, thumbprint } from './keys.ts'
import { type Manifest, signManifest } from './manifest.ts'
import { leafHash, rootOfLeafHashes } from './merkle.ts'
import type { Clock, Random } from './ports.ts'
import { openReading } from './read-client.ts'
import { ReadServer } from './read-server.ts'
import { newReplicaKey, Sealer, sealedBytes, sealedFormat } from './sealed.ts'
import { decryptBlock, encryptBlock } from './transfer.ts'

type Golden = Record<string, Record<string, string | string[]>>
const path = new URL('../vectors/wire.json', import.meta.url)
const golden: Golden = JSON.parse(readFileSync(path, 'utf8'))
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytesOf = (text: unknown) => Uint8Array.from(Buffer.from(String(text), 'hex'))
const utf8 = new TextEncoder()

/** The same bytes for the same name: SHA-256 over name and counter. */
function seeded(name: string): Random {
  let drawn = 0
  return {
    bytes: (length) => {
      const out = new Uint8Array(length)
      for (let at = 0; at < length; at += 32)
        out.set(
          createHash('sha256')
            .update(`${name} ${drawn++}`)
            .digest()
            .subarray(0, length - at),
          at,
        )
      return out
    },
    float: () => 0.5,
  }
}

const nowMs = 1_800_000_000_000
const clock: Clock = {
  now: () => nowMs,
  monotonicMs: () => 0,
  sleep: () => Promise.resolve(),
  timer: () => ({ cancel() {}, [Symbol.dispose]() {} }),
}
const device = generateKey('ed25519', seeded('device'))
const gateway = generateKey('ed25519', seeded('gateway'))
const deviceShare = generateKey('x25519', seeded('device share'))
const gatewayShare = generateKey('x25519', seeded('gateway share'))
const birth: Birth = {
  site: 'site',
  device: 'camera',
  epoch: 3,
  share: coseKey(publicOf(deviceShare)),
  nonce: seeded('nonce').bytes(16),
  at: nowMs,
  model: 'vector',
  version: '1',
  roles: ['camera'],
}
const welcome: Welcome = {
  device: 'camera',
  nonce: birth.nonce,
  epoch: 3,
  session: seeded('session').bytes(8),
  share: coseKey(publicOf(gatewayShare)),
  at: nowMs,
}
const topic = 'v1/site/d/camera/call/device.read-state'

t.test('D3: tokens and claims', async (t) => {
  const token = signCwt({ iss: 'camera', aud: 'site', iat: nowMs / 1000, exp: nowMs / 1000 + 300 }, signerOf(device))
  t.same(hex(token), golden['token']!['token'])
  t.match(
    verifyCwt(bytesOf(golden['token']!['token']), () => publicOf(device), { nowMs, aud: 'site' }),
    { iss: 'camera' },
  )
  const secret = bytesOf(golden['claim']!['secret'])
  const proof = createHmac('sha256', secret)
    .update(encodeDeterministic(['azukari/enrol/1', 'site', 'claim-1', thumbprint(device)]))
    .digest('hex')
  t.equal(proof, golden['claim']!['proof'])
})

t.test('D3: birth, welcome and the channel between them', async (t) => {
  const wanted = golden['greeting']!
  t.equal(hex(signGreeting(birth, signerOf(device), birthDomain)), wanted['birth'])
  t.equal(hex(signGreeting(welcome, signerOf(gateway), welcomeDomain)), wanted['welcome'])
  t.same(
    openGreeting(bytesOf(wanted['birth']), () => publicOf(device), birthDomain, checkBirth),
    birth,
  )
  t.same(
    openGreeting(bytesOf(wanted['welcome']), () => publicOf(gateway), welcomeDomain, checkWelcome),
    welcome,
  )
  const ours = Channel.agree('device', deviceShare, welcome.share, birth, welcome.session)
  const theirs = Channel.agree('gateway', gatewayShare, birth.share, birth, welcome.session)
  const request = { contract: 'device.read-state@1', id: seeded('id').bytes(16), atMs: nowMs, body: {} }
  const plain = encodeRequest(request)
  t.equal(hex(plain), wanted['request'])
  t.equal(hex(ours.seal(plain, topic)), wanted['sealed'])
  t.same(decodeRequest(theirs.open(bytesOf(wanted['sealed']), topic)), request)
  const key = bytesOf(wanted['upKey'])
  t.same(
    hex(decrypt0(bytesOf(wanted['sealed']), () => key, utf8.encode(topic))),
    wanted['request'],
    'with the key alone',
  )
})

t.test('S4: a transfer’s blocks and root', async (t) => {
  const wanted = golden['transfer']!
  const key = bytesOf(wanted['key'])
  const transfer = bytesOf(wanted['transfer'])
  const plains = ['first', 'second', ''].map((text) => utf8.encode(text))
  const blocks = plains.map((plain, index) => encryptBlock(key, transfer, index, plain))
  t.same(blocks.map(hex), wanted['blocks'])
  t.equal(hex(rootOfLeafHashes(blocks.map(leafHash))), wanted['root'])
  t.same(Buffer.from(decryptBlock(key, transfer, 1, bytesOf(wanted['blocks']![1]))).toString(), 'second')
})

t.test('S10: the frames of a reading, both ways', async (t) => {
  const { frames } = await reading()
  t.same(frames, golden['reading']!['frames'])
  const card = parseCoseKey(bytesOf(golden['reading']!['card']))
  t.equal(hex(thumbprint(card)), hex(thumbprint(generateKey('ed25519', seeded('card')))))
  const [hello] = golden['reading']!['frames'] as string[]
  t.equal(bytesOf(hello)[0], 1, 'the first is a hello')
  t.ok(decode(bytesOf(hello).subarray(1)))
})

/** A whole reading of one small replica, with every frame that was carried. */
async function reading() {
  const identity = generateKey('ed25519', seeded('server'))
  const placement = generateKey('ed25519', seeded('placement'))
  const card = generateKey('ed25519', seeded('card'))
  const name = { object: seeded('object').bytes(16), version: 1, slot: 1 as const }
  const key = newReplicaKey(1, seeded('replica key'))
  const sealer = new Sealer(name, key)
  const segments = [sealer.last(utf8.encode('a small thing'))]
  const manifest: Manifest = {
    format: sealedFormat,
    ...name,
    epoch: 1,
    server: 'osaka',
    serverKey: thumbprint(identity),
    algorithm: key.algorithm,
    keyId: key.keyId,
    segmentBytes: 65_536,
    segments: 1,
    plainBytes: 13,
    sealedBytes: sealedBytes(13),
    root: sealer.root(),
    owner: { member: seeded('member').bytes(16), key: coseKey(publicOf(card)) },
    createdMs: nowMs,
  }
  const signed = signManifest(manifest, signerOf(placement))
  const server = new ReadServer({
    identity,
    signer: signerOf(identity),
    clock,
    random: seeded('read server'),
    lookup: { find: async () => ({ manifest, signed, read: async () => segments }) },
  })
  const frames: string[] = []
  const opened = await openReading(
    { object: name.object, device: 'printer', serverKey: thumbprint(identity) },
    {
      carry: async (frame) => {
        frames.push(hex(frame))
        const answer = await server.handle(frame)
        frames.push(hex(answer))
        return answer
      },
      card: signerOf(card),
      random: seeded('read client'),
    },
  )
  const parts: Uint8Array[] = []
  for await (const segment of opened.segments()) parts.push(segment)
  await opened.close()
  return { frames, card: privateCoseKey(card), sealed: parts.map(hex) }
}
