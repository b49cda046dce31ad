/** Regions are codes of ISO 3166: each that is known here is in the standard's list, under the name that people know (S5). */
import { iso31661 } from 'iso-3166/1.js'
import { iso31662 } from 'iso-3166/2.js'
import t from 'tap'
import { regions } from './geography.ts'

t.test('S5: every region is in ISO 3166, all of Japan among them', (t) => {
  const countries = new Set(iso31661.map(({ alpha2 }) => alpha2 as string))
  const subdivisions = new Set(iso31662.map(({ code }) => code as string))
  for (const code of regions.keys()) t.ok(subdivisions.has(code) || countries.has(code), code)
  for (const code of subdivisions) if (code.startsWith('JP-')) t.ok(regions.get(code)?.nameJa, code)
  t.end()
})
