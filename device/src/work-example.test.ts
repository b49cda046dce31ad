/** The example job of the guide, by the shipped command, against the same filter written plainly (W1, W4). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assembled } from '@azukari/protocol/work/test-modules'
import t from 'tap'
import { workCommands } from './work-commands.ts'

const folder = mkdtempSync(join(tmpdir(), 'azukari-example-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const at = (name: string) => join(folder, name)

async function tried(picture: Uint8Array) {
  writeFileSync(at('in.pgm'), picture)
  const values = { input: at('in.pgm'), output: at('out.pgm'), fuel: '1000000000', memory: '1', seconds: '600' }
  await workCommands['work try']!.run(values, [at('denoise.wasm')])
  return readFileSync(at('out.pgm'))
}

const pgm = (header: string, pixels: number[]) => Buffer.concat([Buffer.from(header, 'latin1'), Buffer.from(pixels)])

/** A slope of greys in which every seventh pixel is black or white. */
function noisy(width: number, height: number): number[] {
  return Array.from({ length: width * height }, (_, n) => {
    if (n % 7 === 3) return n % 2 === 0 ? 0 : 255
    return (3 * (n % width) + 5 * Math.floor(n / width)) % 256
  })
}

function plainMedian(pixels: number[], width: number, height: number): number[] {
  const inside = (value: number, size: number) => Math.min(Math.max(value, 0), size - 1)
  return pixels.map((_, n) => {
    const around = [-1, 0, 1].flatMap((dy) =>
      [-1, 0, 1].map((dx) => {
        const y = inside(Math.floor(n / width) + dy, height)
        return pixels[y * width + inside((n % width) + dx, width)]!
      }),
    )
    return around.sort((a, b) => a - b)[4]!
  })
}

t.before(async () => {
  const text = readFileSync(new URL('../../docs/examples/denoise.wat', import.meta.url), 'utf8')
  writeFileSync(at('denoise.wasm'), await assembled(text))
})

t.test('W1 W4: the example job gives what a plain run of the same filter gives', async (t) => {
  for (const [width, height] of [
    [40, 23],
    [1, 5],
  ] as const) {
    const header = `P5\n${width} ${height}\n255\n`
    const pixels = noisy(width, height)
    const output = await tried(pgm(header, pixels))
    t.same(output, pgm(header, plainMedian(pixels, width, height)), `${width} × ${height}`)
  }
})

t.test('W4: what is no picture fails the example job’s unit', async (t) => {
  const four = [1, 2, 3, 4]
  for (const picture of [
    pgm('P6 2 2 255\n', four),
    pgm('P5 2 2 254\n', four),
    pgm('P5 2 2 255\n', [1, 2, 3]),
    pgm('P5 2 2 255\n', [1, 2, 3, 4, 5]),
    pgm('P5 131072 131072 255\n', []),
  ])
    await t.rejects(tried(picture), { code: 'work.trap' }, picture.toString('latin1'))
})
