import { coseKey, generateKey, parseCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import t from 'tap'
import { SeededRandom } from '../../testkit/world/chance.ts'
import { SimClock } from '../../testkit/world/clock.ts'
import { SimFiles } from '../../testkit/world/files.ts'
import { cardIssue, cardShow, loadCard } from './issue.ts'

const random = new SeededRandom(1)
const files = new SimFiles({ random })
const ports = { files, random, clock: new SimClock() }
const providerKey = Buffer.from(coseKey(publicOf(generateKey('ed25519', random)))).toString('hex')
const args = {
  kind: 'ed25519',
  name: '山田 太郎',
  level: '3',
  home: 'JP-13',
  pin: '1234',
  providerKey,
  out: '/cards/one.card',
}

t.test('S15: a card is issued into a file, and can be shown', async (t) => {
  await files.makeDirectory('/cards')
  const { record, puk } = await cardIssue(args, ports)
  t.match(puk, /^\d{8}$/)
  t.match(record, { kind: 'ed25519', name: '山田 太郎', level: 3, homeRegion: 'JP-13', number: /^M-\d{8}$/ })
  t.equal(Buffer.from(thumbprint(parseCoseKey(Buffer.from(record.authKey, 'hex')))).toString('hex'), record.card)
  const shown = await cardShow(args.out, ports)
  t.match(shown, {
    kind: 'ed25519',
    card: record.card,
    member: { name: '山田 太郎', number: record.number },
    level: 3,
    home: 'JP-13',
    pinTriesLeft: 3,
    conditions: [],
    tornSlots: 0,
  })
  t.notMatch(JSON.stringify([record, shown]), /pin":|1234/, 'no secrets')
  t.ok(await loadCard(files, args.out, random))
  t.equal(
    (await cardIssue({ ...args, kind: 'p256', out: '/cards/two.card', memberId: 'ab'.repeat(16), short: true }, ports))
      .record.memberId,
    'ab'.repeat(16),
  )
})

t.test('S15: what does not fit is refused, and no card is overwritten', async (t) => {
  for (const wrong of [
    { kind: 'dsa' },
    { name: ' ' },
    { level: 'high' },
    { level: 11 },
    { home: 'Tokyo' },
    { pin: '12' },
    { providerKey: 'xyz' },
    { memberId: 'abcd' },
  ])
    await t.rejects(
      cardIssue({ ...args, out: '/cards/none.card', ...wrong }, ports),
      { code: 'config.invalid' },
      JSON.stringify(wrong),
    )
  await t.rejects(cardIssue(args, ports), { code: 'config.invalid' }, 'the file is there')
  await t.rejects(cardShow('/cards/none.card', ports), { code: 'object.unknown' })
})
