/** What placement and the gateway ask of a data server (S7, S10–S12): CBOR over HTTP/2 with mutual TLS. */
import { Bytes, Count, contract, Hash, Nothing, Slug, type Static, Text, Type } from '../contract.ts'
import { ReplicaRef } from '../manifest.ts'

const Signed = Bytes(64, 4096)
const Notes = Bytes(0, 16_384)
const Segments = Type.Integer({ minimum: 1, maximum: 0xffff_ffff })
const Entry = Bytes(0, 262_144)

/** Common parts of every data server contract. */
const asked = { kind: 'internal', service: 'data-server', authority: 'service' } as const

export const identifyServer = contract({
  ...asked,
  name: 'server.identify',
  title: 'Prove that you hold your key',
  serves: ['S7', 'S12'],
  request: Type.Object({ nonce: Bytes(16, 64), verifier: Bytes(16, 64) }),
  reply: Type.Object({ proof: Bytes(64, 1024) }),
})

/** After the request come the sealed segments as raw bytes, exactly as many as the manifest says. */
export const putReplica = contract({
  ...asked,
  name: 'server.put',
  title: 'Keep a sealed replica',
  serves: ['S7'],
  request: Type.Object({ manifest: Signed, notes: Notes }),
  /** COSE_Sign1 of a `ReplicaReceipt`. */
  reply: Type.Object({ receipt: Signed }),
  problems: [
    'replica.conflict',
    'replica.superseded',
    'storage.full',
    'storage.failed',
    'transfer.bad-root',
    'server.refused',
    'cose.bad-signature',
    'cose.unknown-key',
    'service.busy',
  ],
})

/** After the reply come the sealed segments as raw bytes. A stream that ends early was damaged on the way or on the disk: ask again for the rest. */
export const readReplica = contract({
  ...asked,
  name: 'server.segments',
  title: 'Sealed segments of a replica',
  serves: ['S11'],
  request: Type.Object({ replica: ReplicaRef, from: Count, count: Segments }),
  reply: Type.Object({ sealedBytes: Count, segments: Count }),
  problems: ['replica.missing', 'replica.damaged', 'storage.failed'],
})

export const readFrame = contract({
  ...asked,
  name: 'server.frame',
  title: 'One frame of a card’s reading, unopened',
  serves: ['S10'],
  request: Type.Object({ frame: Bytes(1, 8192) }),
  reply: Type.Object({ frame: Bytes(1, 131_072) }),
})

export const readManifest = contract({
  ...asked,
  name: 'server.manifest',
  title: 'The signed manifest of a replica',
  serves: ['S11'],
  request: Type.Object({ replica: ReplicaRef }),
  reply: Type.Object({ manifest: Signed }),
  problems: ['replica.missing', 'replica.damaged'],
})

export const replaceManifest = contract({
  ...asked,
  name: 'server.replace-manifest',
  title: 'A newer manifest for the same bytes',
  serves: ['S9'],
  request: Type.Object({ manifest: Signed }),
  reply: Type.Object({ receipt: Signed }),
  problems: ['replica.missing', 'replica.conflict', 'replica.superseded'],
})

export const restoreSegments = contract({
  ...asked,
  name: 'server.restore',
  title: 'Segments from the other replica in place of damaged ones',
  serves: ['S11'],
  request: Type.Object({
    replica: ReplicaRef,
    from: Count,
    segments: Type.Array(Bytes(16, 65_552), { minItems: 1, maxItems: 8 }),
  }),
  reply: Nothing,
  problems: ['replica.missing', 'replica.conflict'],
})

export const readNotes = contract({
  ...asked,
  name: 'server.read-notes',
  title: 'The wrapped keys beside a replica',
  serves: ['S8'],
  request: Type.Object({ replica: ReplicaRef }),
  reply: Type.Object({ notes: Notes }),
  problems: ['replica.missing', 'replica.damaged'],
})

export const writeNotes = contract({
  ...asked,
  name: 'server.write-notes',
  title: 'New wrapped keys beside a replica',
  serves: ['S8'],
  request: Type.Object({ replica: ReplicaRef, notes: Notes }),
  reply: Nothing,
  problems: ['replica.missing', 'storage.full'],
})

export const removeReplica = contract({
  ...asked,
  name: 'server.remove',
  title: 'Destroy a replica, by placement’s signed order',
  serves: ['S9', 'D8'],
  request: Type.Object({ order: Signed }),
  reply: Type.Object({ receipt: Signed }),
  problems: ['message.expired', 'replica.superseded', 'server.refused', 'cose.unknown-key'],
})

