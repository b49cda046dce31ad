/** Bodies as JSON are the bodies of the contract, whatever they hold (D6). */

import t from 'tap'
import { Bytes, Type } from './contract.ts'
import { fromJson, fromText, toJson } from './json-body.ts'
import fc from './test-properties.ts'

const Body = Type.Object({
  name: Type.String(),
  seal: Bytes(0, 40),
  parts: Type.Array(Type.Object({ hash: Bytes(0, 40), n: Type.Integer() })),
  way: Type.Optional(Type.Union([Type.Object({ is: Type.Literal('key'), key: Bytes(2) }), Type.Literal('none')])),
})

t.test('D6: what is written as JSON is read as it was', async (t) => {
  const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => new Uint8Array(array))
  const body = fc.record(
    {
      name: fc.string(),
      seal: bytes,
      parts: fc.array(fc.record({ hash: bytes, n: fc.integer() })),
      way: fc.oneof(
        fc.constant('none'),
        fc.record({ is: fc.constant('key'), key: fc.uint8Array({ minLength: 2, maxLength: 2 }) }),
      ),
    },
    { requiredKeys: ['name', 'seal', 'parts'] },
  )
  const holds = () =>
    fc.assert(
      fc.property(body, (given) => {
        const back = fromJson(Body, JSON.parse(JSON.stringify(toJson(given))))
        t.same(back, given)
      }),
      { numRuns: 200 },
    )
  t.doesNotThrow(holds)
})

t.test('D6: bytes have one text each, and what the schema does not know is left out', async (t) => {
  t.same(fromJson(Type.Object({ seal: Bytes(1) }), { seal: '_w', more: 1 }), { seal: Uint8Array.of(255) })
  for (const seal of ['_x', '/w', '_w==', '_w ', 'é'])
    t.throws(() => fromJson(Type.Object({ seal: Bytes(1) }), { seal }), { code: 'message.invalid' }, seal)
  const polluted = fromJson(Body, JSON.parse('{"name":"a","__proto__":{"admin":true},"constructor":1}')) as object
  t.same(Object.keys(polluted), ['name'])
  t.notOk('admin' in polluted)
})

t.test('D6: a query’s texts become numbers and truths where the schema has them, and nowhere else', async (t) => {
  const Query = Type.Object({ limit: Type.Integer(), on: Type.Boolean(), order: Type.String() })
  t.same(fromText(Query, { limit: '12', on: 'false', order: '0012' }), { limit: 12, on: false, order: '0012' })
  t.same(fromText(Query, { limit: '1e3', on: '1', toString: 'x' }), { limit: '1e3', on: '1' })
})
