/** Devices: enrolment by a one-time claim, and what a device reports of itself (D1, D5, D6). */
import {
  Bytes,
  Count,
  contract,
  Hash,
  Id,
  Nothing,
  Region,
  Slug,
  type Static,
  Text,
  TimeMs,
  Type,
} from '../contract.ts'

/**
 * The signed claim of a new device. Sent as COSE_Sign1 by the new key on `call/fleet.enrol`, outside any channel.
 * `proof` = HMAC-SHA-256(claim secret, deterministic CBOR of [domain, site, claim, thumbprint of the key]).
 */
export const EnrolRequest = Type.Object({
  claim: Slug,
  key: Bytes(32, 600),
  proof: Hash,
  model: Text(64),
  version: Text(32),
  roles: Type.Array(Text(16), { maxItems: 8 }),
})
export type EnrolRequest = Static<typeof EnrolRequest>

/**
 * `proof` = HMAC-SHA-256(claim secret, deterministic CBOR of [domain, device, gateway key, placement key, placement's agreement,
 * release key if any]): the site proves itself, too.
 */
export const EnrolReply = Type.Object({
  site: Slug,
  device: Slug,
  /** COSE_Key (Ed25519) of the gateway; pinned by the device. */
  gatewayKey: Bytes(32, 600),
  /** COSE_Key (Ed25519) of placement: signs receipts and manifests. */
  placementKey: Bytes(32, 600),
  /** COSE_Key (X25519) of placement: transfers are sealed to it. */
  placementAgreement: Bytes(32, 600),
  /** COSE_Key (Ed25519) that signs releases of the device's runtime; where it is, the proof covers it, too. */
  releaseKey: Type.Optional(Bytes(32, 600)),
  region: Region,
  proof: Hash,
})
export type EnrolReply = Static<typeof EnrolReply>

export const enrolDomain = 'azukari/enrol/1'

export const enrol = contract({
  name: 'fleet.enrol',
  kind: 'call',
  service: 'gateway',
  authority: 'claim',
  title: 'A new device shows its claim and its key',
  serves: ['D1', 'D6'],
  request: EnrolRequest,
  reply: EnrolReply,
  problems: ['claim.unknown', 'claim.used', 'claim.expired', 'claim.wrong', 'cose.bad-signature'],
})

export const reportState = contract({
  name: 'fleet.report',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'What a device says of its parts: attached, missing, out of paper',
  serves: ['D6'],
  request: Type.Object({
    parts: Type.Array(Type.Object({ part: Text(32), state: Text(32), detail: Type.Optional(Text(200)) }), {
      maxItems: 32,
    }),
    outboxRows: Count,
    outboxBytes: Count,
  }),
  reply: Nothing,
})

export const readState = contract({
  name: 'fleet.state',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'What the gateway holds of the asking device',
  serves: ['D6'],
  request: Nothing,
  reply: Type.Object({
    device: Slug,
    model: Text(64),
    version: Text(32),
    epoch: Count,
    region: Region,
    enrolledMs: TimeMs,
    nowMs: TimeMs,
  }),
})

export const acknowledgeEvents = contract({
  name: 'event.ack',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'Events that the device has kept',
  serves: ['D5'],
  request: Type.Object({ ids: Type.Array(Id, { minItems: 1, maxItems: 64 }) }),
  reply: Nothing,
})
