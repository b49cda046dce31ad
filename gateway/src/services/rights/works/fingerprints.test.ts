/** What looks like a registered work is found without its mark, and named as a hint alone. */
import { distanceMax } from '@azukari/protocol/marks/fingerprint'
import sharp from 'sharp'
import t from 'tap'
import { testEngines } from '../../../test-database.ts'
import { openTestRights, testOffer, testPhoto, testRandom } from '../test-fixture.ts'
import { FingerprintIndex } from './fingerprints.ts'

/** A hash with so many other bits. */
function changed(hash: Uint8Array, bits: number): Uint8Array {
  const other = new Uint8Array(hash)
  for (let i = 0; i < bits; i++) other[(i * 7) % 32] = other[(i * 7) % 32]! ^ (1 << Math.floor(i / 32))
  return other
}

t.test('R1 R5: of many works the nearest is found to the last bit that is allowed, and none beyond', (t) => {
  const index = new FingerprintIndex()
  const hashes = Array.from({ length: 5_000 }, () => testRandom.bytes(32))
  for (const [at, hash] of hashes.entries()) index.add(String(at), { hash, quality: 100 })
  for (const at of [0, 1_023, 1_024, 4_999])
    for (const distance of [0, 1, distanceMax])
      t.same(index.nearest({ hash: changed(hashes[at]!, distance), quality: 100 }), { work: String(at), distance })
  t.equal(index.nearest({ hash: changed(hashes[7]!, distanceMax + 1), quality: 100 }), undefined)
  index.add('nearer', { hash: changed(hashes[7]!, 9), quality: 100 })
  t.same(index.nearest({ hash: changed(hashes[7]!, 10), quality: 100 }), { work: 'nearer', distance: 1 })
  t.equal(index.nearest({ hash: hashes[0]!, quality: 49 }), undefined, 'too flat to tell')
  index.add('flat', { hash: new Uint8Array(32), quality: 10 })
  t.equal(index.nearest({ hash: new Uint8Array(32), quality: 100 }), undefined, 'and a flat work is none of them')
  t.end()
})

for (const [engine, open] of Object.entries(testEngines()))
  t.test(`R1 R5: a picture that lost its mark is a hint where to look, never more (${engine})`, async (t) => {
    const database = await open()
    t.teardown(() => database.close())
    const { rights } = await openTestRights(database)
    const words = { author: 'Aoki Hana', title: 'Harbour', offer: testOffer, published: [], by: 'op' }
    const original = await testPhoto(111)
    const { work } = await rights.works.register({ ...words, picture: original })
    // As the original was made smaller and compressed by somebody who never had the marked picture.
    const copy = new Uint8Array(await sharp(original).resize(560).jpeg({ quality: 30 }).toBuffer())
    const location = 'https://pirate.example/p.jpg'
    const report = { location, picture: copy, reporter: 'op' }
    await t.rejects(rights.sightings.report(report, new AbortController().signal), {
      code: 'rights.no-mark',
      detail: new RegExp(`looks like work ${work}`),
    })
    t.same(await rights.cases.list(), [], 'nobody is written to about what looks alike')
    t.match(await rights.sightings.report({ ...report, work }, new AbortController().signal), { case: 1 })
    await t.rejects(rights.works.register({ ...words, author: 'Thief', picture: copy }), {
      code: 'rights.alike',
      detail: new RegExp(work),
    })
    const larger = new Uint8Array(await sharp(original).resize(700).png().toBuffer())
    t.ok(
      await rights.works.register({ ...words, picture: larger, isAnother: true }),
      'a person says that it is another',
    )
    t.ok(await rights.works.register({ ...words, picture: await testPhoto(112) }), 'another picture')
    const again = await openTestRights(database)
    await t.rejects(again.rights.works.register({ ...words, picture: copy }), { code: 'rights.alike' }, 'kept')
  })
