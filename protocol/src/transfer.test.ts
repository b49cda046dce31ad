import t from 'tap'
import { isProblem } from './problem.ts'
import fc from './test-properties.ts'
import {
  BlockSet,
  blockCount,
  blockPlainBytes,
  decryptBlock,
  encryptBlock,
  encryptedBytes,
  SendWindow,
} from './transfer.ts'

t.test('S4: a set of blocks behaves like a set of numbers', (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(200), fc.nat(12)), { maxLength: 60 }), (adds) => {
      const set = new BlockSet()
      const model = new Set<number>()
      for (const [first, length] of adds) {
        set.addRange(first, first + length)
        for (let i = first; i <= first + length; i++) model.add(i)
      }
      if (set.count !== model.size) return false
      for (let i = 0; i < 220; i++) if (set.has(i) !== model.has(i)) return false
      let missing = 0
      while (model.has(missing)) missing++
      const ranges = set.ranges
      const disjoint = ranges.every(([first], i) => i === 0 || first > ranges[i - 1]![1] + 1)
      return disjoint && BlockSet.firstMissing(1000, 0, set) === missing
    }),
  )
  t.throws(() => new BlockSet([[3, 1]]), { code: 'message.invalid' })
  t.end()
})

t.test('S4: blocks open only where they belong', (t) => {
  const key = new Uint8Array(32).fill(1)
  const id = new Uint8Array(16).fill(2)
  const block = encryptBlock(key, id, 3, new Uint8Array([1, 2, 3]))
  t.same(decryptBlock(key, id, 3, block), Buffer.from([1, 2, 3]))
  t.same(block, encryptBlock(key, id, 3, new Uint8Array([1, 2, 3])), 'sent again, it is the same block')
  for (const open of [
    () => decryptBlock(key, id, 4, block),
    () => decryptBlock(key, new Uint8Array(16), 3, block),
    () => decryptBlock(key, id, 3, block.subarray(0, 5)),
  ])
    t.throws(open, { code: 'transfer.bad-block' })
  t.equal(blockCount(0), 1)
  t.equal(blockCount(blockPlainBytes), 1)
  t.equal(encryptedBytes(blockPlainBytes + 1), blockPlainBytes + 1 + 32)
  t.end()
})

t.test('S4: whatever is lost, doubled or bad, the window sends all and never more than it may', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 80 }),
      fc.integer({ min: 1, max: 16 }),
      fc.infiniteStream(fc.nat(9)),
      (blocks, windowBlocks, chance) => {
        const sender = new SendWindow(blocks, windowBlocks)
        const received = new BlockSet()
        for (let step = 0; !sender.complete; step++) {
          if (step > 20_000) return false
          const index = sender.next()
          if (sender.underWay > windowBlocks) return false
          const fate = chance.next().value ?? 0
          const bad: number[] = []
          if (index !== undefined) {
            if (fate === 9) sender.broken()
            else if (fate === 8) bad.push(index)
            else received.add(index)
          }
          if (fate < 5 || index === undefined) sender.have(received.ranges, windowBlocks, bad)
          else if (bad.length) sender.have([], windowBlocks, bad)
          if (index === undefined && fate === 7) sender.broken()
        }
        return true
      },
    ),
    { numRuns: 200 },
  )
  t.throws(() => new SendWindow(3).have([[0, 3]], 8), { code: 'message.invalid' })
  t.ok(isProblem)
  t.end()
})
