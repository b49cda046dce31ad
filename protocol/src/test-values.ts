/** Values that CBOR of this protocol can carry, for properties. */
import fc from 'fast-check'

// Strings of every length class and script; keys that are numbers in disguise; integers around every width.
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 400 }),
  fc.constant('\ufeffbom'),
  fc.constant(`\ufeff${'x'.repeat(200)}`),
)
const integer = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  fc.constantFrom(
    0,
    23,
    24,
    255,
    256,
    65535,
    65536,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    Number.MAX_SAFE_INTEGER,
    -(2 ** 31) - 1,
    -(2 ** 32),
    -(2 ** 32) - 1,
    Number.MIN_SAFE_INTEGER,
    1_795_000_000_000,
  ),
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
