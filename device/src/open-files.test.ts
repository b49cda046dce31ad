import t from 'tap'
import { type OpenFile, OpenFiles } from './open-files.ts'

/** Files whose reads take turns with those of others, and that fail once closed. */
function shelf() {
  const open = new Set<string>()
  const opened: string[] = []
  const files = new OpenFiles(async (name) => {
    opened.push(name)
    open.add(name)
    let isOpen = true
    return {
      read: async (at, length) => {
        await new Promise(setImmediate)
        if (!isOpen) throw new Error(`${name} is closed`)
        if (at < 0) throw new Error('taken out')
        return new TextEncoder().encode(`${name}${at}`.slice(0, length))
      },
      close: async () => {
        isOpen = false
        open.delete(name)
      },
    } satisfies OpenFile
  })
  return { files, open, opened }
}

t.test('S4: uploads that take turns read their own files, each opened once', async (t) => {
  const { files, opened } = shelf()
  const names = ['a', 'b', 'c']
  await Promise.all(
    names.map(async (name) => {
      for (let at = 0; at < 20; at++) t.equal(new TextDecoder().decode(await files.read(name, at, 10)), `${name}${at}`)
    }),
  )
  t.same(opened, names)
})

t.test('S4: a file that goes away is closed after the last read, and few stay open', async (t) => {
  const { files, open, opened } = shelf()
  const reading = files.read('a', 1, 10)
  await files.release('a')
  t.same([...open], ['a'], 'still being read')
  await reading
  t.same([...open], [])
  for (const name of 'bcdefgh') await files.read(name, 0, 10)
  t.same([...open], ['e', 'f', 'g', 'h'])
  await t.rejects(files.read('h', -1, 10), /taken out/)
  await files.read('h', 0, 10)
  t.equal(opened.filter((name) => name === 'h').length, 2, 'opened anew after a failure')
})
