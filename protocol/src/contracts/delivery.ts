/** What the content service, and data servers among each other, ask of a data server about content: CBOR over HTTP/2 with mutual TLS (C2–C4, C7). */
import { Bytes, Count, contract, Hash, Nothing, Slug, type Static, Type } from '../contract.ts'
import { ObjectSource, objectLeavesMaxBytes, objectMaxBytes } from '../delivery.ts'

/** Common parts of every data server contract. */
const asked = { kind: 'internal', service: 'data-server', authority: 'service' } as const
const Signed = Bytes(64, 2048)
const SizeBytes = Type.Integer({ minimum: 1, maximum: objectMaxBytes })
const Leaves = Bytes(32, objectLeavesMaxBytes)
const refused = [
  'server.refused',
  'message.expired',
  'cose.bad-signature',
  'cose.unknown-key',
  'message.invalid',
] as const

/** After the request come the bytes of the object, exactly as many as are told. */
export const keepObject = contract({
  ...asked,
  name: 'object.keep',
  title: 'Keep an object for its provider, never to be evicted: this is its origin',
  serves: ['C5'],
  request: Type.Object({ grant: Signed, sizeBytes: SizeBytes, leaves: Leaves }),
  reply: Nothing,
  problems: [...refused, 'transfer.bad-root', 'storage.full', 'storage.failed', 'service.unavailable'],
})

const readingRequest = Type.Object({
  grant: Signed,
  /** The first block, and how many. */
  from: Count,
  count: Type.Integer({ minimum: 1, maximum: 1024 }),
})
const readingReply = Type.Object({ sizeBytes: SizeBytes, leaves: Leaves })
const readingProblems = [...refused, 'object.unknown', 'transfer.bad-root', 'storage.failed'] as const

/** After the reply come the blocks as raw bytes. */
export const readObject = contract({
  ...asked,
  name: 'object.read',
  title: 'Blocks of an object, on their way to a client',
  serves: ['C2'],
  request: readingRequest,
  reply: readingReply,
  problems: readingProblems,
})

/** The same for another data server. */
export const fetchObject = contract({
  ...asked,
  name: 'object.fetch',
  title: 'Blocks of an object, for a data server that does not hold it yet',
  serves: ['C3'],
  request: readingRequest,
  reply: readingReply,
  problems: readingProblems,
})

export const deliverObject = contract({
  ...asked,
  name: 'object.deliver',
  title: 'Accept a client’s request: get the object if it is missing, update the list, record the charge',
  serves: ['C2', 'C3', 'C7'],
  request: Type.Object({
    order: Signed,
    /** Nearest first. */
    sources: Type.Array(ObjectSource, { maxItems: 8 }),
  }),
  reply: Type.Object({
    /** COSE_Sign1 of a `DeliveryRecord`. */
    record: Signed,
    seq: Count,
    /** Sources that did not have what they were said to hold, or gave something else. */
    failed: Type.Array(
      Type.Object({ server: Slug, why: Type.Union([Type.Literal('absent'), Type.Literal('lying')]) }),
      { maxItems: 8 },
    ),
  }),
  problems: [...refused, 'object.unavailable', 'storage.full', 'storage.failed', 'service.unavailable', 'service.busy'],
})

export const reverseDelivery = contract({
  ...asked,
  name: 'delivery.reverse',
  title: 'A delivery failed after its record: write the second record that reverses it',
  serves: ['C7'],
  request: Type.Object({ order: Signed }),
  reply: Type.Object({ record: Signed, seq: Count }),
  problems: [...refused, 'object.unknown', 'storage.full', 'storage.failed', 'service.unavailable'],
})

export const readDeliveries = contract({
  ...asked,
  name: 'delivery.records',
  title: 'Charging records of a data server, in order',
  serves: ['C7'],
  request: Type.Object({ from: Type.Integer({ minimum: 1 }), count: Type.Integer({ minimum: 1, maximum: 256 }) }),
  reply: Type.Object({ records: Type.Array(Signed, { maxItems: 256 }) }),
  problems: ['storage.failed'],
})

export const HeldObject = Type.Object({ root: Hash, sizeBytes: Count, isPinned: Type.Boolean() })
export type HeldObject = Static<typeof HeldObject>

export const listObjects = contract({
  ...asked,
  name: 'object.list',
  title: 'Objects that are whole here; the list of holders is renewed from it',
  serves: ['C4'],
  request: Type.Object({ after: Type.Optional(Hash) }),
  reply: Type.Object({ objects: Type.Array(HeldObject, { maxItems: 256 }) }),
})

export const dropObject = contract({
  ...asked,
  name: 'object.drop',
  title: 'Remove an object that is offered no more',
  serves: ['C5', 'D8'],
  request: Type.Object({ grant: Signed }),
  reply: Nothing,
  problems: [...refused, 'storage.failed'],
})
