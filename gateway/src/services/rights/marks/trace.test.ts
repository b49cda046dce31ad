import { embedMarks } from '@azukari/protocol/marks/embed'
import type { MarkPicture } from '@azukari/protocol/marks/plane'
import { readPublicMark } from '@azukari/protocol/marks/read'
import { chanceFrom, drawTestPicture } from '@azukari/protocol/marks/test-picture'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import { gridOf, saleKey, saleSigns, signsByTile } from './sale-key.ts'
import { falseAccusationMax, thresholdFor, trace } from './trace.ts'

const work = 0xfedcba9876543210n
const master = new Uint8Array(32).fill(7)
const original = drawTestPicture(21, 640, 480)
const grid = gridOf(original)

function copyFor(sale: bigint): MarkPicture {
  const signs = saleSigns(saleKey(master, work, sale), sale, grid)
  return embedMarks(original, { work, keyed: signsByTile(signs, grid) })
}

const range = (count: number) => Array.from({ length: count }, (_, i) => BigInt(i))

t.test('R6: of 2,000 sales the right one is named, and no other comes near', (t) => {
  const suspect = copyFor(1_234n)
  const read = readPublicMark(suspect)
  t.equal(read?.work, work, 'both marks in one picture')
  const found = trace({ original, suspect, geometry: read?.geometry, master, work, sales: range(2_000) })
  t.same(
    found.accused.map(({ sale, isRead }) => ({ sale, isRead })),
    [{ sale: 1_234n, isRead: true }],
  )
  t.ok(found.next && found.next.score < 5.5, `next ${found.next?.score.toFixed(2)} of ${found.threshold.toFixed(2)}`)
  t.end()
})

t.test('R6: nobody is accused of a copy that was sold to nobody, or to somebody who is not in the list', (t) => {
  for (const suspect of [original, embedMarks(original, { work }), copyFor(999_999n)])
    t.same(trace({ original, suspect, master, work, sales: range(1_000) }).accused, [])
  t.end()
})

t.test('R7: a wrong key reads nothing in 1,000 tries, nor does the key of another work', (t) => {
  const suspect = copyFor(5n)
  const chance = chanceFrom(9)
  // A wrong master gives chance for every sale.
  for (let i = 0; i < 2; i++) {
    const wrong = Uint8Array.from({ length: 32 }, () => Math.floor(chance() * 256))
    t.same(trace({ original, suspect, master: wrong, work, sales: range(500) }).accused, [])
  }
  t.same(trace({ original, suspect, master, work: work + 1n, sales: [5n] }).accused, [])
  t.same(
    trace({ original, suspect, master, work, sales: [5n] }).accused.map(({ sale }) => sale),
    [5n],
    'the right one does',
  )
  t.end()
})

t.test('R6: two buyers who average their copies are both named', (t) => {
  const [a, b] = [copyFor(3n), copyFor(4n)]
  const mixed = { ...a, rgba: a.rgba.map((value, i) => (value + b.rgba[i]!) >> 1) }
  const { accused } = trace({ original, suspect: mixed, master, work, sales: range(200) })
  t.same(accused.map(({ sale }) => sale).sort(), [3n, 4n])
  t.end()
})

t.test('R6: the sale outlives the public mark, where the copy is whole', (t) => {
  const suspect = copyFor(77n)
  // Whoever knows the work id knows its mark: what it adds is taken away again.
  const known = embedMarks(original, { work })
  const rgba = suspect.rgba.map((value, i) => Math.max(0, Math.min(255, value - known.rgba[i]! + original.rgba[i]!)))
  const stripped = { ...suspect, rgba }
  t.equal(readPublicMark(stripped), undefined, 'the public mark is gone')
  t.same(
    trace({ original, suspect: stripped, master, work, sales: range(200) }).accused.map(({ sale }) => sale),
    [77n],
  )
  t.end()
})

t.test('R6: another picture cannot be laid upon the original', (t) => {
  const suspect = drawTestPicture(22, 480, 640)
  try {
    trace({ original, suspect, master, work, sales: [1n] })
    t.fail('it was traced')
  } catch (error) {
    t.ok(isProblem(error, 'mark.no-match'))
  }
  t.end()
})

t.test('R6: the threshold grows with the sales, so that all together stay below the stated chance', (t) => {
  t.equal(thresholdFor(1, 1), 7)
  for (const sales of [1, 1_000, 1_000_000, 2 ** 40])
    for (const ways of [1, 2])
      t.ok(sales * ways * Math.exp(-(thresholdFor(sales, ways) ** 2) / 2) <= falseAccusationMax * 1.000001, `${sales}`)
  t.end()
})
