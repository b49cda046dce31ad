/** The commands on files, as an author calls them: kinds, orientation, alpha, attacks, and files that cannot be marked. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { drawTestPicture } from '@azukari/protocol/marks/test-picture'
import { isProblem } from '@azukari/protocol/problem'
import sharp, { type Sharp } from 'sharp'
import t, { type Test } from 'tap'
import { markCommands } from './mark.ts'

const work = '0123456789abcdef'
const sale = '00000000aa'

async function call(name: string, files: string[], values: Record<string, string> = {}) {
  const answer = await markCommands[name]!.run(values, files)
  // biome-ignore lint/suspicious/noExplicitAny: the document that a program gets
  return answer as { json: any; text: string; exit?: number }
}

async function problemOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (error) {
    if (!isProblem(error)) throw error
    return `${error.code}: ${error.detail}`
  }
}

function scene(seed: number, width = 600, height = 450): Sharp {
  const { rgba } = drawTestPicture(seed, width, height)
  return sharp(rgba, { raw: { width, height, channels: 4 } })
}

async function folderOf(t: Test) {
  const folder = t.testdir({ out: {}, in: {} })
  const keys = join(folder, 'keys')
  await call('mark keys', [], { out: keys })
  const sales = join(folder, 'sales')
  const others = Array.from({ length: 200 }, (_, i) => (i + 0x1000).toString(16).padStart(10, '0'))
  writeFileSync(sales, `# issued\n${[...others, sale].join('\n')}\n`)
  return { folder, out: join(folder, 'out'), in: join(folder, 'in'), keys, sales }
}

t.test(
  'R1, R3: a folder of JPEG, PNG and WebP is marked in kind, read, and each copy traced to its sale',
  async (t) => {
    const place = await folderOf(t)
    await scene(1).jpeg({ quality: 92 }).withMetadata({ orientation: 6 }).toFile(join(place.in, 'a.jpg'))
    await scene(2).png().toFile(join(place.in, 'b.png'))
    await scene(3).webp({ quality: 92 }).toFile(join(place.in, 'c.webp'))
    writeFileSync(join(place.in, 'notes.txt'), 'no picture')
    const marked = await call('mark embed', [place.in], { work, sale, keys: place.keys, out: place.out })
    t.equal(marked.json.failed, 0)
    t.equal(marked.json.files.length, 3)
    for (const file of marked.json.files) t.ok(file.psnrDb > 40 && file.derivation, `${file.psnrDb}`)
    const kinds = ['a.jpg', 'b.png', 'c.webp'].map(
      async (name) => (await sharp(join(place.out, name)).metadata()).format,
    )
    t.same(await Promise.all(kinds), ['jpeg', 'png', 'webp'])
    const { width, height, orientation } = await sharp(join(place.out, 'a.jpg')).metadata()
    t.same({ width, height, orientation }, { width: 450, height: 600, orientation: undefined }, 'upright')
    const read = await call('mark read', [place.out])
    t.same(
      read.json.files.map((file: { work: string }) => file.work),
      [work, work, work],
    )
    for (const name of ['a.jpg', 'b.png']) {
      const options = { original: join(place.in, name), sales: place.sales, keys: place.keys }
      const traced = await call('mark trace', [join(place.out, name)], options)
      t.same(
        traced.json.accused.map((one: { sale: string }) => one.sale),
        [sale],
        name,
      )
    }
  },
)

t.test('R4, R6: both marks outlive compression, resizing and cropping', async (t) => {
  const place = await folderOf(t)
  const original = join(place.in, 'a.png')
  await scene(4, 1000, 750).png().toFile(original)
  await call('mark embed', [original], { work, sale, keys: place.keys, out: place.out })
  const marked = () => sharp(join(place.out, 'a.png'))
  const attacks: Record<string, Sharp> = {
    'jpeg-82.jpg': marked().jpeg({ quality: 82 }),
    'jpeg-50-420.jpg': marked().jpeg({ quality: 50, chromaSubsampling: '4:2:0' }),
    'webp-50.webp': marked().webp({ quality: 50 }),
    'half.jpg': marked().resize(500).jpeg({ quality: 82 }),
    'larger.png': marked().resize(1500),
    'crop.jpg': marked().extract({ left: 91, top: 47, width: 760, height: 600 }).jpeg({ quality: 75 }),
    'flop.jpg': marked().flop().jpeg({ quality: 75 }),
  }
  for (const [name, picture] of Object.entries(attacks)) {
    const file = join(place.folder, name)
    await picture.toFile(file)
    const traced = await call('mark trace', [file], { original, sales: place.sales, keys: place.keys })
    const { isWorkRead, accused } = traced.json
    t.same(
      { isWorkRead, sales: accused.map((one: { sale: string }) => one.sale) },
      { isWorkRead: true, sales: [sale] },
      name,
    )
  }
})

t.test('R1: alpha and grey stay as they are', async (t) => {
  const place = await folderOf(t)
  const picture = drawTestPicture(5, 600, 450)
  for (let i = 0; i < 600 * 450; i++) picture.rgba[i * 4 + 3] = i % 600 < 200 ? 0 : i % 600 < 350 ? 128 : 255
  const raw = { width: 600, height: 450, channels: 4 } as const
  await sharp(picture.rgba, { raw }).png().toFile(join(place.in, 'alpha.png'))
  await scene(6).removeAlpha().toColourspace('b-w').png().toFile(join(place.in, 'grey.png'))
  const marked = await call('mark embed', [place.in], { work, out: place.out })
  t.equal(marked.json.failed, 0, marked.text)
  const kept = await sharp(join(place.out, 'alpha.png')).raw().toBuffer()
  t.ok(picture.rgba.every((value, i) => i % 4 < 3 || kept[i] === value))
  t.equal((await sharp(join(place.out, 'grey.png')).metadata()).space, 'b-w')
})

t.test('R1: what cannot be marked is refused by name, and the others are marked all the same', async (t) => {
  const place = await folderOf(t)
  const jpeg = await scene(7).jpeg().toBuffer()
  const frame = { width: 400, height: 400, channels: 3, background: '#7090b0' } as const
  const bad: Record<string, Buffer> = {
    'animated.webp': await sharp(
      [await sharp({ create: frame }).png().toBuffer(), await scene(1, 400, 400).png().toBuffer()],
      {
        join: { animated: true },
      },
    )
      .webp()
      .toBuffer(),
    'cmyk.jpg': await scene(8).toColourspace('cmyk').jpeg().toBuffer(),
    'corrupt.jpg': jpeg.subarray(0, jpeg.length >> 1),
    'deep.png': await scene(9).toColourspace('rgb16').png().toBuffer(),
    'empty.png': Buffer.alloc(0),
    'flat.png': await sharp({ create: { ...frame, background: '#ffffff' } })
      .png()
      .toBuffer(),
    'huge.png': await sharp({
      create: { width: 9_000, height: 8_000, channels: 3, background: '#000' },
      limitInputPixels: false,
    })
      .png({ compressionLevel: 1 })
      .toBuffer(),
    'text.jpg': Buffer.from('no picture'),
    'tiny.png': await scene(10, 64, 64).png().toBuffer(),
  }
  for (const [name, bytes] of Object.entries(bad)) writeFileSync(join(place.in, name), bytes)
  writeFileSync(join(place.in, 'good.jpg'), jpeg)
  const marked = await call('mark embed', [place.in], { work, out: place.out })
  t.equal(marked.exit, 1)
  const codes = marked.json.files.map((file: { problem?: { code: string } }) => file.problem?.code ?? 'marked')
  t.same(codes, [
    ...[
      'mark.unsuitable',
      'mark.unsuitable',
      'mark.unreadable',
      'mark.unsuitable',
      'mark.unreadable',
      'mark.unsuitable',
    ],
    ...['marked', 'mark.unsuitable', 'mark.unreadable', 'mark.unsuitable'],
  ])
  t.match(await problemOf(call('mark embed', [join(place.out, 'good.jpg')], { work, out: place.in })), 'mark.present')
})

t.test('R7: words of a call that do not fit are told, and nothing is written over', async (t) => {
  const place = await folderOf(t)
  const file = join(place.in, 'a.jpg')
  await scene(11).jpeg().toFile(file)
  const embed = (values: Record<string, string>) =>
    problemOf(call('mark embed', [file], { work, out: place.out, ...values }))
  t.match(await embed({ work: 'xyz' }), /--work: xyz is not 16/)
  t.match(await embed({ sale }), /--sale needs --keys/)
  t.match(await embed({ keys: place.keys }), /--sale is needed/)
  t.match(await embed({ sale, keys: file }), /UTF-8|master key/)
  t.equal(await embed({}), 'none')
  const before = readFileSync(join(place.out, 'a.jpg'))
  t.match(await embed({}), /is there already/)
  t.ok(readFileSync(join(place.out, 'a.jpg')).equals(before))
  t.match(await problemOf(call('mark keys', [], { out: place.keys })), /is there already/)
  mkdirSync(join(place.folder, 'none'))
  t.match(await problemOf(call('mark read', [join(place.folder, 'none')])), /FILE is needed/)
  const empty = join(place.folder, 'empty')
  writeFileSync(empty, '\n')
  const traced = call('mark trace', [file], { original: file, sales: empty, keys: place.keys })
  t.match(await problemOf(traced), /names no sale/)
})
