import { createPublicKey } from 'node:crypto'
import { parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import { isWorkOf } from '@azukari/protocol/marks/work-id'
import sharp from 'sharp'
import t from 'tap'
import { createServiceKeys, heldKeys } from '../../../service/service-keys.ts'
import { testEngines } from '../../../test-database.ts'
import { markPicture, readMark } from '../marks/mark-picture.ts'
import { noonMs, openTestRights, testOffer, testPhoto, testRandom } from '../test-fixture.ts'
import { openRegistration } from './registration.ts'

const words = {
  title: 'Harbour',
  author: 'Aoki Hana',
  offer: testOffer,
  published: ['https://hana.example/'],
  by: 'op',
}

for (const [engine, open] of Object.entries(testEngines()))
  t.test(`rights on ${engine}`, async (t) => {
    const database = await open()
    t.teardown(() => database.close())
    const keys = createServiceKeys(testRandom)
    const { rights, files } = await openTestRights(database, { keys })
    const photo = await testPhoto(31)
    const first = await rights.works.register({ ...words, picture: photo })

    t.test('R1 R2: the picture that comes back carries an id of this service, and the record says so', async (t) => {
      t.equal(await readMark(first.marked), BigInt(`0x${first.work}`))
      const [sign] = heldKeys(keys).map(({ key }) => parseCoseKey(key))
      t.ok(isWorkOf(first.work, thumbprint(sign!)))
      t.notOk(isWorkOf(first.work, testRandom.bytes(32)), 'and of no other')
      const record = openRegistration(first.record, () => createPublicKey(keys.signing))
      t.match(record, {
        work: first.work,
        author: 'Aoki Hana',
        registeredMs: noonMs,
        by: 'op',
        published: words.published,
      })
      t.match(await rights.works.get(first.work), { ...words, published: words.published, sales: 0 })
      t.match(await rights.works.list(), [{ work: first.work }])
    })

    t.test('R1: the first registration decides: the same file, its marked copy, a crop of that', async (t) => {
      const { width } = await sharp(first.marked).metadata()
      const crop = await sharp(first.marked)
        .extract({ left: 40, top: 30, width: width! - 80, height: 380 })
        .jpeg({ quality: 80 })
        .toBuffer()
      for (const picture of [photo, first.marked, new Uint8Array(crop)])
        await t.rejects(rights.works.register({ ...words, author: 'Thief', picture }), {
          code: 'rights.registered',
          detail: first.work,
        })
      t.equal((await rights.works.list()).length, 1)
    })

    t.test('R1: of two who register one picture at once, one is refused', async (t) => {
      const picture = await testPhoto(32)
      const before = files.size
      const tries = await Promise.allSettled([
        rights.works.register({ ...words, picture }),
        rights.works.register({ ...words, picture }),
      ])
      t.same(tries.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
      t.match(
        tries.find(({ status }) => status === 'rejected'),
        { reason: { code: 'rights.registered' } },
      )
      t.equal(files.size, before + 1, 'of the other nothing is left')
    })

    t.test('R1: a mark that no registration here stands behind is named, not believed', async (t) => {
      const { bytes } = await markPicture(await testPhoto(33), 0x1234n)
      await t.rejects(rights.works.register({ ...words, picture: bytes }), {
        code: 'mark.present',
        detail: /0000000000001234/,
      })
    })

    t.test('R1: what is no picture, or too flat for a mark, is refused and leaves nothing', async (t) => {
      const before = files.size
      const flat = await sharp({ create: { width: 600, height: 450, channels: 3, background: '#ffffff' } })
        .png()
        .toBuffer()
      await t.rejects(rights.works.register({ ...words, picture: new Uint8Array(flat) }), { code: 'mark.unsuitable' })
      await t.rejects(rights.works.register({ ...words, picture: new Uint8Array(9) }), { code: 'mark.unreadable' })
      t.equal(files.size, before)
      await t.rejects(rights.works.get('0123456789abcdef'), { code: 'rights.work-unknown' })
    })

    t.test('R2 D2: the picture before it was marked is kept sealed, and opens under its own name alone', async (t) => {
      const name = `rights/pictures/master-${first.work}.cose`
      const sealed = files.get(name)!
      t.notOk(Buffer.from(sealed).includes(Buffer.from(photo.subarray(100, 132))), 'no plain bytes')
      files.set('rights/pictures/master-0123456789abcdef.cose', sealed)
      const { sealedPictures } = await import('../sealed-pictures.ts')
      const pictures = sealedPictures(
        { read: async (path) => files.get(path), write: async () => undefined, remove: async () => undefined },
        keys,
        testRandom,
      )
      t.same(await pictures.read('master', first.work), photo)
      await t.rejects(pictures.read('master', '0123456789abcdef'), { code: 'cose.decrypt-failed' })
      await t.rejects(pictures.read('found', first.work), { code: 'storage.failed' })
    })
  })
