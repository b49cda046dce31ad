import fc from '@azukari/protocol/test-properties'
import t from 'tap'
import { refundLines, restOfLines, taxesOf } from './order-lines.ts'
import type { OrderLine } from './orders.ts'

interface Bought {
  lines: string
  paid: number
  refunded: number
  metered: number
}

function bought(...lines: OrderLine[]): Bought {
  const paid = lines.reduce((sum, { price, count }) => sum + price * count, 0)
  return { lines: JSON.stringify(lines), paid, refunded: 0, metered: 0 }
}

function refunded(order: Bought, minor: number, item?: string): Bought {
  return { ...order, lines: JSON.stringify(refundLines(order, minor, item)), refunded: order.refunded + minor }
}

const grossPerRate = (order: Bought) => new Map(taxesOf(order).map(({ rate, gross }) => [rate, gross]))
const cup: OrderLine = { item: 'cup', name: '茶碗', count: 1, price: 1000, tax: 10 }
const tea: OrderLine = { item: 'tea', name: '茶', count: 1, price: 1080, tax: 8 }

t.test('P9 after a refund the receipt is of what is left, goods and tax per rate', (t) => {
  const left = [{ rate: 10, gross: 1000, tax: 90, goods: '茶碗' }]
  t.strictSame(taxesOf(refunded(bought(cup, tea), 1080, 'tea')), left)
  t.strictSame(taxesOf(refunded(bought(cup, tea), 1080)), left, 'an amount that only one article has left is of it')
  t.strictSame(
    taxesOf(refunded(bought(cup, tea), 208)),
    [
      { rate: 10, gross: 900, tax: 81, goods: '茶碗' },
      { rate: 8, gross: 972, tax: 72, goods: '茶' },
    ],
    'a tenth off the whole is a tenth off each',
  )
  const half = { ...bought(cup, tea), refunded: 1040 }
  t.strictSame(
    [...grossPerRate(half)],
    [
      [10, 500],
      [8, 540],
    ],
    'a refund from before articles were told',
  )
  t.strictSame([...grossPerRate(refunded(half, 540, 'tea'))], [[10, 500]])
  t.end()
})

t.test('P9 a refund of an article that was not ordered, or of more than is left of it, is refused', (t) => {
  t.throws(() => refundLines(bought(cup, tea), 1, 'pot'), { code: 'pay.item-unknown' })
  t.throws(() => refundLines(bought(cup, tea), 1081, 'tea'), { code: 'pay.refund-too-much' })
  const once = refunded(bought(cup, tea), 80, 'tea')
  t.throws(() => refundLines(once, 1001, 'tea'), { code: 'pay.refund-too-much' })
  t.end()
})

t.test('P7 P9 of a metered order what was used is paid for, and no more can be refunded of it', (t) => {
  const used = { ...bought({ item: 'scan', count: 100, price: 11, tax: 10 }), paid: 77, metered: 1 }
  t.strictSame(taxesOf(used), [{ rate: 10, gross: 77, tax: 7, goods: 'scan' }])
  t.strictSame(restOfLines(refunded(used, 11, 'scan')), [66])
  t.throws(() => refundLines(used, 78, 'scan'), { code: 'pay.refund-too-much' })
  t.end()
})

t.test('P6 goods are named as far as a receipt has room', (t) => {
  const many = bought(
    ...Array.from({ length: 50 }, (_, i) => ({ ...tea, item: `i-${i}`, name: '静岡の新茶'.repeat(20) })),
  )
  for (const { goods } of taxesOf(many)) {
    t.match(goods, /…( \+49)$/)
    t.ok(Buffer.byteLength(goods!) <= 90)
  }
  t.end()
})

t.test('P9 any sequence of refunds leaves no yen over where lines do not divide', (t) => {
  const three = bought({ ...cup, price: 100 }, { ...tea, price: 100 }, { ...tea, item: 'rice', price: 100 })
  t.strictSame(restOfLines(refunded(three, 100)), [66, 67, 67])
  t.end()
})

t.test('P9 any sequence of refunds sums to the original per rate', (t) => {
  const line = fc.record({
    item: fc.constantFrom('a', 'b', 'c', 'd'),
    count: fc.integer({ min: 1, max: 5 }),
    price: fc.integer({ min: 1, max: 5_000 }),
    tax: fc.constantFrom(10 as const, 8 as const, 0 as const),
  })
  const step = fc.record({ part: fc.double({ min: 0, max: 1, noNaN: true }), item: fc.option(fc.nat(49)) })
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 6 }), fc.array(step, { maxLength: 8 }), (lines, steps) => {
      let order = bought(...lines)
      const original = grossPerRate(order)
      const back = new Map<number, number>()
      const give = (minor: number, item?: string) => {
        if (minor === 0) return
        const before = grossPerRate(order)
        order = refunded(order, minor, item)
        const after = grossPerRate(order)
        for (const [rate, gross] of before) back.set(rate, (back.get(rate) ?? 0) + gross - (after.get(rate) ?? 0))
        const rests = restOfLines(order)
        if (rests.some((rest) => rest < 0)) throw new Error(`a line below nothing: ${rests}`)
        if (rests.reduce((a, b) => a + b, 0) !== order.paid - order.refunded) throw new Error('lines are not the rest')
      }
      for (const { part, item } of steps) {
        const rests = restOfLines(order)
        const of = item === null ? undefined : lines[item % lines.length]!.item
        const room = rests.reduce((sum, rest, i) => sum + (of === undefined || lines[i]!.item === of ? rest : 0), 0)
        give(Math.floor(room * part), of)
      }
      give(order.paid - order.refunded)
      for (const [rate, gross] of original)
        if (back.get(rate) !== gross) throw new Error(`${rate} %: ${back.get(rate)} of ${gross} came back`)
      if (taxesOf(order).length > 0) throw new Error('something is left')
    }),
  )
  t.end()
})
