import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readNamedFile, readNamedText } from './named-file.ts'

t.test('D6: what is wrong with a file that was named is told, naming it', (t) => {
  const folder = t.testdir({ 'a.json': '{"名": 1}', there: {} })
  const at = (name: string) => join(folder, name)
  symlinkSync('nowhere', at('dangling'))
  symlinkSync('a.json', at('link'))
  writeFileSync(at('utf16le'), Buffer.from('\ufeff{}', 'utf16le'))
  writeFileSync(at('utf16be'), Buffer.from('\ufeff{}', 'utf16le').swap16())
  writeFileSync(at('plain16'), Buffer.from('<?xml', 'utf16le'))
  writeFileSync(at('sjis'), Buffer.from([0x7b, 0x96, 0xbc, 0x7d]))
  t.equal(readNamedText(at('link')), '{"名": 1}')
  const refused = (name: string, words: RegExp) =>
    t.throws(() => readNamedText(at(name)), { code: 'command.invalid', message: words }, name)
  refused('nothing', /nothing: there is no such file/)
  refused('dangling', /dangling is a link to nowhere, which is not there/)
  refused('there', /there is a folder; a file is needed/)
  for (const name of ['utf16le', 'utf16be', 'plain16']) refused(name, /is written in UTF-16; save it as UTF-8/)
  refused('sjis', /is not UTF-8 text/)
  t.equal(readNamedFile(at('sjis')).length, 4, 'bytes are bytes')
  t.end()
})
