import t from 'tap'
import { mutantsOf, tryMutant } from './mutants.ts'

const { folder, mutants } = mutantsOf('settlement')

t.test('P7 P9: two broken money rules of the list turn the tests red that are named for them', async (t) => {
  for (const mutant of mutants.filter(({ test }) => test.includes('order-lines')))
    t.equal(await tryMutant(folder, mutant), 'red', mutant.rule)
})

t.test(
  'P7 P9: a rule that is not broken is told to have survived, and one that has moved to stand nowhere',
  async (t) => {
    const [one] = mutants.filter(({ test }) => test.includes('order-lines'))
    t.equal(await tryMutant(folder, { ...one!, to: one!.from }), 'survived')
    t.match(await tryMutant(folder, { ...one!, from: 'nowhere to be found' }), /stands 0 times/)
  },
)
