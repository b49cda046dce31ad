import { createHash } from 'node:crypto'
import t from 'tap'
import { isProblem } from '../problem.ts'
import { embedMarks } from './embed.ts'
import { Fourier } from './fourier.ts'
import { flip, type MarkPicture, symmetries } from './plane.ts'
import { readPublicMark } from './read.ts'
import { chanceFrom, drawTestPicture } from './test-picture.ts'

const work = 0x0123456789abcdefn

t.test('R1: the transform is the Fourier transform, and its inverse undoes it', (t) => {
  const size = 8
  const chance = chanceFrom(3)
  const before = Float64Array.from({ length: size * size }, chance)
  const re = before.slice()
  const im = new Float64Array(size * size)
  const fourier = new Fourier(size)
  fourier.forward(re, im)
  const [u, v] = [3, 6]
  let real = 0
  let imaginary = 0
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      real += before[y * size + x]! * Math.cos((2 * Math.PI * (u * x + v * y)) / size)
      imaginary -= before[y * size + x]! * Math.sin((2 * Math.PI * (u * x + v * y)) / size)
    }
  t.ok(Math.abs(re[v * size + u]! - real) < 1e-9 && Math.abs(im[v * size + u]! - imaginary) < 1e-9)
  fourier.inverse(re, im)
  t.ok(before.every((value, i) => Math.abs(re[i]! / (size * size) - value) < 1e-12))
  t.end()
})

t.test('R1: the same picture and id give the same bytes on every machine', (t) => {
  const picture = drawTestPicture(4, 600, 420)
  const marked = embedMarks(picture, { work })
  t.equal(
    sha256(picture.rgba),
    '8db17a57711d4c079c662f6d760d58116f3de07e2f2550866d16bdc779962017',
    'the picture itself',
  )
  t.equal(sha256(marked.rgba), 'df67e633ac3eda69b070b170c2866368cd2d8461421d42ecbb5fd983a9d5093e')
  t.equal(readPublicMark(marked)?.work, work)
  t.end()
})

t.test('R4: the work id is read from flipped and turned pictures', (t) => {
  const marked = embedMarks(drawTestPicture(5, 640, 480), { work })
  for (const symmetry of symmetries) t.equal(readPublicMark(turned(marked, symmetry))?.work, work, `${symmetry}`)
  t.end()
})

t.test('R4: the work id is read from crops and smaller pictures', (t) => {
  const marked = embedMarks(drawTestPicture(6, 900, 700), { work })
  t.equal(readPublicMark(cropped(marked, 70, 41, 720, 560))?.work, work, 'a third lost')
  t.equal(readPublicMark(cropped(marked, 201, 133, 560, 470))?.work, work, 'more than half lost')
  t.equal(readPublicMark(turned(cropped(marked, 91, 133, 640, 500), 3))?.work, work, 'cropped and upside down')
  t.end()
})

t.test('R4: unmarked pictures have no mark, nor have tiny and flat ones', (t) => {
  for (let seed = 100; seed < 104; seed++)
    t.equal(readPublicMark(drawTestPicture(seed, 480, 360)), undefined, `${seed}`)
  t.equal(readPublicMark(drawTestPicture(1, 40, 40)), undefined)
  t.equal(readPublicMark(drawTestPicture(1, 1, 1)), undefined)
  t.equal(readPublicMark({ width: 400, height: 300, rgba: new Uint8Array(480_000).fill(255) }), undefined, 'white')
  t.end()
})

t.test('R1: a mark is not seen: 40 dB at least, alpha kept, wholly transparent pixels untouched', (t) => {
  const picture = drawTestPicture(7, 700, 500)
  for (let i = 0; i < 200 * 700; i++) picture.rgba[i * 4 + 3] = i % 700 < 350 ? 0 : 128
  const marked = embedMarks(picture, { work })
  let squares = 0
  let untouched = true
  for (let i = 0; i < picture.rgba.length; i++) {
    const difference = picture.rgba[i]! - marked.rgba[i]!
    squares += difference * difference
    const isAlpha = i % 4 === 3
    const isHidden = picture.rgba[i - (i % 4) + 3] === 0
    if ((isAlpha || isHidden) && difference !== 0) untouched = false
  }
  t.ok(untouched)
  const psnr = 10 * Math.log10((255 * 255 * 700 * 500 * 3) / squares)
  t.ok(psnr > 40 && psnr < 60, `${psnr.toFixed(1)} dB`)
  t.equal(readPublicMark(marked)?.work, work)
  t.end()
})

t.test('R1: a picture too small for a mark is refused', (t) => {
  const refused = (width: number, height: number) => {
    try {
      embedMarks(drawTestPicture(8, width, height), { work })
      return false
    } catch (error) {
      return isProblem(error, 'mark.unsuitable')
    }
  }
  t.ok(refused(300, 300))
  t.ok(refused(2_000, 150))
  t.notOk(refused(400, 400))
  t.end()
})

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function cropped({ width, rgba }: MarkPicture, left: number, top: number, w: number, h: number): MarkPicture {
  const part = new Uint8Array(w * h * 4)
  for (let y = 0; y < h; y++)
    part.set(rgba.subarray(((top + y) * width + left) * 4, ((top + y) * width + left + w) * 4), y * w * 4)
  return { width: w, height: h, rgba: part }
}

/** By the planes of its channels. */
function turned({ width, height, rgba }: MarkPicture, symmetry: number): MarkPicture {
  const channels = [0, 1, 2, 3].map((channel) =>
    flip(
      { width, height, values: Float32Array.from({ length: width * height }, (_, i) => rgba[i * 4 + channel]!) },
      symmetry,
    ),
  )
  const [{ width: w, height: h }] = channels as [MarkPlane, ...MarkPlane[]]
  const turnedRgba = new Uint8Array(w * h * 4)
  for (const [channel, { values }] of channels.entries())
    for (let i = 0; i < values.length; i++) turnedRgba[i * 4 + channel] = values[i]!
  return { width: w, height: h, rgba: turnedRgba }
}

type MarkPlane = ReturnType<typeof flip>
