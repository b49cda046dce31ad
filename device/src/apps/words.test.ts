/** What boards say: in both languages, and how many tries are left after a wrong PIN (S17). */
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { problemShown, wordsOf } from './words.ts'

t.test('S17: after a wrong PIN the person is told how many tries are left', async (t) => {
  const wrong = new Problem('card.wrong-pin', 'PIN', { data: { triesLeft: 2 } })
  t.match(problemShown(wrong, undefined), { lines: ['The PIN is wrong', '2 tries are left'], tone: 'problem' })
  t.match(problemShown(wrong, () => 'ja').lines, ['暗証番号が違います', 'あと2回入力できます'])
  const last = new Problem('card.wrong-pin', 'PIN', { data: { triesLeft: 1 } })
  t.equal(problemShown(last, () => 'en').lines[1], 'One try is left')
  t.equal(problemShown(new Problem('card.blocked'), undefined).lines.length, 2, 'nothing to count when it is blocked')
  t.equal(problemShown(new Error('ours'), undefined).lines.length, 2, 'what is no problem of the catalogue is told too')
})

t.test('D6 S17: a board speaks the language that it is set to now', async (t) => {
  let language: 'ja' | 'en' = 'en'
  const now = () => wordsOf(() => language)
  t.equal(now().insertCard, 'Please insert your card')
  language = 'ja'
  t.equal(now().insertCard, 'カードを入れてください')
  const [en, ja] = [wordsOf(() => 'en'), wordsOf(() => 'ja')]
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    if (typeof en[key] === 'string') t.not(ja[key], en[key], `${key} is said in Japanese`)
  }
})
