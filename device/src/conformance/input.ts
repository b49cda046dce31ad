import type { InputFile, LocalInput } from '../drivers.ts'
import { type Checks, limit } from './suite.ts'

export interface InputHarness {
  make(): Promise<LocalInput>
  /** Somebody puts a file in. */
  put(input: LocalInput, name: string, bytes: Uint8Array): Promise<void>
  /** The part names files and makes their content itself, as a scanner does; they are of this type. */
  own?: string
  /** The same input after a restart. */
  restart?(input: LocalInput): Promise<LocalInput>
}

/** S14, S17: what every local input does. */
export async function inputConforms(t: Checks, fixture: InputHarness): Promise<void> {
  await t.test('S14: files come whole, one after the other, and each once', {}, async (t) => {
    const input = await fixture.make()
    await fixture.put(input, 'one.txt', new Uint8Array(Buffer.from('first')))
    await fixture.put(input, 'two.pdf', new Uint8Array(Buffer.from('second')))
    const stop = new AbortController()
    const seen: string[] = []
    for await (const file of input.files(AbortSignal.any([stop.signal, limit()]))) {
      const content = Buffer.concat([await file.read(0, 3), await file.read(3, file.sizeBytes)])
      t.equal(content.length, file.sizeBytes)
      if (fixture.own) t.equal(file.mediaType, fixture.own)
      seen.push(fixture.own ? file.name : `${file.name} ${file.mediaType} ${file.sizeBytes} ${content}`)
      await file.done()
      await file.done()
      if (seen.length === 2) stop.abort()
    }
    if (fixture.own) t.equal(new Set(seen).size, 2)
    else t.same(seen.sort(), ['one.txt text/plain 5 first', 'two.pdf application/pdf 6 second'])
    await input.close()
  })
  await t.test('S14: waiting ends when aborted', {}, async (t) => {
    const input = await fixture.make()
    const stop = new AbortController()
    const waiting = collect(input, stop.signal)
    stop.abort()
    t.same(await waiting, [])
    await input.close()
  })
  if (fixture.restart)
    await t.test('S14: a file that was not done comes again after a restart', {}, async (t) => {
      const input = await fixture.make()
      await fixture.put(input, 'one.txt', Uint8Array.of(1))
      let name = ''
      for await (const file of input.files(limit())) {
        name = file.name
        break
      }
      if (!fixture.own) t.equal(name, 'one.txt')
      const again = await fixture.restart!(input)
      for await (const file of again.files(limit())) {
        t.equal(file.name, name)
        await file.done()
        break
      }
      await again.close()
    })
}

async function collect(input: LocalInput, signal: AbortSignal): Promise<InputFile[]> {
  const files: InputFile[] = []
  for await (const file of input.files(signal)) files.push(file)
  return files
}
