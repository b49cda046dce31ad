/** The one XML reader: what it takes, and what it refuses with which problem (S14, P5). */
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import { readXml as readHazard } from '../services/placement/hazards/xml.ts'
import { at, readXml as readBank, textAt } from '../services/settlement/bank/files/xml.ts'
import { readXml, startOf, type XmlOptions } from './read.ts'
import { textOf } from './walk.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)
const options: XmlOptions = {
  maxBytes: 1000,
  maxElements: 10,
  maxDepth: 3,
  problems: { malformed: 'feed.malformed', hostile: 'feed.hostile', tooLarge: 'feed.too-large' },
}

function codeOf(read: () => unknown): string {
  try {
    read()
    return 'taken'
  } catch (error) {
    return isProblem(error) ? error.code : String(error)
  }
}

t.test('S14 P5: CDATA is text, for hazards and for banks', (t) => {
  const text = '<a><b> one <![CDATA[& <two>]]> three<!-- not this --></b></a>'
  t.equal(textOf(readHazard(utf8(text)), 'b'), 'one & <two> three')
  t.equal(textAt(readBank(utf8(text)), 'a', 'b'), 'one & <two> three')
  t.equal(at(readBank(utf8('<n:a xmlns:n="u"><n:b/><n:b/></n:a>')), 'a', 'b').length, 2, 'names without prefix')
  t.end()
})

t.test('S14: encodings that agencies and banks declare', (t) => {
  const document = (encoding: string) => `<?xml version="1.0" encoding="${encoding}"?><a>Zürich é</a>`
  const latin = new Uint8Array(Buffer.from(document('ISO-8859-1'), 'latin1'))
  const utf16 = new Uint8Array(Buffer.from(`\ufeff${document('UTF-16')}`, 'utf16le'))
  const swapped = new Uint8Array(Buffer.from(utf16).swap16())
  for (const bytes of [utf8(document('utf-8')), utf8(`\ufeff${document('UTF-8')}`), latin, utf16, swapped])
    t.equal(readXml(bytes, options).text, 'Zürich é')
  t.match(startOf(utf16, 40), /<\?xml/)
  t.equal(
    codeOf(() => readXml(utf8(document('Shift_JIS')), options)),
    'feed.malformed',
  )
  t.equal(
    codeOf(() => readXml(new Uint8Array([0x3c, 0x61, 0xff, 0x3e]), options)),
    'feed.malformed',
  )
  t.end()
})

t.test('S14: limits, document types and entities', (t) => {
  for (const [text, code] of [
    ['<a><b><c/></b></a>', 'taken'],
    ['<a><b><c><d/></c></b></a>', 'feed.hostile'],
    [`<a>${'<b/>'.repeat(10)}</a>`, 'feed.hostile'],
    [`<a>${'x'.repeat(1000)}</a>`, 'feed.too-large'],
    ['<!DOCTYPE a><a/>', 'feed.hostile'],
    ['<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 'feed.hostile'],
    ['<a>&b;</a>', 'feed.malformed'],
    ['<a><b></a>', 'feed.malformed'],
    ['<n:a/>', 'feed.malformed'],
    ['', 'feed.malformed'],
  ] as const)
    t.equal(
      codeOf(() => readXml(utf8(text), options)),
      code,
      text.slice(0, 50),
    )
  for (const text of ['<!DOCTYPE a><a/>', '<a>', '<a>'.repeat(50), `${'<a>'.repeat(50)}${'</a>'.repeat(50)}`])
    t.equal(
      codeOf(() => readBank(utf8(text))),
      'bank.malformed',
      'banks have codes of their own',
    )
  t.end()
})
