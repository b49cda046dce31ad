/** CBOR of strangers: what the guard lets through is a value that can be written and read again; all else is a problem. */
import { isDeepStrictEqual } from 'node:util'
import { decode, decodeMap, decodeMaps, encode, encodeDeterministic } from '@azukari/protocol/codec'
import { isProblem } from '@azukari/protocol/problem'
import { anyValue } from '@azukari/protocol/test-values'
import fc from 'fast-check'
import { campaign, damaged, damages, type FuzzReport } from './damage.ts'

export const name = 'cbor'

const heads = fc
  .array(
    fc.oneof(
      fc.constantFrom(0x00, 0x18, 0x1b, 0x20, 0x41, 0x61, 0x78, 0x80, 0x82, 0x9f, 0xa1, 0xb8, 0xbf, 0xd2, 0xd8, 0xf6),
      fc.constantFrom(0x5f, 0x7f, 0xf9, 0xfa, 0xfb, 0xff, 0xc2, 0x3b),
      fc.nat(255),
    ),
    { maxLength: 80 },
  )
  .map((list) => Uint8Array.from(list))
const message = fc.oneof(
  fc.tuple(anyValue, fc.boolean()).map(([value, sorted]) => (sorted ? encodeDeterministic(value) : encode(value))),
  heads,
)

export function run(seed: number, seconds: number): Promise<FuzzReport> {
  return campaign(
    fc.record({ message, list: damages }),
    ({ message, list }, count) => {
      const bytes = damaged(message, list)
      for (const [how, read] of Object.entries({ decode, decodeMap, decodeMaps })) {
        let value: unknown
        try {
          value = read(bytes)
        } catch (error) {
          if (!isProblem(error) || !error.code.startsWith('cbor.')) throw error
          count(error.code)
          continue
        }
        count(`${how} accepted`)
        // Maps with integer keys are only read, in messages of COSE.
        if (how !== 'decode') continue
        for (const write of [encode, encodeDeterministic])
          if (!isDeepStrictEqual(decode(write(value)), value)) throw new Error('does not come back as it went')
      }
    },
    seed,
    seconds,
  )
}
