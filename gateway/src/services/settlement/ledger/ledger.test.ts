import { systemRandom } from '@azukari/protocol/adapters/random'
import { signerOf } from '@azukari/protocol/cose'
import { mapInOrder } from '@azukari/protocol/in-order'
import { generateKey, publicOf } from '@azukari/protocol/keys'
import { isProblem, type ProblemCode } from '@azukari/protocol/problem'
import fc from '@azukari/protocol/test-properties'
import t, { type Test } from 'tap'
import type { Database } from '../../../storage/database.ts'
import { migrate } from '../../../storage/migrate.ts'
import { testEngines } from '../../../test-database.ts'
import { settlementMigrations } from '../migrations.ts'
import { audit } from './audit.ts'
import { headHolds, openHead, signHead } from './head.ts'
import { Ledger } from './ledger.ts'
import { availableOf, balanceOf, type Leg, type Posting } from './model.ts'

/** The ledger conformance kit: fifteen invariants, each one test, and a property test against an independent model. */

let ids = 0
function id(): Uint8Array {
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setUint32(12, ++ids)
  return bytes
}
const posting = (...legs: Leg[]): Posting => ({ id: id(), reason: 'test', reference: 'r', legs })
const move = (debit: string, credit: string, minor: number): Leg => ({
  kind: 'post',
  debit,
  credit,
  amountMinor: BigInt(minor),
})
const held = (debit: string, credit: string, minor: number, hold: Uint8Array, expiresMs = 1000): Leg => ({
  kind: 'hold',
  debit,
  credit,
  amountMinor: BigInt(minor),
  hold,
  expiresMs,
})
const refuses = async (t: Test, code: ProblemCode, work: () => unknown, what?: string) => {
  try {
    await work()
    t.fail(`${code} was expected${what ? `: ${what}` : ''}`)
  } catch (error) {
    t.ok(isProblem(error, code), `${code}${what ? `: ${what}` : ''}, not ${error}`)
  }
}
const balance = async (ledger: Ledger, code: string) => Number(balanceOf((await ledger.account(code))!))
const available = async (ledger: Ledger, code: string) => Number(availableOf((await ledger.account(code))!))

/** The model: a plain list of what was accepted, and balances recomputed from it each time. */
class Model {
  readonly moved: { debit: string; credit: string; minor: number }[] = []
  readonly holds = new Map<number, { debit: string; credit: string; minor: number; expires: number; open: boolean }>()

  sweep(now: number) {
    for (const hold of this.holds.values()) if (hold.expires <= now) hold.open = false
  }
  of(code: string): { stands: number; free: number } {
    let stands = 0
    for (const { debit, credit, minor } of this.moved) stands += credit === code ? minor : debit === code ? -minor : 0
    let free = stands
    for (const { debit, minor, open } of this.holds.values()) if (open && debit === code) free -= minor
    return { stands, free }
  }
}

