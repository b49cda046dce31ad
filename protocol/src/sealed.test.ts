import { createCipheriv, hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { encode as cborg } from 'cborg'
import t from 'tap'
import { leafHash, MerkleTree, ProofStream, prove, rootOfLeafHashes, TreeHash, verifyProof } from './merkle.ts'
import {
  algorithmOfSlot,
  cutEvenly,
  type ReplicaKey,
  type ReplicaName,
  type SealAlgorithm,
  Sealer,
  sealedBytes,
  sealStream,
  segmentCount,
  segmentPlainBytes,
  Unsealer,
  unsealStream,
} from './sealed.ts'
import fc from './test-properties.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const unhex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))

async function* from(parts: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* parts
}
async function all(source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return parts
}

t.test('roots equal those of the Certificate Transparency reference (RFC 9162 §2.1)', async (t) => {
  const leaves = [
    '',
    '00',
    '10',
    '2021',
    '3031',
    '40414243',
    '5051525354555657',
    '606162636465666768696a6b6c6d6e6f',
  ].map(unhex)
  const roots = [
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ]
  for (const [count, root] of roots.entries()) {
    const tree = new TreeHash()
    for (const leaf of leaves.slice(0, count)) tree.add(leaf)
    t.equal(hex(tree.root()), root)
    t.equal(hex(new MerkleTree(leaves.slice(0, count).map(leafHash)).root()), root)
  }
})

t.test('a proof holds for its leaf, its place and its tree, and for nothing else', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat(), (count, pick, other) => {
      const leaves = Array.from({ length: count }, (_, i) => leafHash(Uint8Array.of(i)))
      const index = pick % count
      const wrong = other % count
      const claim = {
        root: rootOfLeafHashes(leaves),
        leafHash: leaves[index]!,
        index,
        count,
        proof: prove(leaves, index),
      }
      const stream = new ProofStream(count, [index, wrong])
      for (const leaf of leaves) stream.addHash(leaf)
      const [streamed] = stream.proofs()
      return (
        verifyProof(claim) &&
        streamed!.proof.every((part, i) => hex(part) === hex(claim.proof[i]!)) &&
        streamed!.proof.length === claim.proof.length &&
        (wrong === index ||
          (!verifyProof({ ...claim, index: wrong }) && !verifyProof({ ...claim, leafHash: leaves[wrong]! }))) &&
        !verifyProof({ ...claim, index: count }) &&
        !verifyProof({ ...claim, proof: [...claim.proof, leaves[0]!] }) &&
        (claim.proof.length === 0 || !verifyProof({ ...claim, proof: claim.proof.slice(1) }))
      )
    }),
    { numRuns: 300 },
  )
})

interface Vector {
  object: string
  version: number
  slot: 1 | 2
  algorithm: SealAlgorithm
  keyId: string
  dataKey: string
  prefix: string
  plainBytes: number
  segments: { bytes: number; sha256: string; whole?: string }[]
  root: string
}
const vectors = JSON.parse(readFileSync(new URL('../vectors/sealed.json', import.meta.url), 'utf8')) as {
  plain: string
  vectors: Vector[]
}
/** Byte i of the vectors' plaintext. */
const plainOf = (bytes: number) => Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + (i >> 8)) & 0xff)

t.test('S6: golden vectors of the sealed format', async (t) => {
  t.ok(vectors.vectors.length >= 8)
  for (const vector of vectors.vectors) {
    const name: ReplicaName = { object: unhex(vector.object), version: vector.version, slot: vector.slot }
    const key: ReplicaKey = {
      algorithm: vector.algorithm,
      keyId: unhex(vector.keyId),
      dataKey: unhex(vector.dataKey),
      prefix: unhex(vector.prefix),
    }
    const sealer = new Sealer(name, key)
    const plain = plainOf(vector.plainBytes)
    const sealed = await all(sealStream(sealer, from([plain])))
    t.same(
      sealed.map((segment) => [segment.length, hash('sha256', segment)]),
      vector.segments.map(({ bytes, sha256 }) => [bytes, sha256]),
    )
    t.equal(hex(sealer.root()), vector.root)
    for (const [at, segment] of vector.segments.entries())
      if (segment.whole !== undefined) t.equal(hex(sealed[at]!), segment.whole)
    t.equal(Buffer.concat(sealed).length, sealedBytes(vector.plainBytes))
    const opened = await all(unsealStream(new Unsealer(name, key, sealed.length), sealed.length, from(sealed)))
    t.ok(Buffer.concat(opened).equals(plain))

    // The same once more, written out from the description of the format alone.
    const last = sealed.length - 1
    const nonce = Buffer.concat([key.prefix, Buffer.from([0, 0, 0, last]), Buffer.from([1])])
    const cipher = createCipheriv(
      vector.slot === 1 ? 'aes-256-gcm' : ('chacha20-poly1305' as 'aes-256-gcm'),
      key.dataKey,
      nonce,
      { authTagLength: 16 },
    )
    const tail = plain.subarray(last * 65_536)
    cipher.setAAD(cborg(['azukari/sealed/1', name.object, name.version, name.slot, key.keyId, last]), {
      plaintextLength: tail.length,
    })
    t.ok(Buffer.concat([cipher.update(tail), cipher.final(), cipher.getAuthTag()]).equals(sealed[last]!))
  }
})

