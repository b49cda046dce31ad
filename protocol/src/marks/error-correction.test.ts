import t from 'tap'
import { codedLength, decodeNumber, encodeNumber, saleFormat, workFormat } from './error-correction.ts'
import { chanceFrom } from './test-picture.ts'

t.test('R1: a number is read back though 8 % of its coded bits are turned', (t) => {
  const chance = chanceFrom(1)
  for (const format of [workFormat, saleFormat])
    for (let round = 0; round < 20; round++) {
      const number = BigInt(Math.floor(chance() * 2 ** 40))
      const soft = Float64Array.from(encodeNumber(format, number), (bit) => (chance() < 0.08 ? -bit : bit))
      t.equal(decodeNumber(format, soft), number)
    }
  for (const number of [0n, 1n, 2n ** 64n - 1n])
    t.equal(decodeNumber(workFormat, encodeNumber(workFormat, number)), number)
  t.equal(codedLength(workFormat), 282)
  t.equal(codedLength(saleFormat), 186)
  t.end()
})

t.test('R4: what is only noise is no number: 3,000 tries, none passes the checksum', (t) => {
  const chance = chanceFrom(2)
  const passed = Array.from({ length: 3_000 }, () => {
    const soft = Float64Array.from({ length: codedLength(workFormat) }, () => chance() + chance() - 1)
    return decodeNumber(workFormat, soft)
  }).filter((number) => number !== undefined)
  t.same(passed, [])
  t.end()
})
