import type { RemovableMemory } from '../drivers.ts'
import { aborted, type Checks, caught, fails, limit } from './suite.ts'

export interface MemoryHarness {
  make(): Promise<RemovableMemory>
  pullOut?(memory: RemovableMemory): Promise<void>
  protect?(memory: RemovableMemory): Promise<void>
  /** Leaves room for fewer than a thousand bytes. */
  fill?(memory: RemovableMemory): Promise<void>
  /** Whatever the power lets survive: the same medium, opened again. */
  reopen?(memory: RemovableMemory): Promise<RemovableMemory>
}

const bytes = (n: number, seed = 1) => Uint8Array.from({ length: n }, (_, i) => (i * 31 + seed * 7) & 255)

async function* pieces(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts
}

async function* leaving(person: AbortController, reason: Error): AsyncGenerator<Uint8Array> {
  yield bytes(100)
  person.abort(reason)
  yield bytes(100)
}

async function* broken(): AsyncGenerator<Uint8Array> {
  yield bytes(100)
  throw new Error('the source broke')
}

/** S17: what every removable memory driver does. */
export async function memoryConforms(t: Checks, fixture: MemoryHarness): Promise<void> {
  await t.test('S17: what was put is there, whole, and can be read in parts', {}, async (t) => {
    const memory = await fixture.make()
    await memory.put('a.bin', bytes(1000), limit())
    await memory.put('b.bin', pieces(bytes(500, 1), bytes(500, 2)), limit())
    t.same(await memory.list(), [
      { name: 'a.bin', sizeBytes: 1000 },
      { name: 'b.bin', sizeBytes: 1000 },
    ])
    const file = await memory.open('a.bin')
    t.equal(file.sizeBytes, 1000)
    t.ok(Buffer.from(await file.read(990, 100)).equals(bytes(1000).subarray(990)), 'shorter only at the end')
    t.equal((await file.read(1000, 10)).length, 0)
    await file.close()
    t.ok((await memory.freeBytes()) > 0)
    await memory.close()
  })
  await t.test('S17: a file is replaced whole or not at all', {}, async (t) => {
    const memory = await fixture.make()
    await memory.put('a.bin', bytes(300, 1), limit())
    t.ok((await caught(memory.put('a.bin', broken(), limit()))) instanceof Error)
    const { signal, reason } = aborted()
    t.equal(await caught(memory.put('a.bin', bytes(10), signal)), reason)
    const person = new AbortController()
    t.equal(await caught(memory.put('a.bin', leaving(person, reason), person.signal)), reason, 'in the middle, too')
    const file = await memory.open('a.bin')
    t.ok(Buffer.from(await file.read(0, 1000)).equals(bytes(300, 1)), 'the old one stands')
    await file.close()
    t.same(await memory.list(), [{ name: 'a.bin', sizeBytes: 300 }], 'nothing half written is listed')
    await memory.put('a.bin', bytes(20, 3), limit())
    t.same(await memory.list(), [{ name: 'a.bin', sizeBytes: 20 }])
    await memory.close()
  })
  await t.test('S17: removing, and what is not there', {}, async (t) => {
    const memory = await fixture.make()
    await memory.put('a.bin', bytes(10), limit())
    await memory.remove('a.bin')
    await memory.remove('a.bin')
    t.same(await memory.list(), [])
    await fails(t, 'memory', memory.open('a.bin'), 'object.unknown', ['object.unknown'])
    for (const name of ['../a', 'a/b', '.hidden', '', 'x'.repeat(101)])
      await fails(t, 'memory', memory.put(name, bytes(1), limit()), 'part.unsupported')
    await memory.close()
  })
  if (fixture.reopen)
    await t.test('S17: what was put outlasts the power', {}, async (t) => {
      const memory = await fixture.make()
      await memory.put('a.bin', bytes(700), limit())
      const again = await fixture.reopen!(memory)
      t.same(await again.list(), [{ name: 'a.bin', sizeBytes: 700 }])
      await again.close()
    })
  if (fixture.fill)
    await t.test('S17: full', {}, async (t) => {
      const memory = await fixture.make()
      await memory.put('a.bin', bytes(10), limit())
      await fixture.fill!(memory)
      await fails(t, 'memory', memory.put('b.bin', bytes(5000), limit()), 'memory.full')
      t.ok((await memory.list()).every(({ name }) => name !== 'b.bin'))
      await memory.close()
    })
  if (fixture.protect)
    await t.test('S17: write-protected', {}, async (t) => {
      const memory = await fixture.make()
      await memory.put('a.bin', bytes(10), limit())
      await fixture.protect!(memory)
      await fails(t, 'memory', memory.put('b.bin', bytes(10), limit()), 'memory.read-only')
      t.equal((await memory.list()).length, 1)
      await memory.close()
    })
  if (fixture.pullOut)
    await t.test('S17: pulled out', {}, async (t) => {
      const memory = await fixture.make()
      await memory.put('a.bin', bytes(10), limit())
      await fixture.pullOut!(memory)
      await fails(t, 'memory', memory.list(), 'memory.absent')
      await fails(t, 'memory', memory.put('b.bin', bytes(10), limit()), 'memory.absent')
      await memory.close()
    })
}
