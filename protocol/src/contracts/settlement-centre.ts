/** Between the two settlement centres and their witnesses (P9). Certificates name who asks. */
import { Count, contract, Hash, Id, Nothing, Slug, type Static, Text, TimeMs, Type } from '../contract.ts'

const Epoch = Type.Integer({ minimum: 1 })

export const CentreStanding = Type.Object({
  epoch: Epoch,
  /** Grows with every change within the epoch. */
  turn: Epoch,
  leader: Slug,
  /** The other centre may lack what was acknowledged. */
  alone: Type.Boolean(),
})
export type CentreStanding = Static<typeof CentreStanding>

export const bankReleaseDomain = new TextEncoder().encode('azukari/bank-release/1')

/** What the leading centre signs when a file goes to the bank; an older epoch than one seen before is refused there. */
export const BankRelease = Type.Object({
  name: Text(100),
  kind: Text(32),
  sha256: Hash,
  epoch: Epoch,
  atMs: TimeMs,
})
export type BankRelease = Static<typeof BankRelease>

const frame = { kind: 'internal', service: 'settlement', authority: 'service', serves: ['P9'] } as const

export const promiseEpoch = contract({
  name: 'centre.promise',
  ...frame,
  title: 'A witness promises an epoch to a centre',
  request: Type.Object({ centre: Slug, epoch: Epoch }),
  reply: Type.Object({ granted: Type.Boolean(), epoch: Count, standing: Type.Optional(CentreStanding) }),
})

export const standAs = contract({
  name: 'centre.stand',
  ...frame,
  title: 'A witness records how a leadership stands, and leases it on',
  request: Type.Object({ standing: CentreStanding, leaseMs: Type.Integer({ minimum: 100, maximum: 60_000 }) }),
  reply: Type.Object({ granted: Type.Boolean(), epoch: Count }),
})

const LogTip = { n: Count, chain: Hash }

export const centreState = contract({
  name: 'centre.state',
  ...frame,
  title: 'Where the backup centre’s log ends',
  request: Type.Object({ epoch: Epoch }),
  reply: Type.Object({ ...LogTip, genesis: Type.Optional(Id) }),
  problems: ['centre.old-epoch'],
})

export const appendEntries = contract({
  name: 'centre.append',
  ...frame,
  title: 'The backup centre writes commits of the leader',
  request: Type.Object({
    epoch: Epoch,
    entries: Type.Array(Type.Object({ n: Epoch, epoch: Epoch, chain: Hash, size: Count }), { maxItems: 512 }),
  }),
  reply: Type.Object(LogTip),
  problems: ['centre.old-epoch', 'centre.behind', 'centre.chain'],
})

export const installCopy = contract({
  name: 'centre.install',
  ...frame,
  title: 'The backup centre puts the leader’s whole database, which follows, in place of its own',
  request: Type.Object({ epoch: Epoch, over: Type.Object(LogTip) }),
  reply: Type.Object(LogTip),
  problems: ['centre.old-epoch', 'centre.behind'],
})

export const centreStatus = contract({
  name: 'centre.status',
  ...frame,
  title: 'Which centre leads, and how far the other one is',
  request: Nothing,
  reply: Type.Object({
    id: Slug,
    leading: Type.Boolean(),
    epoch: Count,
    paired: Type.Boolean(),
    entries: Count,
    acknowledged: Count,
    copies: Count,
    takeovers: Count,
  }),
})
