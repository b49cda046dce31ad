import t from 'tap'
import { judge, type Permissions } from './judge.ts'
import { hostOf, isBelow, locationOf } from './place.ts'

const day = 86_400_000
const untilMs = 100 * day
const permissions: Permissions = {
  published: ['https://author.example/works/'],
  sales: [{ sale: 'a', places: ['https://shop.example/pictures'], untilMs, uses: 2 }],
  seenBefore: [],
}
const at = (location: string, seenMs?: number) => ({ location, seenMs })

t.test('R5: a place is permitted by a publication or a sale, else it is a breach', (t) => {
  t.same(judge(at('https://author.example/works/1.jpg', 1), permissions), { is: 'permitted', by: 'publication' })
  t.same(judge(at('http://SHOP.example/pictures/x.jpg', 1), permissions), { is: 'permitted', by: 'sale', sale: 'a' })
  t.same(judge(at('https://other.example/x.jpg', 1), permissions), { is: 'breach', why: 'place' })
  t.same(judge(at('https://shop.example/x.jpg', 1), { ...permissions, sales: [] }), { is: 'breach', why: 'place' })
  t.end()
})

t.test('R5: date, stop and number of addresses count; without a date the place alone is judged', (t) => {
  const place = 'https://shop.example/pictures/x.jpg'
  t.match(judge(at(place, untilMs - 1), permissions), { is: 'permitted' })
  t.same(judge(at(place, untilMs), permissions), { is: 'breach', why: 'expired' })
  t.match(judge(at(place), permissions), { is: 'permitted' }, 'no date is given')
  const stopped = { ...permissions, sales: [{ ...permissions.sales[0]!, stoppedMs: 5 * day }] }
  t.same(judge(at(place, 5 * day), stopped), { is: 'breach', why: 'stopped' })
  t.match(judge(at(place, 5 * day - 1), stopped), { is: 'permitted' })
  const seen = (...names: string[]) => names.map((name) => `https://shop.example/pictures/${name}`)
  t.match(
    judge(at(place, 1), { ...permissions, seenBefore: seen('x.jpg', 'y.jpg') }),
    { is: 'permitted' },
    'one of two',
  )
  t.same(judge(at(place, 1), { ...permissions, seenBefore: seen('y.jpg', 'z.jpg') }), { is: 'breach', why: 'uses' })
  t.end()
})

t.test('R5: another sale that permits the place is enough', (t) => {
  const sales = [
    { sale: 'old', places: ['https://shop.example/'], untilMs: 1, uses: 1 },
    { sale: 'new', places: ['https://shop.example/'], untilMs, uses: 1 },
  ]
  t.same(judge(at('https://shop.example/x', 5), { ...permissions, sales }), {
    is: 'permitted',
    by: 'sale',
    sale: 'new',
  })
  t.end()
})

t.test('R5: what lies below a place: whole segments of the path, on the same host and port', (t) => {
  const place = 'https://a.example/works/'
  for (const below of [
    'https://a.example/works',
    'https://A.example/works/1',
    'http://a.example/works/?x',
    'https://a.example:443/works/',
  ])
    t.ok(isBelow(below, place), below)
  for (const other of [
    'https://a.example/works2/1',
    'https://a.example/',
    'https://b.example/works/1',
    'https://a.example:8443/works/1',
    'https://a.example/works/../secret/1',
    'https://a.example.evil.example/works/1',
    'https://evil.example/?https://a.example/works/1',
    'nonsense',
  ])
    t.notOk(isBelow(other, place), other)
  t.ok(isBelow('https://a.example./works/1', place), 'the dot that ends a full name')
  t.ok(isBelow('https://例え.example/a', 'https://XN--R8JZ45G.example./'), 'names in other scripts')
  t.equal(locationOf('https://A.Example.:8443/x'), 'https://a.example:8443/x')
  t.equal(hostOf('http://A.example.:8080/'), 'a.example:8080')
  t.equal(locationOf('https://./x'), undefined)
  t.equal(locationOf('HTTPS://user:pw@A.Example:443/x?y#z'), 'https://a.example/x?y')
  for (const no of ['ftp://a.example/', 'file:///etc/passwd', '/etc/passwd', 'javascript:1', ''])
    t.equal(locationOf(no), undefined)
  t.end()
})