export const HeldSummary = Type.Object({
  ref: ReplicaRef,
  epoch: Count,
  root: Hash,
  sealedBytes: Count,
  manifest: Type.Optional(Signed),
  notes: Type.Optional(Notes),
})

export const listReplicas = contract({
  ...asked,
  name: 'server.list',
  title: 'What is kept here; placement rebuilds its records from it',
  serves: ['S7'],
  request: Type.Object({
    after: Type.Optional(ReplicaRef),
    limit: Type.Integer({ minimum: 1, maximum: 32 }),
    full: Type.Boolean(),
  }),
  reply: Type.Object({ replicas: Type.Array(HeldSummary, { maxItems: 32 }) }),
})

export const DiskStatus = Type.Object({
  disk: Count,
  capacityBytes: Count,
  usedBytes: Count,
  reservedBytes: Count,
  replicas: Count,
  failed: Type.Optional(Text(2000)),
})

export const ServerStatus = Type.Object({
  server: Slug,
  usedBytes: Count,
  freeBytes: Count,
  replicas: Count,
  puts: Count,
  readers: Count,
  disks: Type.Array(DiskStatus, { maxItems: 256 }),
})
export type ServerStatus = Static<typeof ServerStatus>

export const serverStatus = contract({
  ...asked,
  name: 'server.status',
  title: 'How full and how well a data server is',
  serves: ['S5'],
  request: Nothing,
  reply: ServerStatus,
})

export const scrubServer = contract({
  ...asked,
  name: 'server.scrub',
  title: 'Scan the media on, and repair',
  serves: ['S11'],
  request: Type.Object({ maxBytes: Count }),
  /** COSE_Sign1 of a `ScrubReport`. */
  reply: Type.Object({ report: Bytes(64, 131_072) }),
})

export const challengeLeaves = contract({
  ...asked,
  name: 'server.challenge',
  title: 'Chosen segments with proofs, for audits',
  serves: ['S11'],
  request: Type.Object({
    replica: ReplicaRef,
    indexes: Type.Array(Count, { minItems: 1, maxItems: 8 }),
    bytes: Type.Boolean(),
  }),
  reply: Type.Object({
    leaves: Type.Array(
      Type.Object({
        index: Count,
        leafHash: Hash,
        proof: Type.Array(Hash, { maxItems: 32 }),
        segment: Type.Optional(Bytes(16, 65_552)),
        /** Parts that parity had to restore to answer. */
        repaired: Type.Optional(Count),
      }),
      { maxItems: 8 },
    ),
  }),
  problems: ['replica.missing', 'replica.damaged'],
})

export const proveLeaves = contract({
  ...asked,
  name: 'server.proofs',
  title: 'What stood at places that are lost: recorded hashes with proofs',
  serves: ['S11'],
  request: Type.Object({ replica: ReplicaRef, indexes: Type.Array(Count, { minItems: 1, maxItems: 64 }) }),
  reply: Type.Object({
    leaves: Type.Array(Type.Object({ index: Count, leafHash: Hash, proof: Type.Array(Hash, { maxItems: 32 }) }), {
      maxItems: 64,
    }),
  }),
  problems: ['replica.missing', 'replica.damaged'],
})

export const examineReplica = contract({
  ...asked,
  name: 'server.examine',
  title: 'Read one replica from end to end, repair what parity can, and sign what was found',
  serves: ['S11'],
  request: Type.Object({ replica: ReplicaRef, nonce: Bytes(16, 64) }),
  /** COSE_Sign1 of an `Examination`. */
  reply: Type.Object({ examination: Bytes(64, 16_384) }),
  problems: ['storage.failed'],
})

export const appendJournal = contract({
  ...asked,
  name: 'journal.append',
  title: 'Keep entries of a sealed journal',
  serves: ['S7'],
  request: Type.Object({
    stream: Bytes(1, 64),
    seq: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    entries: Type.Array(Entry, { minItems: 1, maxItems: 256 }),
  }),
  reply: Type.Object({ next: Count }),
  problems: ['act.gap', 'act.conflict', 'storage.full', 'storage.failed'],
})

export const readJournal = contract({
  ...asked,
  name: 'journal.read',
  title: 'Entries of a sealed journal',
  serves: ['S7'],
  request: Type.Object({ stream: Bytes(1, 64), from: Count, count: Type.Integer({ minimum: 1, maximum: 256 }) }),
  reply: Type.Object({ next: Count, entries: Type.Array(Entry, { maxItems: 256 }) }),
})
