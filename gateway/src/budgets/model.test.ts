import fc from '@azukari/protocol/test-properties'
import t from 'tap'
import { addressKey } from './address.ts'
import { Budgets } from './budgets.ts'
import { Lobby } from './lobby.ts'
import { Pool, Reservation } from './pool.ts'
import { Bucket, Rate } from './rate.ts'

const held = (taken: unknown): taken is Reservation => taken instanceof Reservation

t.test('D3: a pool never holds more than its limits, and gives back exactly what was taken', async (t) => {
  const holds = () =>
    fc.assert(
      fc.property(
        fc.array(fc.record({ who: fc.constantFrom('a', 'b', 'c', ''), amount: fc.nat(40), back: fc.nat() }), {
          maxLength: 200,
        }),
        fc.boolean(),
        (steps, fair) => {
          const pool = new Pool('bytes', { device: { all: 100, each: 60, fair } })
          const open: { who: string; taken: Reservation }[] = []
          const sum = (who?: string) =>
            open.filter((one) => who === undefined || one.who === who).reduce((all, { taken }) => all + taken.amount, 0)
          for (const { who, amount, back } of steps) {
            const own = sum(who)
            const left = 100 - sum() - amount
            const fits = left >= 0 && (who === '' || (own + amount <= 60 && (!fair || own + amount <= left)))
            const taken = pool.take('device', who, amount)
            if (held(taken) !== fits) return false
            if (held(taken)) open.push({ who, taken })
            if (back % 3 === 0) {
              const [gone] = open.splice(back % Math.max(1, open.length), 1)
              gone?.taken.release()
              gone?.taken.release()
            }
            if (pool.held('device') !== sum() || ['a', 'b', 'c'].some((one) => pool.held('device', one) !== sum(one)))
              return false
          }
          for (const { taken } of open) taken.release()
          const [report] = pool.report()
          return report!.held === 0 && report!.holders === 0
        },
      ),
      { numRuns: 500 },
    )
  t.doesNotThrow(holds)
})

t.test('D3: kinds do not take from each other, and a kind without a share has nothing', async (t) => {
  const pool = new Pool('connections', { device: { all: 2, each: 1 }, stranger: { all: 3, each: 3 } })
  for (let n = 0; n < 3; n++) t.ok(held(pool.take('stranger', 'x')))
  t.match(pool.take('stranger', 'y'), { refused: 'all', held: 3, limit: 3 })
  t.ok(held(pool.take('device', 'd1')))
  t.match(pool.take('device', 'd1'), { refused: 'each', held: 1, limit: 1 })
  t.match(pool.take('operator', 'o'), { refused: 'all', limit: 0 })
  t.match(pool.report(), [
    { budget: 'connections', kind: 'device', held: 1, limit: 2, holders: 1, refused: 1 },
    { budget: 'connections', kind: 'stranger', held: 3, limit: 3, holders: 1, refused: 1 },
  ])
})

t.test('S4: in a fair pool there is room for one more, however many conspire', async (t) => {
  const pool = new Pool('bytes', { device: { all: 1_000, each: 1_000, fair: true } })
  for (let n = 0; n < 30; n++) for (let size = 512; size > 0; size >>= 1) pool.take('device', `thief-${n}`, size)
  t.ok(pool.held('device') < 1_000)
  t.ok(held(pool.take('device', 'newcomer', (1_000 - pool.held('device')) >> 1)))
})

t.test('D6: refusals name the budget, and whose it was', async (t) => {
  const pool = new Budgets().pool('calls', { device: { all: 2, each: 1 } })
  const full = () => {
    throw new Error('not full')
  }
  pool.take('device', 'a')
  t.match(pool.reserve('device', 'a', 1, full as never), { code: 'quota.exceeded', detail: 'calls: 1 of 1 in use' })
  pool.take('device', 'b')
  t.throws(() => pool.reserve('device', 'c', 1, full as never), /not full/)
})

