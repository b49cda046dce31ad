import t from 'tap'
import { silent } from '../../../test-contracts.ts'
import { markPicture } from '../marks/mark-picture.ts'
import { testPhoto } from '../test-fixture.ts'
import { MarkPool } from './mark-pool.ts'

t.test('R2 D5: pictures are marked, read and traced in a thread, and this one goes on meanwhile', async (t) => {
  const pool = new MarkPool({ log: silent, threads: 1 })
  t.teardown(() => pool.close())
  const bytes = await testPhoto(51)
  let turns = 0
  const counting = setInterval(() => turns++, 1)
  const marked = await pool.mark({ bytes, work: 7n })
  clearInterval(counting)
  t.ok(turns > 20, `${turns} turns of the event loop`)
  t.same(marked.bytes, (await markPicture(bytes, 7n)).bytes, 'the same bytes as in one thread')
  t.equal(await pool.read(marked.bytes), 7n)
  t.equal(await pool.read(bytes), undefined)
  await t.rejects(pool.read(new Uint8Array(3)), { code: 'mark.unreadable' })
  const sale = { sale: 5n, master: new Uint8Array(32).fill(1) }
  const copy = await pool.mark({ bytes, work: 7n, sale, isUnmarked: true })
  const found = await pool.trace({ suspect: copy.bytes, original: bytes, master: sale.master, sales: [4n, 5n] })
  t.match(found, { accused: [{ sale: 5n }] })
})

t.test(
  'R2 D5: more than may wait is refused, what takes too long ends alone, and the end refuses what waits',
  async (t) => {
    const pool = new MarkPool({ log: silent, threads: 1, waiting: 1, taskMs: 1 })
    const bytes = await testPhoto(52)
    const slow = pool.read(bytes)
    const waits = pool.read(bytes)
    await t.rejects(pool.read(bytes), { code: 'service.busy' })
    await t.rejects(slow, { code: 'mark.unreadable', detail: /too long/ })
    await t.rejects(waits, { code: 'mark.unreadable' })
    const [last, unheard] = [pool.read(bytes), pool.read(bytes)]
    const ended = [
      t.rejects(last, { code: 'service.unavailable' }),
      t.rejects(unheard, { code: 'service.unavailable' }),
    ]
    await pool.close()
    await Promise.all(ended)
    await t.rejects(pool.read(bytes), { code: 'service.unavailable' })
  },
)
