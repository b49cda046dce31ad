import fc from '@azukari/protocol/test-properties'
import t from 'tap'
import { answerOf, judgeUnit, type Returned, returnedMax } from './model.ts'

const hashOf = (n: number) => new Uint8Array(32).fill(n)
/** Results by owner, each on one of three answers. */
const results = fc.uniqueArray(
  fc.record({ owner: fc.stringMatching(/^[a-h]$/), answer: fc.integer({ min: 0, max: 2 }) }),
  { selector: ({ owner }) => owner, maxLength: returnedMax },
)
const returned = (given: readonly { owner: string; answer: number }[]): Returned[] =>
  given.map(({ owner, answer }) => ({ owner, hash: hashOf(answer), fuel: 7, problem: null }))
const quorums = fc.constantFrom(1, 2, 3)

t.test('W7: what is agreed was said by as many owners as the quorum, and by more than anything else', async () => {
  fc.assert(
    fc.property(quorums, results, (quorum, given) => {
      const verdict = judgeUnit(quorum, returned(given))
      if (verdict.is !== 'agreed') return
      const counts = new Map<string, number>()
      for (const one of returned(given)) counts.set(answerOf(one), (counts.get(answerOf(one)) ?? 0) + 1)
      const agreeing = counts.get(verdict.answer)!
      if (agreeing < quorum) throw new Error('fewer than the quorum')
      for (const [answer, n] of counts) if (answer !== verdict.answer && n >= agreeing) throw new Error('a draw')
    }),
  )
})

t.test('W7: the wanted results are enough when they agree with the leading answer, and one less is not', async () => {
  fc.assert(
    fc.property(quorums, results, (quorum, given) => {
      const verdict = judgeUnit(quorum, returned(given))
      if (verdict.is !== 'open') return
      if (verdict.wanted <= given.length) throw new Error('nothing more is wanted, and nothing is agreed')
      const counts = [0, 1, 2].map((answer) => given.filter((one) => one.answer === answer).length)
      const leading = counts.indexOf(Math.max(...counts))
      const more = Array.from({ length: verdict.wanted - given.length }, (_, i) => ({
        owner: `more-${i}`,
        answer: leading,
      }))
      if (judgeUnit(quorum, returned([...given, ...more])).is !== 'agreed') throw new Error('too few are wanted')
    }),
  )
})

t.test('W7: one owner counts once, however often it answers', async (t) => {
  const twice = returned([
    { owner: 'a', answer: 1 },
    { owner: 'a', answer: 1 },
  ])
  t.equal(judgeUnit(2, twice).is, 'open')
})

t.test('W7: two who contradict each other are outvoted by two who agree, also where one is enough', async (t) => {
  const [a, b, c] = returned([
    { owner: 'a', answer: 0 },
    { owner: 'b', answer: 1 },
    { owner: 'c', answer: 1 },
  ])
  t.same(judgeUnit(1, [a!]), { is: 'agreed', answer: answerOf(a!) })
  t.same(judgeUnit(1, [a!, b!]), { is: 'open', wanted: 3 })
  t.same(judgeUnit(1, [a!, b!, c!]), { is: 'agreed', answer: answerOf(b!) })
})

t.test('W7: equal output with other fuel is another answer, and a fault is one of its own', async (t) => {
  const [a] = returned([{ owner: 'a', answer: 0 }])
  t.not(answerOf(a!), answerOf({ ...a!, fuel: 8 }))
  t.equal(answerOf({ ...a!, problem: 'work.trap' }), answerOf({ ...a!, fuel: 8, problem: 'work.trap' }))
})

t.test('W7: owners who never agree end it', async (t) => {
  const given = Array.from({ length: returnedMax }, (_, i) => ({ owner: `${i}`, answer: i }))
  t.equal(judgeUnit(2, returned(given)).is, 'torn')
})
