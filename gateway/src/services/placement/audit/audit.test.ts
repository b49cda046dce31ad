import type { Examination } from '@azukari/protocol/examination'
import t from 'tap'
import { addDifferences, Ranges, rangesMax } from './differences.ts'
import { pickLeaves, sampleSize } from './sample.ts'
import { type AuditState, defaultAuditLimits, nextProbes, type ServerAudit } from './schedule.ts'
import { type Evidence, judge } from './verdict.ts'

const root = (byte: number) => new Uint8Array(32).fill(byte)
const [signed, other, third] = [root(1), root(2), root(3)]

function examined({ root: stands, ...change }: Partial<Omit<Examination, 'root'>> & { root?: Uint8Array | undefined }) {
  const finding: Examination = {
    server: 'ds',
    replica: { object: new Uint8Array(16), version: 1, slot: 1 },
    nonce: new Uint8Array(32),
    atMs: 1,
    held: true,
    badParts: 0,
    repairedParts: 0,
    lostSegments: 0,
    lost: [],
    notesLost: false,
    readBytes: 1,
    ...change,
  }
  return stands ? { ...finding, root: stands } : finding
}

function evidence(change: Partial<Evidence> = {}): Evidence {
  return {
    met: 'differs',
    identity: 'proven',
    refusals: 0,
    examination: examined({ root: signed }),
    signedRoot: signed,
    onMedium: { is: 'current' },
    readRoot: signed,
    ...change,
  }
}

t.test('S11, S12: verdicts follow the rules, each with what is done about it', async (t) => {
  const cases: [what: string, change: Partial<Evidence>, kind: string | undefined, next: string][] = [
    ['the key is not proven', { identity: 'failed' }, 'impostor', 'contain'],
    ['no answer', { identity: 'silent' }, undefined, 'again'],
    ['refused once', { examination: undefined, refusals: 1 }, undefined, 'again'],
    ['refused again and again', { examination: undefined, refusals: 3 }, 'contained', 'contain'],
    ['gone', { examination: examined({ held: false }) }, 'unexplained', 'remake'],
    [
      'parity was enough',
      { examination: examined({ root: signed, badParts: 2, repairedParts: 2 }) },
      'media',
      'nothing',
    ],
    [
      'beyond parity',
      { examination: examined({ root: signed, badParts: 3, lostSegments: 3, lost: [1, 2, 3] }) },
      'media',
      'segments',
    ],
    [
      'keys beside it lost',
      { examination: examined({ root: signed, badParts: 1, notesLost: true }) },
      'media',
      'notes',
    ],
    [
      'hashes lost',
      { examination: examined({ badParts: 4, root: undefined }), readRoot: undefined },
      'media',
      'remake',
    ],
    [
      'changed, clean, twice the same',
      { examination: examined({ root: other }), readRoot: other },
      'tampering',
      'remake',
    ],
    [
      'changed, not read again',
      { examination: examined({ root: other }), readRoot: undefined },
      'unexplained',
      'remake',
    ],
    ['changed, read otherwise', { examination: examined({ root: other }), readRoot: third }, 'unexplained', 'remake'],
    ['changed, read right', { examination: examined({ root: other }) }, 'unexplained', 'remake'],
    [
      'changed and rotten',
      { examination: examined({ root: other, badParts: 1 }), readRoot: other },
      'unexplained',
      'remake',
    ],
    ['examined right, sent wrong', { readRoot: other }, 'unexplained', 'remake'],
    ['our own record is in doubt', { signedRoot: undefined, readRoot: other }, 'unexplained', 'remake'],
    [
      'an older state',
      { examination: examined({ root: other }), onMedium: { is: 'older', root: other }, readRoot: other },
      'rollback',
      'remake',
    ],
    ['an older manifest of the same bytes', { onMedium: { is: 'older', root: signed } }, undefined, 'manifest'],
    ['differed once', {}, 'unexplained', 'nothing'],
    ['listed otherwise during a move', { met: 'listed' }, undefined, 'nothing'],
    ['damage not found again', { met: 'damaged' }, 'media', 'nothing'],
  ]
  for (const [what, change, kind, next] of cases) {
    const judged = judge(evidence(change))
    t.equal(judged.kind, kind, what)
    t.equal(judged.next, next, what)
  }
})

