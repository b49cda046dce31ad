import fc from '@azukari/protocol/test-properties'
import t from 'tap'
import { type Part, type Ratios, site, splitOf } from './split.ts'

const parts: Part[] = ['storage', 'origin', 'search', 'ledger']
const payees = { storage: '1', origin: '2', search: '3', ledger: site }
const ratios: Ratios = { permille: { storage: 100, origin: 50, search: 50, ledger: 100 } }

t.test('C9: a fee is shared by the ratios among those that took part, and the rest is the provider’s', async (t) => {
  t.same(splitOf(1_000, ratios, { tookPart: new Set(parts), payees, rest: '9' }), [
    { part: 'storage', payee: '1', minor: 100 },
    { part: 'origin', payee: '2', minor: 50 },
    { part: 'search', payee: '3', minor: 50 },
    { part: 'ledger', payee: site, minor: 100 },
    { part: 'rest', payee: '9', minor: 700 },
  ])
  t.same(splitOf(1_000, ratios, { tookPart: new Set<Part>(['storage', 'ledger']), payees, rest: '9' }), [
    { part: 'storage', payee: '1', minor: 100 },
    { part: 'ledger', payee: site, minor: 100 },
    { part: 'rest', payee: '9', minor: 800 },
  ])
  t.same(splitOf(0, ratios, { tookPart: new Set(parts), payees, rest: '9' }), [])
})

t.test('C9: shares are never negative, sum to the fee, and differ from the exact part by less than one', async () => {
  const permille = fc.integer({ min: 0, max: 250 })
  const any = fc.record({ storage: permille, origin: permille, search: permille, ledger: permille })
  fc.assert(
    fc.property(fc.nat(999_999_999), any, fc.subarray(parts), (minor, weights, took) => {
      const shares = splitOf(minor, { permille: weights }, { tookPart: new Set(took), payees, rest: '9' })
      const sum = shares.reduce((total, one) => total + one.minor, 0)
      const isNear = shares.every(
        ({ part, minor: got }) => part === 'rest' || Math.abs(got - (minor * weights[part]) / 1_000) < 1,
      )
      return sum === minor && shares.every((one) => one.minor > 0) && isNear
    }),
  )
})