const makeKey = (slot: 1 | 2, salt = 0): ReplicaKey => ({
  algorithm: algorithmOfSlot(slot),
  keyId: new Uint8Array(8).fill(salt + 1),
  dataKey: new Uint8Array(32).fill(salt + 2),
  prefix: new Uint8Array(7).fill(salt + 3),
})

t.test('S6: what is cut off, reordered, changed or swapped does not open', async (t) => {
  for (const slot of [1, 2] as const) {
    const name: ReplicaName = { object: new Uint8Array(16).fill(9), version: 3, slot }
    const key = makeKey(slot)
    const plain = plainOf(segmentPlainBytes * 3)
    const sealed = await all(sealStream(new Sealer(name, key), from([plain])))
    const refused = async (
      how: string,
      segments: readonly Uint8Array[],
      count = segments.length,
      as: Partial<ReplicaName> = {},
      under: Partial<ReplicaKey> = {},
    ) => {
      const unsealer = new Unsealer({ ...name, ...as }, { ...key, ...under }, count)
      await t.rejects(all(unsealStream(unsealer, count, from(segments))), { code: 'replica.damaged' }, how)
    }
    await refused('truncated at a segment', sealed.slice(0, 2))
    await refused('truncated, count as it was', sealed.slice(0, 2), 3)
    await refused('truncated within', [...sealed.slice(0, 2), sealed[2]!.subarray(0, 100)])
    await refused('extended', [...sealed, sealed[2]!])
    await refused('reordered', [sealed[1]!, sealed[0]!, sealed[2]!])
    await refused('repeated', [sealed[0]!, sealed[0]!, sealed[2]!])
    await refused('another object', sealed, 3, { object: new Uint8Array(16) })
    await refused('another version', sealed, 3, { version: 4 })
    await refused('another slot', sealed, 3, { slot: slot === 1 ? 2 : 1 })
    await refused('another key id', sealed, 3, {}, { keyId: new Uint8Array(8) })
    await refused('another key', sealed, 3, {}, { dataKey: new Uint8Array(32) })
    await refused('another algorithm', sealed, 3, {}, { algorithm: algorithmOfSlot(slot === 1 ? 2 : 1) })
    await refused('one bit', [sealed[0]!, sealed[1]!.map((byte, i) => (i === 40_000 ? byte ^ 1 : byte)), sealed[2]!])
    await refused('nothing', [], 1)
    const middle = new Unsealer(name, key, 3).open(1, sealed[1]!)
    t.ok(
      Buffer.from(middle).equals(plain.subarray(segmentPlainBytes, 2 * segmentPlainBytes)),
      'any segment opens alone',
    )
  }
})

t.test('S6: any content in any cut seals and opens again; sizes are as computed', async (t) => {
  const key = makeKey(2)
  const name: ReplicaName = { object: new Uint8Array(16), version: 1, slot: 2 }
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 90_000 }), { maxLength: 5 }), async (cuts) => {
      const parts = cuts.map((bytes, i) => new Uint8Array(bytes).fill(i + 1))
      const whole = Buffer.concat(parts)
      const sealer = new Sealer(name, key)
      const sealed = await all(sealStream(sealer, from(parts)))
      const opened = Buffer.concat(
        await all(unsealStream(new Unsealer(name, key, sealed.length), sealed.length, from(sealed))),
      )
      return (
        opened.equals(whole) &&
        sealed.length === segmentCount(whole.length) &&
        Buffer.concat(sealed).length === sealedBytes(whole.length) &&
        hex(sealer.root()) === hex(rootOfLeafHashes(sealed.map(leafHash)))
      )
    }),
    { numRuns: 40 },
  )
  t.same(
    (await all(cutEvenly(from([Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)]), 2))).map((piece) => [...piece]),
    [[1, 2], [3, 4], [5]],
  )
  const sealer = new Sealer(name, key)
  t.throws(() => sealer.update(new Uint8Array(5)), /only the last/)
  sealer.last(new Uint8Array(5))
  t.throws(() => sealer.last(new Uint8Array(5)), /already whole/)
})