for (const [engine, openDatabase] of Object.entries(testEngines()))
  t.test(engine, async (t) => {
    const databases: Database[] = []
    /** PostgreSQL's triggers are named within their table. */
    const on = (table: string) => (engine === 'SQLite' ? '' : ` ON ${table}`)
    const runs = engine === 'SQLite' ? 150 : 10
    t.teardown(async () => {
      for (const database of databases) await database.close()
    })
    async function open(): Promise<{ database: Database; ledger: Ledger }> {
      const database = await openDatabase()
      databases.push(database)
      await migrate(database, [{ set: 'settlement', migrations: settlementMigrations }], 0)
      const ledger = new Ledger(database)
      await ledger.open({ code: 'bank', currency: 'JPY', side: 'debit', overdraft: true })
      for (const code of ['a', 'b', 'c']) await ledger.open({ code, currency: 'JPY', side: 'credit' })
      await ledger.open({ code: 'bank-usd', currency: 'USD', side: 'debit', overdraft: true })
      await ledger.open({ code: 'a-usd', currency: 'USD', side: 'credit' })
      return { database, ledger }
    }

    t.test('P5 ledger 1: a posting is atomic, all its legs or none', async (t) => {
      const { database, ledger } = await open()
      await ledger.post(posting(move('bank', 'a', 100)), 1)
      await refuses(t, 'ledger.insufficient', () => ledger.post(posting(move('a', 'b', 60), move('a', 'c', 60)), 2))
      t.strictSame([await balance(ledger, 'a'), await balance(ledger, 'b'), await balance(ledger, 'c')], [100, 0, 0])
      await t.rejects(() =>
        database.transaction(async (sql) => {
          await new Ledger(sql).post(posting(move('a', 'b', 60)), 3)
          throw new Error('the service failed after the posting')
        }),
      )
      t.equal(await balance(ledger, 'a'), 100, 'nothing remains of a transaction that fails')
      t.equal((await ledger.tip()).seq, 1)
      t.end()
    })

    t.test('P5 ledger 2: every posting is balanced, in every currency', async (t) => {
      const { ledger } = await open()
      await ledger.post(posting(move('bank', 'a', 100), move('bank-usd', 'a-usd', 7)), 1)
      for (const { debitsMinor, creditsMinor } of await ledger.trialBalance()) t.equal(debitsMinor, creditsMinor)
      t.equal((await ledger.trialBalance()).length, 2)
      t.end()
    })

    t.test('P5 ledger 3: the same posting again changes nothing and is answered as before', async (t) => {
      const { ledger } = await open()
      const one = posting(move('bank', 'a', 100))
      const first = await ledger.post(one, 1)
      const again = await ledger.post({ ...one, legs: [...one.legs] }, 99)
      t.strictSame(again, { ...first, replayed: true })
      t.equal(await balance(ledger, 'a'), 100)
      const both = await ledger.postAll([one, one], 100)
      t.ok(both.every((outcome) => 'replayed' in outcome && outcome.replayed))
      t.end()
    })

    t.test('P5 ledger 4: the same id with another body is refused', async (t) => {
      const { ledger } = await open()
      const one = posting(move('bank', 'a', 100))
      await ledger.post(one, 1)
      await refuses(t, 'ledger.conflict', () => ledger.post({ ...one, legs: [move('bank', 'a', 101)] }, 2), 'amount')
      await refuses(t, 'ledger.conflict', () => ledger.post({ ...one, legs: [move('bank', 'b', 100)] }, 2), 'account')
      await refuses(t, 'ledger.conflict', () => ledger.post({ ...one, reason: 'other' }, 2), 'reason')
      await refuses(t, 'ledger.conflict', () => ledger.post({ ...one, reference: 'other' }, 2), 'reference')
      t.equal(await balance(ledger, 'a'), 100)
      t.end()
    })

    t.test('P5 ledger 5: a hold is captured once', async (t) => {
      const { ledger } = await open()
      const hold = id()
      await ledger.post(posting(move('bank', 'a', 100)), 1)
      await ledger.post(posting(held('a', 'b', 80, hold)), 2)
      await ledger.post(posting({ kind: 'capture', hold, amountMinor: 80n }), 3)
      await refuses(t, 'ledger.hold-resolved', () =>
        ledger.post(posting({ kind: 'capture', hold, amountMinor: 80n }), 4),
      )
      await refuses(t, 'ledger.hold-resolved', () => ledger.post(posting(held('a', 'b', 1, hold)), 4), 'its id is used')
      t.strictSame([await balance(ledger, 'a'), await balance(ledger, 'b')], [20, 80])
      t.end()
    })

    t.test('P5 ledger 6: a hold is voided once, and never after a capture or before one', async (t) => {
      const { ledger } = await open()
      const [one, two] = [id(), id()]
      await ledger.post(posting(move('bank', 'a', 100)), 1)
      await ledger.post(posting(held('a', 'b', 40, one), held('a', 'b', 40, two)), 2)
      await ledger.post(posting({ kind: 'void', hold: one }), 3)
      await refuses(t, 'ledger.hold-resolved', () => ledger.post(posting({ kind: 'void', hold: one }), 4))
      await refuses(t, 'ledger.hold-resolved', () =>
        ledger.post(posting({ kind: 'capture', hold: one, amountMinor: 1n }), 4),
      )
      await ledger.post(posting({ kind: 'capture', hold: two, amountMinor: 40n }), 5)
      await refuses(t, 'ledger.hold-resolved', () => ledger.post(posting({ kind: 'void', hold: two }), 6))
      await refuses(t, 'ledger.hold-unknown', () => ledger.post(posting({ kind: 'void', hold: id() }), 6))
      t.strictSame([await balance(ledger, 'a'), await balance(ledger, 'b')], [60, 40])
      t.end()
    })

    t.test('P5 ledger 7: no account that may not be overdrawn falls below zero', async (t) => {
      const { database, ledger } = await open()
      await ledger.post(posting(move('bank', 'a', 100)), 1)
      await refuses(t, 'ledger.insufficient', () => ledger.post(posting(move('a', 'b', 101)), 2))
      await ledger.post(posting(move('a', 'b', 100)), 3)
      await refuses(t, 'ledger.insufficient', () => ledger.post(posting(move('a', 'b', 1)), 4))
      await ledger.post(posting(move('a', 'c', 30), move('b', 'a', 30)), 5)
      t.equal(await balance(ledger, 'a'), 0, 'within one posting the order of legs does not matter')
      await t.rejects(
        () => database.run("UPDATE ledger_accounts SET debits_posted = debits_posted + 1 WHERE code = 'a'"),
        'not even by hand',
      )
      t.end()
    })

    t.test('P5 ledger 8: what is held cannot be spent', async (t) => {
      const { ledger } = await open()
      await ledger.post(posting(move('bank', 'a', 100)), 1)
      await ledger.post(posting(held('a', 'b', 70, id())), 2)
      t.strictSame([await balance(ledger, 'a'), await available(ledger, 'a')], [100, 30])
      await refuses(t, 'ledger.insufficient', () => ledger.post(posting(move('a', 'c', 31)), 3))
      await refuses(t, 'ledger.insufficient', () => ledger.post(posting(held('a', 'c', 31, id())), 3))
      t.equal(await available(ledger, 'b'), 0, 'and what is only promised cannot be spent either')
      await ledger.post(posting(move('a', 'c', 30)), 4)
      t.end()
    })

    t.test('P5 ledger 9: a hold that runs out is given back, and cannot be captured afterwards', async (t) => {
      const { ledger } = await open()
      const hold = id()
      await ledger.post(posting(move('bank', 'a', 100)), 1)
      await ledger.post(posting(held('a', 'b', 70, hold, 500)), 2)
      await refuses(t, 'ledger.insufficient', () => ledger.post(posting(move('a', 'c', 100)), 499))
      await refuses(t, 'ledger.hold-resolved', () =>
        ledger.post(posting({ kind: 'capture', hold, amountMinor: 70n }), 500),
      )
      await ledger.post(posting(move('a', 'c', 100)), 501)
      t.strictSame([await balance(ledger, 'a'), await balance(ledger, 'b'), await balance(ledger, 'c')], [0, 0, 100])
      await refuses(t, 'ledger.hold-expired', () => ledger.post(posting(held('c', 'b', 1, id(), 501)), 501))
      t.equal(await ledger.expireDue(10_000), 0)
      t.end()
    })

    t.test('P5 ledger 10: a capture of less gives the rest back, a capture of more is refused', async (t) => {
      const { ledger } = await open()
      const hold = id()
      await ledger.post(posting(move('bank', 'a', 100)), 1)
      await ledger.post(posting(held('a', 'b', 70, hold)), 2)
      await refuses(t, 'ledger.bad-amount', () => ledger.post(posting({ kind: 'capture', hold, amountMinor: 71n }), 3))
      await ledger.post(posting({ kind: 'capture', hold, amountMinor: 20n }), 3)
      t.strictSame([await available(ledger, 'a'), await balance(ledger, 'b')], [80, 20])
      t.equal((await ledger.account('a'))!.debitsPending, 0n)
      t.end()
    })

    t.test('P5 ledger 11: history is stable, nothing written is changed or removed', async (t) => {
      const { database, ledger } = await open()
      const hold = id()
      await ledger.post(posting(move('bank', 'a', 100)), 1)
      await ledger.post(posting(held('a', 'b', 70, hold)), 2)
      await signHead(database, ledger, signerOf(generateKey('ed25519', systemRandom)), '2026-11-21', 3)
      for (const change of [
        'UPDATE ledger_postings SET at = 0',
        'DELETE FROM ledger_postings',
        'UPDATE ledger_legs SET amount = 1',
        'DELETE FROM ledger_legs',
        'UPDATE ledger_heads SET seq = 0',
        'DELETE FROM ledger_heads',
        'DELETE FROM ledger_accounts',
        "UPDATE ledger_accounts SET side = 'debit'",
        'DELETE FROM ledger_holds',
        'UPDATE ledger_holds SET amount = 1, resolved = 1',
      ])
        await t.rejects(() => database.run(change), change)
      const before = await ledger.history('a', 10)
      await ledger.post(posting({ kind: 'capture', hold, amountMinor: 70n }), 3)
      t.strictSame((await ledger.history('a', 10)).slice(1), before)
      t.strictSame(
        (await ledger.history('a', 10)).map(({ kind, changeMinor }) => [kind, changeMinor]),
        [
          ['capture', -70n],
          ['hold', 0n],
          ['post', 100n],
        ],
      )
      t.end()
    })

    t.test('P9 ledger 12: the balance at a moment is what it was then, even when the clock jumps back', async (t) => {
      const { ledger } = await open()
      await ledger.post(posting(move('bank', 'a', 100)), 1000)
      const hold = id()
      await ledger.post(posting(held('a', 'b', 30, hold, 9000)), 2000)
      await ledger.post(posting({ kind: 'capture', hold, amountMinor: 30n }), 3000)
      const late = await ledger.post(posting(move('a', 'c', 10)), 500)
      t.equal(late.atMs, 3000, 'a posting never lies before an earlier one')
      t.strictSame(
        await mapInOrder([999, 1000, 2999, 3000], async (at) => Number(await ledger.balanceAt('a', at))),
        [0, 100, 100, 60],
      )
      t.equal(await ledger.balanceAt('bank', 5000), 100n)
      t.end()
    })

    t.test('P9 ledger 13: a change behind the ledger’s back is found by the chain and by the sums', async (t) => {
      const { database, ledger } = await open()
      await ledger.post(posting(move('bank', 'a', 100)), 1)
      await ledger.post(posting(move('a', 'b', 40)), 2)
      const signing = generateKey('ed25519', systemRandom)
      const head = openHead(await signHead(database, ledger, signerOf(signing), '2026-11-21', 3), () =>
        publicOf(signing),
      )
      t.strictSame((await audit(database)).findings, [])
      t.strictSame(Buffer.from((await audit(database)).chain), Buffer.from(head.chain))
      t.ok(await headHolds(database, head))
      t.strictSame(head.totals, [
        { currency: 'JPY', minor: 140 },
        { currency: 'USD', minor: 0 },
      ])
      await database.script(
        `DROP TRIGGER ledger_legs_no_update${on('ledger_legs')}; UPDATE ledger_legs SET amount = 41 WHERE posting = 2`,
      )
      t.strictSame(
        (await audit(database)).findings.map(({ what, where }) => `${what} ${where}`),
        ['chain posting 2', 'account a', 'account b'],
      )
      await database.script(
        `UPDATE ledger_legs SET amount = 40 WHERE posting = 2; DROP TRIGGER ledger_accounts_fixed${on('ledger_accounts')}`,
      )
      await database.run("UPDATE ledger_accounts SET credits_posted = credits_posted + 5 WHERE code = 'b'")
      t.strictSame(
        (await audit(database)).findings.map(({ where }) => where),
        ['b'],
      )
      t.notOk(await headHolds(database, { seq: 2, chain: new Uint8Array(32) }))
      t.end()
    })

    t.test('P5 ledger 14: currencies do not mix, accounts keep their nature, closed ones take nothing', async (t) => {
      const { ledger } = await open()
      await refuses(t, 'ledger.wrong-currency', () => ledger.post(posting(move('bank', 'a-usd', 1)), 1))
      await refuses(t, 'ledger.same-account', () => ledger.post(posting(move('bank', 'bank', 1)), 1))
      await refuses(t, 'ledger.unknown-account', () => ledger.post(posting(move('bank', 'nobody', 1)), 1))
      await ledger.open({ code: 'a', currency: 'JPY', side: 'credit' })
      await refuses(t, 'ledger.conflict', () => ledger.open({ code: 'a', currency: 'USD', side: 'credit' }))
      await ledger.post(posting(move('bank', 'c', 5)), 1)
      await refuses(t, 'pay.order-state', () => ledger.close('c'))
      await ledger.post(posting(move('c', 'b', 5)), 2)
      await ledger.close('c')
      await refuses(t, 'ledger.account-closed', () => ledger.post(posting(move('bank', 'c', 5)), 3))
      t.end()
    })

    t.test('P5 ledger 15: absurd amounts are refused before they do harm', async (t) => {
      const { ledger } = await open()
      for (const amountMinor of [0n, -1n, 1_000_000_000_000n, 2n ** 63n])
        await refuses(t, 'ledger.bad-amount', () =>
          ledger.post(posting({ kind: 'post', debit: 'bank', credit: 'a', amountMinor }), 1),
        )
      for (const amountMinor of [0n, -5n])
        await refuses(t, 'ledger.bad-amount', () =>
          ledger.post(posting({ kind: 'capture', hold: id(), amountMinor }), 1),
        )
      await refuses(t, 'ledger.bad-posting', () => ledger.post(posting(), 1))
      await refuses(t, 'ledger.bad-posting', () =>
        ledger.post({ ...posting(move('bank', 'a', 1)), id: new Uint8Array(15) }, 1),
      )
      await refuses(t, 'ledger.bad-posting', () =>
        ledger.post(posting(...Array.from({ length: 65 }, () => move('bank', 'a', 1))), 1),
      )
      const most = 999_999_999_999
      for (let sum = 0; sum + most * 50 <= Number.MAX_SAFE_INTEGER; sum += most * 50)
        await ledger.post(posting(...Array.from({ length: 50 }, () => move('bank', 'a', most))), 2)
      await refuses(t, 'ledger.overflow', () =>
        ledger.post(posting(...Array.from({ length: 50 }, () => move('bank', 'a', most))), 3),
      )
      t.equal((await ledger.trialBalance())[0]!.debitsMinor, (await ledger.trialBalance())[0]!.creditsMinor)
      t.end()
    })

    t.test(
      'P5 B6 a group leaves the very journal that its postings leave one by one: replays, conflicts, holds and all',
      async (t) => {
        const step = fc.record({
          id: fc.nat(60),
          from: fc.constantFrom('a', 'b', 'c', 'bank'),
          to: fc.constantFrom('a', 'b', 'c'),
          minor: fc.integer({ min: 1, max: 60 }),
          kind: fc.constantFrom('post' as const, 'hold' as const, 'capture' as const, 'void' as const),
          which: fc.nat(10),
        })
        const bytes = (n: number) => new Uint8Array(16).fill(n + 1)
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 150 }), async (steps) => {
            const postings = steps.map(({ id, from, to, minor, kind, which }): Posting => {
              const leg: Leg =
                kind === 'post'
                  ? move(from, to, minor)
                  : kind === 'hold'
                    ? held(from, to, minor, bytes(100 + which), 1_000)
                    : kind === 'capture'
                      ? { kind, hold: bytes(100 + which), amountMinor: BigInt(minor) }
                      : { kind, hold: bytes(100 + which) }
              return { id: bytes(id), reason: kind, reference: String(id), legs: [leg] }
            })
            const [together, apart] = [await open(), await open()]
            const told = (outcome: unknown) => (isProblem(outcome) ? outcome.code : JSON.stringify(outcome))
            const group = (await together.ledger.postAll(postings, 5)).map(told)
            const single = await mapInOrder(postings, async (one) => {
              try {
                return told(await apart.ledger.post(one, 5))
              } catch (error) {
                return told(error)
              }
            })
            if (group.join() !== single.join()) throw new Error(`told ${group.join()} and ${single.join()}`)
            const state = async ({ database }: typeof together) =>
              JSON.stringify(
                await mapInOrder(['ledger_postings', 'ledger_legs', 'ledger_holds', 'ledger_accounts'], (table) =>
                  database.all(`SELECT * FROM ${table} ORDER BY 1, 2`),
                ),
              )
            if ((await state(together)) !== (await state(apart))) throw new Error('the tables differ')
            const { findings } = await audit(together.database)
            if (findings.length > 0) throw new Error(JSON.stringify(findings))
            await together.database.close()
            await apart.database.close()
          }),
          { numRuns: engine === 'SQLite' ? 100 : 10 },
        )
        t.end()
      },
    )

    t.test('P5 property: any sequence of postings agrees with a model that recomputes everything', async (t) => {
      const member = fc.constantFrom('a', 'b', 'c')
      const step = fc.oneof(
        fc.record({ do: fc.constant('in' as const), to: member, minor: fc.integer({ min: 1, max: 100 }) }),
        fc.record({
          do: fc.constant('move' as const),
          from: member,
          to: member,
          minor: fc.integer({ min: -1, max: 120 }),
        }),
        fc.record({
          do: fc.constant('hold' as const),
          from: member,
          to: member,
          minor: fc.integer({ min: 1, max: 90 }),
          lasts: fc.integer({ min: 1, max: 8 }),
        }),
        fc.record({ do: fc.constant('capture' as const), which: fc.nat(12), minor: fc.integer({ min: 1, max: 90 }) }),
        fc.record({ do: fc.constant('void' as const), which: fc.nat(12) }),
        fc.record({ do: fc.constant('again' as const), which: fc.nat(40) }),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
          const { database, ledger } = await open()
          const model = new Model()
          const holdIds: Uint8Array[] = []
          const done: Posting[] = []
          for (const [at, step] of steps.entries()) {
            const now = at + 1
            const attempt = async (legs: Leg[], allowed: boolean, then: () => void) => {
              const one = posting(...legs)
              let accepted = true
              try {
                await ledger.post(one, now)
              } catch (error) {
                if (!isProblem(error)) throw error
                accepted = false
              }
              if (accepted !== allowed)
                throw new Error(`step ${at} ${JSON.stringify(step)}: ledger ${accepted}, model ${allowed}`)
              if (accepted) {
                then()
                done.push(one)
              }
            }
            model.sweep(now)
            // A step that asks nothing of the ledger sweeps nothing there.
            await ledger.expireDue(now)
            if (step.do === 'in')
              await attempt([move('bank', step.to, step.minor)], true, () =>
                model.moved.push({ debit: 'bank', credit: step.to, minor: step.minor }),
              )
            else if (step.do === 'move')
              await attempt(
                [move(step.from, step.to, step.minor)],
                step.from !== step.to && step.minor > 0 && model.of(step.from).free >= step.minor,
                () => model.moved.push({ debit: step.from, credit: step.to, minor: step.minor }),
              )
            else if (step.do === 'hold') {
              const hold = id()
              await attempt(
                [held(step.from, step.to, step.minor, hold, now + step.lasts)],
                step.from !== step.to && model.of(step.from).free >= step.minor,
                () => {
                  model.holds.set(holdIds.push(hold) - 1, {
                    debit: step.from,
                    credit: step.to,
                    minor: step.minor,
                    expires: now + step.lasts,
                    open: true,
                  })
                },
              )
            } else if (step.do === 'capture' || step.do === 'void') {
              const hold = holdIds[step.which]
              const known = model.holds.get(step.which)
              if (!hold || !known) continue
              if (step.do === 'void')
                await attempt([{ kind: 'void', hold }], known.open, () => {
                  known.open = false
                })
              else
                await attempt(
                  [{ kind: 'capture', hold, amountMinor: BigInt(step.minor) }],
                  known.open && step.minor <= known.minor,
                  () => {
                    known.open = false
                    model.moved.push({ debit: known.debit, credit: known.credit, minor: step.minor })
                  },
                )
            } else if (done[step.which]) {
              if (!(await ledger.post(done[step.which]!, now)).replayed) throw new Error('a replay was done again')
            }
            for (const code of ['a', 'b', 'c'])
              if (
                (await balance(ledger, code)) !== model.of(code).stands ||
                (await available(ledger, code)) !== model.of(code).free
              )
                throw new Error(`step ${at}: ${code} differs`)
          }
          const { findings } = await audit(database)
          if (findings.length > 0) throw new Error(JSON.stringify(findings))
          await database.close()
        }),
        { numRuns: runs },
      )
      t.end()
    })
  })
