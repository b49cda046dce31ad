import { randomBytes } from 'node:crypto'
import t from 'tap'
import { encodeParity, parityShards, repairStripe, stripeShards } from './parity.ts'

function stripeOf(count: number, shardBytes: number): { shards: Uint8Array[]; count: number } {
  const data = new Uint8Array(randomBytes(count * shardBytes))
  const p = new Uint8Array(shardBytes)
  const q = new Uint8Array(shardBytes)
  encodeParity(data, count, shardBytes, p, q)
  return {
    shards: [...Array.from({ length: count }, (_, i) => data.slice(i * shardBytes, (i + 1) * shardBytes)), p, q],
    count,
  }
}

t.test('S11: every pair of lost shards of every stripe length comes back', async (t) => {
  let pairs = 0
  for (let count = 1; count <= stripeShards; count++) {
    const { shards } = stripeOf(count, 64)
    for (let a = 0; a < count + parityShards; a++)
      for (let b = a; b < count + parityShards; b++) {
        const lost = a === b ? [a] : [a, b]
        const left = shards.map((shard, i) =>
          lost.includes(i) ? new Uint8Array(randomBytes(64)) : Uint8Array.from(shard),
        )
        if (!repairStripe(left, count, lost) || left.some((shard, i) => Buffer.compare(shard, shards[i]!) !== 0))
          t.fail(`${count} shards, lost ${lost}`)
        pairs++
      }
  }
  t.equal(pairs, 1136)
})

t.test('S11: three lost shards are not pretended to come back', async (t) => {
  const { shards, count } = stripeOf(16, 64)
  t.equal(repairStripe(shards, count, [0, 5, 17]), false)
})

t.test('parity agrees with a plain reading of the definition', async (t) => {
  const times2 = (a: number) => (a & 0x80 ? ((a << 1) ^ 0x11d) & 0xff : a << 1)
  const { shards, count } = stripeOf(16, 256)
  for (let at = 0; at < 256; at++) {
    let p = 0
    let q = 0
    for (let i = 0; i < count; i++) {
      let term = shards[i]![at]!
      p ^= term
      for (let power = 0; power < i; power++) term = times2(term)
      q ^= term
    }
    if (p !== shards[16]![at] || q !== shards[17]![at]) t.fail(`byte ${at}`)
  }
  t.throws(() => encodeParity(new Uint8Array(9), 1, 9, new Uint8Array(9), new Uint8Array(9)), /aligned/)
})
