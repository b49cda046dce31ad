/** Big things over MQTT, resumable (ARCHITECTURE §6). Blocks travel on `up/{transfer}/{index}`; see `../transfer.ts`. */
import { Count, contract, Hash, Id, Nothing, type Static, Text, TimeMs, Type } from '../contract.ts'

/** What is on disk, as [first, last] pairs, and how much more may come now. */
export const Have = Type.Object({
  transfer: Id,
  ranges: Type.Array(Type.Tuple([Count, Count]), { maxItems: 1024 }),
  /** Blocks that may be under way at once; 0 = wait. */
  windowBlocks: Type.Integer({ minimum: 0, maximum: 64 }),
  complete: Type.Boolean(),
})
export type Have = Static<typeof Have>

export const initTransfer = contract({
  name: 'transfer.init',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'Announces a transfer, or asks how far it is',
  serves: ['S4', 'D5'],
  request: Type.Object({
    transfer: Id,
    to: Text(16),
    /** Encrypted bytes, all blocks together. */
    sizeBytes: Count,
    blockBytes: Type.Integer({ minimum: 1024, maximum: 131_072 }),
    blocks: Count,
    /** RFC 9162 root over the encrypted blocks. */
    root: Hash,
    /** SHA-256 leaf hashes of all blocks, up to 8 MiB of data; above, each block brings its proof. */
    leaves: Type.Optional(Type.Array(Hash, { maxItems: 128 })),
    expiresMs: TimeMs,
  }),
  reply: Have,
  problems: [
    'transfer.quota',
    'transfer.too-large',
    'storage.full',
    'act.conflict',
    'transfer.unknown',
    'transfer.bad-root',
    'transfer.expired',
  ],
})

export const haveTransfer = contract({
  name: 'transfer.have',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'How far a transfer is, after a break',
  serves: ['S4'],
  request: Type.Object({ transfer: Id }),
  reply: Have,
  problems: ['transfer.unknown', 'transfer.expired'],
})

/** Sent as blocks reach the disk. Not kept: after a break the device asks. */
export const transferProgress = contract({
  name: 'transfer.progress',
  kind: 'event',
  passing: true,
  service: 'device',
  authority: 'service',
  title: 'Blocks that are on disk',
  serves: ['S4'],
  request: Type.Object({ transfer: Id, have: Have, bad: Type.Array(Count, { maxItems: 64 }) }),
  reply: Nothing,
})

export const finishTransfer = contract({
  name: 'transfer.finish',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'All blocks are sent: check the whole',
  serves: ['S4'],
  request: Type.Object({ transfer: Id }),
  reply: Type.Object({ transfer: Id, root: Hash, sizeBytes: Count }),
  problems: ['transfer.unknown', 'transfer.incomplete', 'transfer.bad-root', 'transfer.expired'],
})
