import t from 'tap'
import { costOf, isAtCeiling, isSpent, microPointsFor, provenAfter, quorumFor, recordAfter } from './model.ts'

const fresh = { valid_in_row: 0, valid: 0, wrong: 0, lost: 0, quota: 100 }

t.test('W7: a strict unit is computed twice; an economical one once, by a device that proved itself', async (t) => {
  const proven = { valid_in_row: provenAfter }
  t.equal(quorumFor({ mode: 'strict' }, proven, 0.99), 2)
  t.equal(quorumFor({ mode: 'economical' }, { valid_in_row: provenAfter - 1 }, 0.99), 2)
  t.equal(quorumFor({ mode: 'economical' }, proven, 0.99), 1)
  t.equal(quorumFor({ mode: 'economical' }, proven, 0.05), 2, 'a spot check')
})

t.test('W7: a wrong result ends the row and halves the quota; valid ones double it again', async (t) => {
  const proven = { ...fresh, valid_in_row: 12, valid: 12 }
  t.same(recordAfter(proven, 'wrong'), { ...proven, valid_in_row: 0, wrong: 1, quota: 50 })
  t.same(recordAfter(proven, 'lost'), { ...proven, lost: 1, quota: 50 })
  t.same(recordAfter(recordAfter(fresh, 'wrong'), 'valid'), { ...fresh, wrong: 1, valid: 1, valid_in_row: 1 })
  let record = fresh
  for (let n = 0; n < 20; n++) record = recordAfter(record, 'wrong')
  t.equal(record.quota, 1, 'it is never shut out')
})

t.test('W7: what a device took yesterday does not count today', async (t) => {
  const taken = { day: 10, taken: 5, quota: 5 }
  t.ok(isSpent(taken, 10 * 86_400_000 + 1))
  t.notOk(isSpent(taken, 11 * 86_400_000))
  t.notOk(isSpent({ ...taken, taken: 4 }, 10 * 86_400_000))
})

t.test('W1 W11: money and points follow from fuel, whole, and money stops at the ceiling', async (t) => {
  const job = { fuel_used: 2_999_999_999, price: 10, ceiling: 100 }
  t.equal(costOf(job), 29)
  t.notOk(isAtCeiling(job))
  t.equal(costOf({ ...job, ceiling: 20 }), 20)
  t.ok(isAtCeiling({ ...job, ceiling: 20 }))
  t.notOk(isAtCeiling({ ...job, price: 0, ceiling: 0 }), 'what costs nothing has no ceiling')
  t.equal(microPointsFor({ points: 5 }, 1_000_000_000), 5_000_000)
  t.equal(microPointsFor({ points: 1_000_000 }, Number.MAX_SAFE_INTEGER), Number(9007199254740991n * 1000n))
})
