import t from 'tap'
import { distanceMax, distanceOf, fingerprintOf, qualityMin } from './fingerprint.ts'
import { lumaAt, type MarkPicture, resizePlane } from './plane.ts'
import { drawTestPicture } from './test-picture.ts'

function resized(picture: MarkPicture, width: number, height: number): MarkPicture {
  const plane = resizePlane(lumaAt(picture, Math.sqrt(picture.width * picture.height)), width, height)
  const rgba = new Uint8Array(width * height * 4).fill(255)
  for (const [at, value] of plane.values.entries()) rgba.fill(Math.round(value), at * 4, at * 4 + 3)
  return { width, height, rgba }
}

t.test('R1 R5: what was resized, also to another shape, and made darker is near; another picture is far', (t) => {
  const picture = drawTestPicture(11, 640, 480)
  const { hash, quality } = fingerprintOf(picture)
  t.ok(quality >= qualityMin, `quality ${quality}`)
  t.equal(hash.length, 32)
  const ones = distanceOf(hash, new Uint8Array(32))
  t.equal(ones, 128, 'half of the bits are set: those above the median')
  t.equal(distanceOf(hash, fingerprintOf(resized(picture, 320, 240)).hash) <= 8, true)
  t.ok(distanceOf(hash, fingerprintOf(resized(picture, 500, 500)).hash) <= distanceMax)
  const dark = { ...picture, rgba: picture.rgba.map((value, at) => (at % 4 === 3 ? value : value * 0.7)) }
  t.ok(distanceOf(hash, fingerprintOf(dark).hash) <= 8)
  for (const seed of [12, 13, 14])
    t.ok(distanceOf(hash, fingerprintOf(drawTestPicture(seed, 640, 480)).hash) > 2 * distanceMax, `seed ${seed}`)
  t.end()
})

t.test('R1: a flat picture has no quality, and any size has a fingerprint', (t) => {
  for (const [width, height] of [
    [1, 1],
    [3, 900],
    [64, 64],
  ] as const)
    t.equal(fingerprintOf({ width, height, rgba: new Uint8Array(width * height * 4).fill(200) }).quality, 0)
  t.end()
})
