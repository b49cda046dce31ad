/**
 * Big things for a device, resumable (ARCHITECTURE §6, mirrored). What is offered is kept by the device before it is
 * acknowledged; then the device asks for blocks as it can take them, on `down/{transfer}/{index}`; see `../download.ts`.
 */
import { Bytes, Count, contract, Hash, Id, Nothing, Slug, type Static, Text, TimeMs, Type } from '../contract.ts'

/** Blocks that one sender may have under way to one device. */
export const downWindowMaxBlocks = 32

/** What a device is sent: what it is, how it is checked, and the key that its blocks are encrypted with. */
export const Offer = Type.Object({
  transfer: Id,
  /** Service that sends it. */
  from: Text(32),
  /** What it is, so that the device knows which of its parts takes it. */
  kind: Slug,
  name: Text(128),
  mediaType: Text(64),
  sizeBytes: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  blocks: Type.Integer({ minimum: 1, maximum: 9_999_999 }),
  /** RFC 9162 root over the blocks, in the clear. */
  root: Hash,
  /** SHA-256 leaf hashes of all blocks, up to 8 MiB of data; above, each block brings its proof. */
  leaves: Type.Optional(Bytes(32, 32 * 128)),
  /** Made for this transfer alone. */
  key: Bytes(32),
  expiresMs: TimeMs,
})
export type Offer = Static<typeof Offer>

export const downloadOffered = contract({
  name: 'download.offered',
  kind: 'event',
  service: 'device',
  authority: 'service',
  title: 'Something is there for the device, to be asked for block by block',
  serves: ['S4', 'D5'],
  request: Type.Object({ offer: Offer }),
  reply: Nothing,
})

export const downloadWithdrawn = contract({
  name: 'download.withdrawn',
  kind: 'event',
  service: 'device',
  authority: 'service',
  title: 'What was offered is not sent any more',
  serves: ['D5'],
  request: Type.Object({ transfer: Id }),
  reply: Nothing,
})

export const takeBlocks = contract({
  name: 'download.take',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'What a device has of a download, and how much more may come now',
  serves: ['S4', 'D5'],
  request: Type.Object({
    transfer: Id,
    from: Text(32),
    /** How many there are in all. */
    blocks: Type.Integer({ minimum: 1, maximum: 9_999_999 }),
    /** What the device has, as [first, last] pairs. */
    ranges: Type.Array(Type.Tuple([Count, Count]), { maxItems: 1024 }),
    /** Blocks that may be under way at once; 0 = wait. */
    windowBlocks: Type.Integer({ minimum: 0, maximum: downWindowMaxBlocks }),
    /** Blocks that came and did not match. */
    bad: Type.Array(Count, { maxItems: 64 }),
    /** Nothing is under way as far as the device knows: at the beginning, and after a break. */
    again: Type.Boolean(),
  }),
  reply: Nothing,
  problems: ['transfer.unknown', 'transfer.expired', 'transfer.bad-root', 'transfer.quota'],
})

export const endDownload = contract({
  name: 'download.end',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'A download is whole on the device, or the device does not take it',
  serves: ['S4', 'D5'],
  request: Type.Object({ transfer: Id, from: Text(32), problem: Type.Optional(Text(64)) }),
  reply: Nothing,
  problems: ['transfer.unknown'],
})
