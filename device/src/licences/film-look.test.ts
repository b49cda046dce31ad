import t from 'tap'
import { looks, withLook } from './film-look.ts'

/** Every grey, and red, green and blue, one pixel each. */
const pixels = [...Array.from({ length: 256 }, (_, i) => [i, i, i]), [255, 0, 0], [0, 255, 0], [0, 0, 255]]
const raster = {
  width: pixels.length,
  height: 1,
  rgba: Uint8Array.from(pixels.flatMap(([r, g, b]) => [r!, g!, b!, 200])),
}
const channel = (rgba: Uint8Array, n: number) => Array.from({ length: 256 }, (_, i) => rgba[i * 4 + n]!)

t.test('W8: a film look keeps size, transparency and the order of tones', async (t) => {
  for (const look of looks) {
    const { width, height, rgba } = withLook(raster, look)
    t.same([width, height], [raster.width, 1])
    t.ok(Array.from({ length: width }, (_, i) => rgba[i * 4 + 3]).every((alpha) => alpha === 200))
    for (const n of [0, 1, 2]) {
      const tones = channel(rgba, n)
      t.same(
        tones,
        tones.toSorted((a, b) => a - b),
        `${look}: what was brighter stays so`,
      )
    }
    t.notSame(rgba, raster.rgba)
  }
  t.equal(raster.rgba[4], 1, 'the given picture is left as it is')
})

t.test('W8: each look is what its name says', async (t) => {
  const warm = withLook(raster, 'warm').rgba
  t.ok(warm[128 * 4]! > warm[128 * 4 + 2]!, 'more red than blue')
  const mono = withLook(raster, 'mono').rgba
  for (let at = 0; at < mono.length; at += 4) t.ok(mono[at] === mono[at + 1] && mono[at] === mono[at + 2])
  const fade = withLook(raster, 'fade').rgba
  t.ok(fade[0]! > 20 && fade[255 * 4]! < 245, 'neither black nor white')
})
