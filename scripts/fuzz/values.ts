/** Values that CBOR of this protocol can carry. */
import fc from 'fast-check'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 300 }),
  fc.constant('\ufeffbom'),
)
const integer = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  fc.constantFrom(23, 24, 255, 256, 65_535, 65_536, 2 ** 32, -(2 ** 32) - 1, Number.MIN_SAFE_INTEGER),
)
const key = fc
  .oneof(text, fc.constantFrom('1', '-1', 'constructor', 'toJSON', 'length'))
  .filter((name) => name !== '__proto__')

export const anyValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, undefined, true, false),
    integer,
    fc.double(),
    text,
    fc.uint8Array({ maxLength: 80 }),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(key, tie('value'), { maxKeys: 20 }).map((object) => ({ ...object })),
  ),
})).value

export const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })
