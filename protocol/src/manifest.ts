/**
 * What lies beside every replica and what a data server signs for it (S7, ARCHITECTURE §7). The manifest is placement's
 * word: which replica it is, where it belongs, whose it is, and the root over its bytes; it chains to the version before.
 * The receipt is the data server's word: all of it is on disk. Both are COSE_Sign1 over deterministic CBOR and can be
 * judged alone, later, by anyone.
 */
import { createHash, type KeyObject } from 'node:crypto'
import { sameBytes } from './bytes.ts'
import { decode, encodeDeterministic } from './codec.ts'
import { Bytes, Count, checker, Hash, Id, Slug, type Static, TimeMs, Type } from './contract.ts'
import { type DirectSigner, peek1, sign1, verify1 } from './cose.ts'
import { Problem } from './problem.ts'
import { sealedBytes, sealedFormat, segmentCount, segmentPlainBytes } from './sealed.ts'

const utf8 = new TextEncoder()
const manifestDomain = utf8.encode('azukari/manifest/1')
const replicaReceiptDomain = utf8.encode('azukari/replica-receipt/1')
const removalDomain = utf8.encode('azukari/removal/1')
const removalReceiptDomain = utf8.encode('azukari/removal-receipt/1')

/** Longest signed manifest, in bytes. */
export const manifestMaxBytes = 3072

const Version = Type.Integer({ minimum: 1, maximum: 0xffff_ffff })
export const SlotSchema = Type.Union([Type.Literal(1), Type.Literal(2)])

/** Which replica: names it in every message between placement and data servers. */
export const ReplicaRef = Type.Object({ object: Id, version: Version, slot: SlotSchema })
export type ReplicaRef = Static<typeof ReplicaRef>

export const Manifest = Type.Object({
  format: Type.Literal(sealedFormat),
  object: Id,
  version: Version,
  /** SHA-256 of the signed manifest of the version before, same slot. */
  previous: Type.Optional(Hash),
  /** +1 whenever the replica is moved or its manifest replaced; lower ones are refused. */
  epoch: Count,
  slot: SlotSchema,
  server: Slug,
  /** Thumbprint of the data server's identity key. */
  serverKey: Hash,
  algorithm: Type.Union([Type.Literal('A256GCM'), Type.Literal('ChaCha20/Poly1305')]),
  keyId: Bytes(8),
  segmentBytes: Type.Integer({ minimum: 1, maximum: segmentPlainBytes }),
  segments: Type.Integer({ minimum: 1, maximum: 0xffff_ffff }),
  plainBytes: Count,
  sealedBytes: Count,
  /** RFC 9162 root over the sealed segments. */
  root: Hash,
  /** Whose it is: the data server authenticates the card by this key, without placement (S10). */
  owner: Type.Object({ member: Id, /** COSE_Key of the card's authentication key. */ key: Bytes(32, 600) }),
  createdMs: TimeMs,
})
export type Manifest = Static<typeof Manifest>

export const ReplicaReceipt = Type.Object({
  object: Id,
  version: Version,
  slot: SlotSchema,
  epoch: Count,
  root: Hash,
  sealedBytes: Count,
  server: Slug,
  atMs: TimeMs,
})
export type ReplicaReceipt = Static<typeof ReplicaReceipt>

/** Placement's order to destroy one replica. */
export const Removal = Type.Object({
  object: Id,
  version: Version,
  slot: SlotSchema,
  /** The replica is removed when its own epoch is not above this. */
  epoch: Count,
  server: Slug,
  issuedMs: TimeMs,
  expiresMs: TimeMs,
  /** The successor's signed manifest: its owner's card is told where the replica is now, until an order without it. */
  forward: Type.Optional(Bytes(64, manifestMaxBytes)),
})
export type Removal = Static<typeof Removal>

export const RemovalReceipt = Type.Object({
  object: Id,
  version: Version,
  slot: SlotSchema,
  epoch: Count,
  server: Slug,
  /** False when there was nothing to remove. */
  held: Type.Boolean(),
  atMs: TimeMs,
})
export type RemovalReceipt = Static<typeof RemovalReceipt>

