/** Placement in a fixture: the real service, data servers in memory with faults to order, and a member whose card signs. */
import { createHash } from 'node:crypto'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { sameBytes } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import type { Contract, RequestOf } from '@azukari/protocol/contract'
import { offerDomain, offerSave, type SaveOffer, saveStatus, transferKeyDomain } from '@azukari/protocol/contracts/save'
import { openSession, proveSession, sessionDomain } from '@azukari/protocol/contracts/session'
import { encryptTo, sign1, signerOf } from '@azukari/protocol/cose'
import { signIdentification } from '@azukari/protocol/identify'
import { coseKey, generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { fulfils, type KeyFinder, openManifest, signReplicaReceipt } from '@azukari/protocol/manifest'
import { leafHash, rootOfLeafHashes } from '@azukari/protocol/merkle'
import type { Log } from '@azukari/protocol/ports'
import { InternalError, Problem, type ProblemCode } from '@azukari/protocol/problem'
import { blockCount, blockPlainBytes, encryptBlock, encryptedBytes } from '@azukari/protocol/transfer'
import { systemDefer } from '../../adapters/defer.ts'
import type { DataServerPort } from '../../data-server/port.ts'
import { regions } from '../../geography.ts'
import { throwUnlisted } from '../../service/unlisted.ts'
import { testDatabase } from '../../test-database.ts'
import { createKeys } from './keys/keystore.ts'
import { createPlacement } from './service.ts'

export const log: Log = {
  debug() {},
  info() {},
  warn() {},
  error: (message, fields) => console.error(message, fields),
  child: () => log,
}
export const ports = { clock: systemClock, random: systemRandom }
export const caller = { device: 'cam', region: 'JP-13', roles: ['camera'] }

/** A data server's honest answers, kept in memory, with faults to order. */
class Server {
  readonly identity = generateKey('ed25519', systemRandom)
  readonly id: string
  readonly region: string
  readonly replicas = new Map<string, { manifest: Uint8Array; segments: Uint8Array[] }>()
  readonly journal: Uint8Array[] = []
  fault: ProblemCode | 'impostor' | undefined
  puts = 0
  bytesSent = 0
  onPut: (() => void) | undefined

  readonly #signers: KeyFinder

  constructor(id: string, region: string, signers: KeyFinder) {
    this.id = id
    this.region = region
    this.#signers = signers
  }

  port(): DataServerPort {
    const open = (signed: Uint8Array) => openManifest(signed, this.#signers)
    const check = () => {
      if (this.fault && this.fault !== 'impostor') throw new Problem(this.fault)
    }
    const port: Partial<DataServerPort> = {
      identify: async (nonce, verifier) => {
        check()
        const key = this.fault === 'impostor' ? generateKey('ed25519', systemRandom) : this.identity
        return signIdentification({ nonce, verifier, server: this.id, atMs: Date.now() }, signerOf(key))
      },
      put: async (given, _notes, segments) => {
        check()
        this.puts++
        const kept: Uint8Array[] = []
        const announced = open(given)
        let signed = given
        for await (const segment of segments) {
          if (kept.length === announced.segments) {
            signed = segment
            if (!fulfils(open(signed), announced)) throw new InternalError('not the manifest that was announced')
            continue
          }
          kept.push(segment)
          this.bytesSent += segment.length
        }
        const manifest = open(signed)
        if (!sameBytes(rootOfLeafHashes(kept.map(leafHash)), manifest.root))
          throw new InternalError('not the bytes of the signed root')
        this.replicas.set(`${Buffer.from(manifest.object).toString('hex')}.${manifest.version}.${manifest.slot}`, {
          manifest: signed,
          segments: kept,
        })
        const { object, version, slot, epoch, root, sealedBytes } = manifest
        this.onPut?.()
        return signReplicaReceipt(
          { object, version, slot, epoch, root, sealedBytes, server: this.id, atMs: Date.now() },
          signerOf(this.identity),
        )
      },
      journalAppend: async (_stream, seq, entries) => {
        check()
        const list = entries instanceof Uint8Array ? [entries] : [...entries]
        for (const [i, entry] of list.entries()) this.journal[seq - 1 + i] = entry
        return this.journal.length + 1
      },
      journalRead: async (_stream, from, count) => {
        check()
        return { next: this.journal.length + 1, entries: this.journal.slice(from - 1, from - 1 + count) }
      },
    }
    return port as DataServerPort
  }
}

/** A placement with data servers, one member with a card's three keys, and a receive buffer that holds what is put in. */
export async function site(regionCodes = ['JP-01', 'JP-40', 'SG']) {
  const { keys, recoverySecret } = createKeys(systemRandom)
  const placementKey = publicOf(keys.signing)
  const servers = regionCodes.map((region, i) => new Server(`s${i + 1}`, region, keys.own))
  const transfers = new Map<string, { device: string; blocks: Uint8Array[]; root: Uint8Array; sizeBytes: number }>()
  const name = (id: Uint8Array) => Buffer.from(id).toString('hex')
  const dataServers = { of: ({ id }: { id: string }) => servers.find((server) => server.id === id)!.port() }
  const buffer = {
    describe: async (id: Uint8Array) => {
      const held = transfers.get(name(id))
      return (
        held && {
          device: held.device,
          sizeBytes: held.sizeBytes,
          blockBytes: 65_552,
          blocks: held.blocks.length,
          root: held.root,
          complete: true,
        }
      )
    },
    read: async (id: Uint8Array, from: number, count: number) =>
      transfers.get(name(id))!.blocks.slice(from, from + count),
    release: async (id: Uint8Array) => void transfers.delete(name(id)),
  }
  const database = await testDatabase()
  const placement = await createPlacement({
    unlisted: throwUnlisted,
    database,
    keys,
    buffer,
    dataServers,
    ...ports,
    log,
    defer: systemDefer,
  })
  for (const server of servers) {
    const { latitude, longitude } = regions.get(server.region)!
    await placement.registry.putServer({
      id: server.id,
      name: server.id,
      region: server.region,
      latitude,
      longitude,
      domain: server.id,
      url: 'https://x',
      key: coseKey(publicOf(server.identity)),
      capacityBytes: 1e9,
      rates: [{ peril: 'earthquake', probability: 0.01, vulnerability: 0.1, source: 'test' }],
    })
  }
  const card = {
    auth: generateKey('ed25519', systemRandom),
    acts: generateKey('ed25519', systemRandom),
    agreement: generateKey('x25519', systemRandom),
  }
  const member = systemRandom.bytes(16)
  await placement.registry.addMember({
    memberId: member,
    number: '1',
    name: 'Hanako',
    level: 2,
    homeRegion: 'JP-13',
    authKey: coseKey(publicOf(card.auth)),
    actsKey: coseKey(publicOf(card.acts)),
    agreementKey: coseKey(publicOf(card.agreement)),
    location: true,
  })
  await placement.start()
  // The first look at every server comes before any test plays tricks with one.
  await placement.mover.idle()
  await placement.audits.idle()
  let seq = 0
  const stream = systemRandom.bytes(16)
  /** Of the session that was proven last: sent with what is a member's to ask. */
  let token: Uint8Array | undefined
  const ask = async <C extends Contract>(contract: C, body: RequestOf<C>, from = caller) => {
    const act = contract.kind === 'act' ? { act: { stream, seq: ++seq } } : {}
    const reply = await placement.handle({
      caller: from,
      contract: contract.id,
      id: systemRandom.bytes(16),
      atMs: Date.now(),
      ...act,
      ...(contract.authority === 'member' && token && { token }),
      body,
    })
    if (reply.problem) throw Problem.fromWire(reply.problem)
    // biome-ignore lint/suspicious/noExplicitAny: bodies are of the contract's reply type
    return reply.body as any
  }
  /** Puts content into the buffer and makes the offer that the card signs. */
  const transferred = (content: Uint8Array, change: Partial<SaveOffer> = {}, signWith = card.acts) => {
    const transfer = systemRandom.bytes(16)
    const key = systemRandom.bytes(32)
    const blocks = Array.from({ length: blockCount(content.length) }, (_, i) =>
      encryptBlock(key, transfer, i, content.subarray(i * blockPlainBytes, (i + 1) * blockPlainBytes)),
    )
    const root = rootOfLeafHashes(blocks.map(leafHash))
    transfers.set(name(transfer), { device: caller.device, blocks, root, sizeBytes: encryptedBytes(content.length) })
    const offer: SaveOffer = {
      contract: offerSave.id,
      audience: thumbprint(keys.signing),
      act: systemRandom.bytes(16),
      issuedMs: Date.now(),
      expiresMs: Date.now() + 1e6,
      member,
      object: systemRandom.bytes(16),
      version: 1,
      transfer,
      root,
      sizeBytes: content.length,
      sha256: new Uint8Array(createHash('sha256').update(content).digest()),
      name: 'a.jpg',
      mediaType: 'image/jpeg',
      takenMs: 1,
      ...change,
    }
    const request = {
      offer: sign1(encodeDeterministic(offer), signerOf(signWith), offerDomain),
      transferKey: encryptTo(publicOf(keys.agreement), key, transferKeyDomain, systemRandom),
    }
    return { offer, request, transfer }
  }
  const stageOf = async (object: Uint8Array) => ask(saveStatus, { object, version: 1 })
  const waitFor = async (object: Uint8Array, stage: string) => {
    for (let i = 0; i < 400; i++) {
      const status = await stageOf(object)
      if (status.stage === stage) return status
      await new Promise((resolve) => setTimeout(resolve, 5))
      placement.worker.wake()
    }
    throw new Error(`never ${stage}: ${JSON.stringify(await stageOf(object))}`)
  }
  /** Kept, refused, or waiting for something. */
  const settled = async (object: Uint8Array) => {
    for (let i = 0; i < 400; i++) {
      const status = await stageOf(object)
      if (status.stage !== 'buffered') return status
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    throw new Error('neither kept nor waiting')
  }
  const prove = async (change: Record<string, unknown> = {}, signWith = card.auth, from = caller) => {
    const opened = await ask(openSession, { card: thumbprint(publicOf(card.auth)), operation: 'save' }, from)
    const proof = {
      session: opened.session,
      challenge: opened.challenge,
      verifier: opened.verifier,
      device: from.device,
      operation: 'save',
      level: 2,
      counter: 0,
      ...change,
    }
    return {
      opened,
      answer: async () => {
        const signer = signerOf(signWith, thumbprint(publicOf(card.auth)))
        const signed = sign1(encodeDeterministic(proof), signer, sessionDomain)
        const proved = await ask(proveSession, { session: opened.session, proof: signed }, from)
        token = proved.token.token
        return proved
      },
    }
  }
  return {
    placement,
    /** Another token in place of the last, or none. */
    useToken: (other: Uint8Array | undefined) => {
      token = other
    },
    placementKey,
    servers,
    keys,
    recoverySecret,
    card,
    member,
    ask,
    transferred,
    waitFor,
    settled,
    stageOf,
    prove,
    transfers,
    database,
    dataServers,
  }
}