t.test('S11: no evidence short of all of it is called tampering', async (t) => {
  let accused = 0
  const roots = [undefined, signed, other, third]
  for (const met of ['listed', 'missing', 'damaged', 'repaired', 'differs', 'refused'] as const)
    for (const identity of ['proven', 'failed', 'silent'] as const)
      for (const held of [true, false])
        for (const badParts of [0, 1])
          for (const signedRoot of [signed, undefined])
            for (const stands of roots)
              for (const readRoot of roots) {
                const { kind } = judge(
                  evidence({
                    met,
                    identity,
                    examination: examined({ held, badParts, root: stands }),
                    signedRoot,
                    readRoot,
                  }),
                )
                if (kind !== 'tampering') continue
                accused++
                t.ok(identity === 'proven' && held && badParts === 0 && signedRoot && stands && readRoot === stands)
                t.not(stands, signed)
              }
  t.equal(accused, 12, 'six ways to meet it, two other roots')
})

t.test('S11, B5: 459 leaves find one bad in a hundred with 99 %', async (t) => {
  t.equal(sampleSize(0.01, 0.99), 459)
  let state = 1
  const random = {
    float: () => {
      state = (state * 48_271) % 2_147_483_647
      return state / 2_147_483_647
    },
  }
  let foundIn = 0
  for (let round = 0; round < 2_000; round++) {
    const picked = pickLeaves(50_000, 459, random)
    if (new Set(picked).size !== 459 || picked.at(-1)! >= 50_000) t.fail('distinct and in range')
    if (picked.some((at) => at % 100 === 7)) foundIn++
  }
  t.ok(foundIn >= 2_000 * 0.98, `${foundIn} of 2,000 rounds`)
  t.same(pickLeaves(3, 459, random), [0, 1, 2])
})

t.test('S11: the schedule: suspects first, then what is most overdue, within the budget', async (t) => {
  const dayMs = 86_400_000
  const server = (id: string, change: Partial<ServerAudit> = {}): ServerAudit => ({
    server: id,
    closed: false,
    listedMs: 100 * dayMs,
    listing: false,
    leavesMs: 100 * dayMs,
    leavesLeft: 0,
    scannedMs: 100 * dayMs,
    scanning: false,
    suspicion: 0,
    busy: false,
    ...change,
  })
  const look = (change: Partial<AuditState>) =>
    nextProbes(
      {
        nowMs: 100 * dayMs + 1,
        servers: [server('a')],
        suspects: [],
        oldest: [],
        budgetBytes: 1e6,
        room: 4,
        ...change,
      },
      defaultAuditLimits,
    )
  t.same(look({}), [], 'nothing is due')
  t.match(look({ nowMs: 101 * dayMs }), [{ do: 'list', server: 'a' }], 'one look at a server at once')
  t.match(look({ servers: [server('a', { leavesLeft: 8 })] }), [{ do: 'leaves' }], 'a round under way goes on')
  t.match(
    look({ nowMs: 100.2 * dayMs, servers: [server('a', { suspicion: 9 })] }),
    [{ do: 'list' }],
    'suspicion hurries',
  )
  t.same(look({ nowMs: 200 * dayMs, servers: [server('a', { closed: true }), server('b', { busy: true })] }), [])
  const oldest = [
    { name: 'x', openedMs: 0, bytes: 600_000 },
    { name: 'y', openedMs: 40 * dayMs, bytes: 600_000 },
    { name: 'z', openedMs: 90 * dayMs, bytes: 1 },
  ]
  t.match(look({ oldest }), [
    { do: 'open', oldest: 0 },
    { do: 'open', oldest: 1 },
  ])
  t.match(
    look({ oldest, suspects: [{ name: 's', bytes: 1e6 }] }),
    [{ do: 'examine', suspect: 0 }],
    'the budget is spent',
  )
  t.match(
    look({ oldest, budgetBytes: -1, servers: [server('a', { scannedMs: 0 })] }),
    [{ do: 'scan' }],
    'a scan costs no line',
  )
  t.equal(look({ oldest, room: 1 }).length, 1)
})

t.test('S11: differing ranges are exact, and bounded', async (t) => {
  const good = Uint8Array.from({ length: 100 }, (_, i) => i)
  const changed = Uint8Array.from(good)
  for (const at of [3, 4, 5, 50, 99]) changed[at]! ^= 0xff
  const ranges = new Ranges()
  addDifferences(ranges, 1_000, good, changed)
  addDifferences(ranges, 1_100, good, good.subarray(0, 90))
  t.same(ranges.found, [
    [1_003, 1_006],
    [1_050, 1_051],
    [1_099, 1_100],
    [1_190, 1_200],
  ])
  t.equal(ranges.bytes, 15)
  const many = new Ranges()
  for (let i = 0; i < 5_000; i++) many.add(i * 10, i * 10 + 1)
  t.equal(many.found.length, rangesMax)
  t.same([many.found[0]![0], many.found.at(-1)![1]], [0, 49_991])
})
