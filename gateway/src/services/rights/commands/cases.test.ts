/** What operators say of a sighting, before it is judged. */
import { registerWork, sellWork, stopUse } from '@azukari/protocol/contracts/rights-operators'
import t from 'tap'
import { seenAt } from './cases.ts'

const noonMs = Date.UTC(2026, 11, 1, 12)

t.test('R4: a copy was seen on a day that there is, and not in the future', (t) => {
  t.equal(seenAt('2026-12-01', noonMs), Date.UTC(2026, 11, 1))
  t.equal(seenAt('2026-12-01T11:30:00Z', noonMs), Date.UTC(2026, 11, 1, 11, 30))
  for (const none of ['2026-13-45', '2026-02-31', '2026-12-01T99:99Z', '2026-12-02', '2026-12-01T12:00:01Z'])
    t.throws(() => seenAt(none, noonMs), { code: 'command.invalid', message: new RegExp(none) }, none)
  t.end()
})

t.test('R6: what would begin a line of its own in a letter is refused', (t) => {
  const work = { file: 'a.jpg', author: 'Aoki Hana', title: 'Harbour', price: 1, out: 'b.jpg' }
  const sale = {
    work: '0123456789abcdef',
    buyer: 'Sato',
    contact: 'a@b.example',
    url: [],
    until: '2027-01-01',
    out: 'c',
  }
  const places = ['https://a.example/works/', 'content:0123456789abcdef0123456789abcdef']
  t.ok(registerWork.checkRequest({ ...work, title: '港の朝 – “Harbour”', published: places }))
  t.ok(sellWork.checkRequest({ ...sale, url: places }))
  for (const wrong of ['\n', '\r\nBcc: x', '\u0000', '\u0085', '\u2028', '\u001b[2J']) {
    for (const name of ['title', 'author'])
      t.throws(() => registerWork.checkRequest({ ...work, [name]: `a${wrong}` }), { code: 'message.invalid' })
    t.throws(() => registerWork.checkRequest({ ...work, published: [`https://a.example/${wrong}`] }))
    t.throws(() => sellWork.checkRequest({ ...sale, url: places, buyer: `a${wrong}` }), { code: 'message.invalid' })
    t.throws(() => sellWork.checkRequest({ ...sale, url: places, contact: `a${wrong}@b.example` }))
    t.throws(() => stopUse.checkRequest({ number: 1, reason: `a${wrong}` }))
  }
  t.end()
})