const checkManifest = checker(Manifest, 'manifest')
const checkReceipt = checker(ReplicaReceipt, 'replica receipt')
const checkRemoval = checker(Removal, 'removal')
const checkRemovalReceipt = checker(RemovalReceipt, 'removal receipt')

/** Finds the key to a key id; undefined when it is not trusted. */
export type KeyFinder = (kid: Uint8Array) => KeyObject | undefined

/** Signs as placement. @throws {Problem} `message.invalid` when the figures do not agree with each other */
export function signManifest(manifest: Manifest, signer: DirectSigner): Uint8Array {
  const signed = sign1(encodeDeterministic(checkFigures(checkManifest(manifest))), signer, manifestDomain)
  if (signed.length > manifestMaxBytes) throw new Problem('message.too-large', 'a manifest of that size is not kept')
  return signed
}

/** The root of a replica that is being sealed while it is sent: the manifest with the real one follows the last segment. */
export const rootToFollow: Uint8Array = new Uint8Array(32)

/** Whether a manifest only announces a replica. No replica has that root: it is no SHA-256 that anybody knows an input of. */
export function isAnnouncement({ root }: Pick<Manifest, 'root'>): boolean {
  return sameBytes(root, rootToFollow)
}

/** Whether a manifest is what was announced, with its root. */
export function fulfils(final: Manifest, announced: Manifest): boolean {
  return (
    !isAnnouncement(final) &&
    sameBytes(encodeDeterministic({ ...final, root: rootToFollow }), encodeDeterministic(announced))
  )
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function openManifest(signed: Uint8Array, keyFor: KeyFinder): Manifest {
  return checkFigures(checkManifest(decode(verify1(signed, keyFor, manifestDomain).payload)))
}

/** Reads a manifest whose signer is not known here: only for whoever holds other evidence, such as the card's conditions. */
export function peekManifest(signed: Uint8Array): Manifest {
  return checkFigures(checkManifest(decode(peek1(signed).payload)))
}

/** What the next version's manifest names as `previous`. */
export function manifestHash(signed: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(signed).digest())
}

function checkFigures(manifest: Manifest): Manifest {
  const { plainBytes, segmentBytes } = manifest
  if (
    segmentBytes !== segmentPlainBytes ||
    manifest.segments !== segmentCount(plainBytes) ||
    manifest.sealedBytes !== sealedBytes(plainBytes)
  )
    throw new Problem('message.invalid', 'the manifest’s sizes contradict each other')
  return manifest
}

/** Signs as the data server; only when every byte is durable. */
export function signReplicaReceipt(receipt: ReplicaReceipt, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(checkReceipt(receipt)), signer, replicaReceiptDomain)
}

/**
 * Opens a data server's receipt and holds it against what was sent there.
 * @throws {Problem} `cose.*`, `cbor.*`, `message.invalid`; `server.refused` when it is for something else
 */
export function openReplicaReceipt(signed: Uint8Array, serverKey: KeyObject, manifest?: Manifest): ReplicaReceipt {
  const receipt = checkReceipt(decode(verify1(signed, () => serverKey, replicaReceiptDomain).payload))
  if (manifest) {
    const agrees =
      sameBytes(receipt.object, manifest.object) &&
      sameBytes(receipt.root, manifest.root) &&
      receipt.version === manifest.version &&
      receipt.slot === manifest.slot &&
      receipt.epoch === manifest.epoch &&
      receipt.sealedBytes === manifest.sealedBytes &&
      receipt.server === manifest.server
    if (!agrees) throw new Problem('server.refused', 'the receipt is for another replica')
  }
  return receipt
}

export function signRemoval(removal: Removal, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(checkRemoval(removal)), signer, removalDomain)
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function openRemoval(signed: Uint8Array, keyFor: KeyFinder): Removal {
  return checkRemoval(decode(verify1(signed, keyFor, removalDomain).payload))
}

export function signRemovalReceipt(receipt: RemovalReceipt, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(checkRemovalReceipt(receipt)), signer, removalReceiptDomain)
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function openRemovalReceipt(signed: Uint8Array, serverKey: KeyObject): RemovalReceipt {
  return checkRemovalReceipt(decode(verify1(signed, () => serverKey, removalReceiptDomain).payload))
}
