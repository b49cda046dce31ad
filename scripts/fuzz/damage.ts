/**
 * What the fuzz targets share: valid messages are made, then damaged, and the same seed makes the same damage again. A
 * campaign ends when its time is over, or with the smallest input that breaks a rule.
 */
import fc from 'fast-check'

export interface FuzzReport {
  cases: number
  /** How often something of interest happened, so that a target that reaches nothing is noticed. */
  counts: Record<string, number>
}

const edges = [0x00, 0x01, 0x10, 0x1b, 0x5f, 0x7f, 0x80, 0x9f, 0xbf, 0xc2, 0xd8, 0xf6, 0xfb, 0xff]
const byte = fc.oneof(fc.constantFrom(...edges), fc.nat(255))

interface Damage {
  what: 'set' | 'flip' | 'insert' | 'cut' | 'repeat' | 'truncate'
  at: number
  /** A byte, or how many bytes. */
  value: number
}

const damage: fc.Arbitrary<Damage> = fc.record({
  what: fc.constantFrom('set', 'flip', 'insert', 'cut', 'repeat', 'truncate'),
  at: fc.nat(),
  value: byte,
})

/** What is done to the bytes; often nothing, so that valid ones come through, too. */
export const damages: fc.Arbitrary<Damage[]> = fc.oneof(
  fc.constant<Damage[]>([]),
  fc.array(damage, { minLength: 1, maxLength: 6 }),
)

export function damaged(bytes: Uint8Array, list: readonly Damage[]): Uint8Array {
  let out = Buffer.from(bytes)
  for (const one of list) {
    const at = out.length === 0 ? 0 : one.at % out.length
    if (one.what === 'set') out[at] = one.value
    else if (one.what === 'flip') out[at] = (out[at] ?? 0) ^ (1 << (one.value & 7))
    else if (one.what === 'insert') out = Buffer.concat([out.subarray(0, at), Buffer.of(one.value), out.subarray(at)])
    else if (one.what === 'cut') out = Buffer.concat([out.subarray(0, at), out.subarray(at + (one.value & 63))])
    else if (one.what === 'truncate') out = out.subarray(0, at)
    else out = Buffer.concat([out.subarray(0, at + (one.value & 63)), out.subarray(at)])
  }
  return new Uint8Array(out)
}

/** Cuts bytes into pieces, as a line does. */
export function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((from, i) => bytes.subarray(from, places[i] ?? bytes.length))
}

/** A case that takes this long is no slow machine any more: processor time, ms. */
const caseMaxMs = 2_000

/** Runs `rule` on one damaged input after another. @throws with the input when it breaks */
export async function campaign<Input>(
  input: fc.Arbitrary<Input>,
  rule: (input: Input, count: (what: string) => void) => void | Promise<void>,
  seed: number,
  seconds: number,
): Promise<FuzzReport> {
  const report: FuzzReport = { cases: 0, counts: {} }
  const count = (what: string) => {
    report.counts[what] = (report.counts[what] ?? 0) + 1
  }
  const property = fc.asyncProperty(input, async (value) => {
    const before = process.cpuUsage()
    report.cases++
    await rule(value, count)
    const { user, system } = process.cpuUsage(before)
    if (user + system > caseMaxMs * 1_000) throw new Error(`took ${(user + system) / 1_000} ms of the processor`)
  })
  const result = await fc.check(property, {
    seed,
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: seconds * 1_000,
    markInterruptAsFailure: false,
  })
  if (result.failed)
    throw new Error(`seed ${seed}: ${fc.defaultReportMessage(result)}`, { cause: result.errorInstance })
  return report
}
