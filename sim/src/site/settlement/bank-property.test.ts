/** P5 P9: whatever order, repetition and splitting of its files, the account in the ledger is the sum of the bank's entries. */
import fc from '@azukari/protocol/test-properties'
import t from 'tap'
import { AccountFixture, detail, entry, statement } from '../../testkit/settlement/account-fixture.ts'
import { type Movement, movementsFile } from '../../testkit/settlement/bank-side.ts'
import { ownAccount as own } from '../../testkit/settlement/fixture.ts'

const numberOfMoves = 8
/** A move is told by one line or two, which files may part. */
const maxLines = 2 * numberOfMoves
const indices = Array.from({ length: maxLines }, (_, i) => i)
const runs = Number(process.env['AZUKARI_PROPERTY_RUNS'] ?? 20)

const kinds = ['top-up', 'twice', 'undone', 'stranger', 'cost', 'refund', 'batch'] as const

/** What happens on the account in a month, and how files tell it: each lists entries in some order, any number of times. */
const month = fc.record({
  family: fc.constantFrom('camt' as const, 'zengin' as const),
  moves: fc.array(
    fc.record({
      kind: fc.constantFrom(...kinds),
      minor: fc.integer({ min: 2, max: 9 }),
      day: fc.integer({ min: 2, max: 28 }),
    }),
    { minLength: numberOfMoves, maxLength: numberOfMoves },
  ),
  files: fc.array(fc.shuffledSubarray(indices, { minLength: 1 }), { minLength: 1, maxLength: 4 }),
  last: fc.shuffledSubarray(indices, { minLength: maxLines, maxLength: maxLines }),
  detailed: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
})
type Month = typeof month extends fc.Arbitrary<infer M> ? M : never

interface Told extends Movement {
  parts?: readonly [number, string][]
}

/** The bank's entries, each with a reference of its own, and what they come to. */
async function accountOf(site: AccountFixture, moves: Month['moves'], family: Month['family']) {
  const told: Told[][] = []
  let value = 0
  let id = 0
  const line = (direction: 'in' | 'out', minor: number, day: number, text: string, reversal = false): Told => ({
    id: ++id,
    direction,
    minor,
    date: `2026-11-${String(day).padStart(2, '0')}`,
    text,
    reversal,
  })
  for (const { kind, minor, day } of moves) {
    const isKnown = kind === 'top-up' || kind === 'twice' || kind === 'undone'
    const payment = isKnown ? await site.awaits(minor) : ''
    if (kind === 'top-up' || kind === 'twice') value += minor
    if (kind === 'top-up') told.push([line('in', minor, day, payment)])
    else if (kind === 'twice') told.push([line('in', minor, day, payment), line('in', minor, day, payment)])
    else if (kind === 'undone') told.push([line('in', minor, day, payment), line('out', minor, day, payment, true)])
    else if (kind === 'cost') told.push([line('out', minor, day, 'FEE')])
    else if (kind === 'refund') told.push([line('in', minor, day, 'FEE BACK', true)])
    else if (kind === 'stranger' || family === 'zengin') told.push([line('in', minor, day, 'NO NUMBER')])
    else {
      const parts = [
        [minor, await site.awaits(minor)],
        [1, await site.awaits(1)],
      ] as const
      value += minor + 1
      told.push([{ ...line('in', minor + 1, day, ''), parts: parts.map(([part, text]) => [part, text]) }])
    }
  }
  return { told, value }
}

function fileOf(name: string, lines: readonly Told[], family: Month['family'], detailed: boolean): Uint8Array {
  if (family === 'zengin') return movementsFile(own.account, lines)
  return statement(
    name,
    lines.map(({ id, direction, minor, date, text, reversal, parts }) =>
      entry({
        minor,
        ref: `R${id}`,
        direction: direction === 'in' ? 'CRDT' : 'DBIT',
        ...(reversal ? { reversal: 'true' } : {}),
        date,
        ...(parts ? (detailed ? { details: parts.map(([part, number]) => detail(part, number)) } : {}) : { text }),
      }),
    ),
  )
}

t.test('P5 P9 bank = sum of entries, for any order, repetition and split of files (property)', async (t) => {
  await fc.assert(
    fc.asyncProperty(month, async ({ family, moves, files, last, detailed }) => {
      const site = await AccountFixture.open()
      const { told, value } = await accountOf(site, moves, family)
      const lines = told.flat()
      const linesOf = (list: readonly number[]) => list.flatMap((i) => lines[i] ?? [])
      // The last one tells all, with its parts; any of them may come again.
      const all = [
        ...files.map((list, i) => fileOf(`S${i}`, linesOf(list), family, detailed[i]!)),
        fileOf('S9', linesOf(last), family, true),
      ]
      for (const bytes of [...all, ...all.slice(0, 2)]) {
        const { aside } = await site.bank.take(bytes)
        t.strictSame(aside, [])
      }
      const bank = lines.reduce((sum, { direction, minor }) => sum + (direction === 'in' ? minor : -minor), 0)
      const sum = (direction: 'in' | 'out', isOpen: (one: Told) => boolean) =>
        lines.reduce((total, one) => (one.direction === direction && isOpen(one) ? total + one.minor : total), 0)
      const twice = moves.reduce((total, { kind, minor }) => (kind === 'twice' ? total + minor : total), 0)
      const unowned = (one: Told) => !/^\d/.test(one.text) && !one.parts
      await site.shows(t, { bank, value, in: sum('in', unowned) + twice, out: sum('out', unowned) })
      if (!t.passing()) throw new Error('the books are wrong')
    }),
    { numRuns: runs },
  )
})
