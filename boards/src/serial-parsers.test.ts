/** What is heard on serial lines (S17): half frames, garbage, frames in pieces; nothing is kept without a bound. */
import fc from '@azukari/protocol/test-properties'
import t from 'tap'
import { EscposAnswers } from './escpos-answers.ts'
import { answerIdentifier, encodeFrame, FrameParser, frameMaxBytes } from './pn532-frames.ts'

const frameOf = (data: Uint8Array) => encodeFrame(data, answerIdentifier)
const content = fc.uint8Array({ minLength: 1, maxLength: frameMaxBytes })
/** Cuts bytes where chance says. */
const inPieces = (bytes: Uint8Array, cuts: readonly number[]) => {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end))
}

t.test(
  'S17: frames of the PN532 are heard whole, in whatever pieces and among whatever silence they come',
  async (t) => {
    fc.assert(
      fc.property(fc.array(content, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 12 }), (frames, cuts) => {
        const parser = new FrameParser()
        // Preambles of any length, and noise that is no start code.
        const line = Buffer.concat(frames.flatMap((data) => [Uint8Array.of(0x55, 0x00, 0x00), frameOf(data)]))
        const heard = inPieces(line, cuts).flatMap((piece) => parser.take(piece))
        return (
          heard.length === frames.length &&
          heard.every((one, i) => one instanceof Uint8Array && Buffer.compare(one, frames[i]!) === 0)
        )
      }),
      { numRuns: 200 },
    )
    t.pass('any frames, any pieces')
  },
)

t.test('S17: after half a frame, or anything at all, the next answer is heard', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), content, fc.nat(), content, (noise, half, cut, data) => {
      const parser = new FrameParser()
      parser.take(noise)
      const frame = frameOf(half)
      parser.take(frame.subarray(0, cut % frame.length))
      parser.forget()
      const heard = parser.take(frameOf(data))
      return heard.length === 1 && heard[0] instanceof Uint8Array && Buffer.compare(heard[0], data) === 0
    }),
    { numRuns: 300 },
  )
  t.pass('whatever came before')
  const swallowed = new FrameParser()
  swallowed.take(frameOf(new Uint8Array(200)).subarray(0, 20))
  t.same(swallowed.take(frameOf(Uint8Array.of(1))), [], 'without forgetting it is swallowed')
  t.same(swallowed.giveUp(), [Uint8Array.of(1)], 'and found when half a frame is given up')
  t.ok(swallowed.waiting <= 1)
})

t.test('S17: what a receipt printer says is told from garbage, byte by byte', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.nat(9999), (noise, id) => {
      const answers = new EscposAnswers()
      answers.take(noise)
      answers.take([0x37, 0x22, ...Buffer.from(String(id).padStart(4, '0')), 0])
      answers.take([0x12])
      return (
        answers.printed.at(-1) === id &&
        answers.statuses.at(-1) === 0x12 &&
        answers.printed.length <= 64 &&
        answers.statuses.length <= 64
      )
    }),
    { numRuns: 300 },
  )
  t.pass('ids and statuses after any garbage')
})