t.test('D3: a bucket gives its rate and its burst and no more', async (t) => {
  const holds = () =>
    fc.assert(
      fc.property(fc.array(fc.nat(3_000), { minLength: 1, maxLength: 300 }), (gaps) => {
        const limit = { perSecond: 5, burst: 10 }
        const bucket = new Bucket(limit, 0)
        let nowMs = 0
        let taken = 0
        for (const gap of gaps) {
          nowMs += gap
          const againMs = bucket.take(nowMs)
          if (againMs === 0) taken++
          else if (againMs > 1_000 / limit.perSecond) return false
          if (taken > limit.burst + (nowMs / 1_000) * limit.perSecond + 1e-6) return false
        }
        return true
      }),
    )
  t.doesNotThrow(holds)
  const bucket = new Bucket({ perSecond: 2, burst: 1 }, 0)
  t.equal(bucket.take(0), 0)
  t.equal(bucket.take(0), 500)
  t.equal(bucket.take(500), 0)
  t.equal(bucket.spend(500), 500, 'spent in advance')
  t.equal(bucket.take(1_000), 500)
  t.equal(new Bucket({ perSecond: 1, burst: 5 }, 0).take(0, 6), 1_000, 'six of five')
  t.equal(bucket.take(100), 500, 'a clock that goes back gives nothing')
})

t.test('D3: names without end share one bucket, and names that were quiet are forgotten', async (t) => {
  const rate = new Rate('enrolments', { stranger: { perSecond: 1, burst: 2 } }, 3)
  for (const name of ['a', 'b', 'c']) for (let n = 0; n < 2; n++) t.equal(rate.take('stranger', name, 5_000), 0)
  t.equal(rate.take('stranger', 'd', 5_000), 0)
  t.equal(rate.take('stranger', 'e', 5_000), 0)
  t.ok(rate.take('stranger', 'f', 5_000) > 0, 'a third new name')
  t.ok(rate.take('stranger', 'a', 5_000) > 0, 'and the known ones are still counted')
  t.equal(rate.take('stranger', 'g', 8_000), 0)
  t.match(rate.report(), [{ holders: 1, refused: 2 }])
  t.equal(rate.take('device', 'x', 0), 0, 'a kind without a limit')
})

t.test('D3: a full lobby sends the oldest away, of the same address first', async (t) => {
  const gone: string[] = []
  const pool = new Pool('connections', { stranger: { all: 4, each: 2 } })
  const lobby = new Lobby<{ name: string }>(pool, 'stranger', ({ name }) => gone.push(name))
  const enter = (name: string, address: string) => {
    const guest = { name }
    lobby.enter(guest, address)
    return guest
  }
  const first = enter('x1', 'x')
  enter('y1', 'y')
  enter('x2', 'x')
  enter('x3', 'x')
  t.same(gone, ['x1'], 'x has its two')
  lobby.leave(first)
  enter('y2', 'y')
  enter('z1', 'z')
  t.same(gone, ['x1', 'y1'], 'the lobby has its four')
  for (let n = 0; n < 10; n++) enter(`in memory ${n}`, '')
  t.equal(pool.held('stranger'), 4)
  const none = new Lobby<{ name: string }>(new Pool('none', {}), 'stranger', ({ name }) => gone.push(name))
  none.enter({ name: 'nobody' }, 'x')
  t.equal(gone.at(-1), 'nobody', 'a lobby without a place')
})

t.test('D3: strangers are counted by address, and a household with a whole IPv6 network once', async (t) => {
  t.equal(addressKey('192.0.2.1'), '192.0.2.1')
  t.equal(addressKey('::ffff:192.0.2.1'), '192.0.2.1')
  t.equal(addressKey('2001:db8:0:1::5'), addressKey('2001:0DB8:0000:0001:ffff:1:2:3'))
  t.not(addressKey('2001:db8:0:1::5'), addressKey('2001:db8:0:2::5'))
  t.equal(addressKey('fe80::1%eth0'), addressKey('fe80::2'))
  t.equal(addressKey('::1'), '0:0:0:0::/64')
  t.equal(addressKey(undefined), '')
})
