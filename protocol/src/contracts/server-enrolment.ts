/**
 * How a data server on a host of its own joins a site and stays in it (D4, D6): with a one-time claim it proves itself and has
 * its certificate made from a request, so that no key ever leaves the host where it was made; later it shows that certificate
 * to have the next one. The way in is the gateway's listener for other processes.
 */
import { Bytes, contract, Slug, Text, Type } from '../contract.ts'

/** PEM certificates of the site's authority, the present one first. */
const Authority = Type.Array(Text(8_192), { minItems: 1, maxItems: 16 })
/** Where it is reached by the others: a name or an address that they can resolve. */
const Url = Type.String({ pattern: '^https://[^/?#@ ]+$', maxLength: 200 })
const CapacityBytes = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
/** PKCS #10, DER. */
const CertificateRequest = Bytes(64, 4_096)

export const enrolServer = contract({
  name: 'site.enrol-server',
  kind: 'internal',
  service: 'gateway',
  authority: 'claim',
  title: 'A data server on a host of its own joins the site',
  serves: ['D4', 'D6', 'S7'],
  request: Type.Object({
    claim: Slug,
    /** COSE_Key of its identity, which signs receipts. */
    key: Bytes(32, 600),
    request: CertificateRequest,
    url: Url,
    capacityBytes: CapacityBytes,
    /** HMAC-SHA-256 under the claim's secret over all of the above. */
    proof: Bytes(32),
  }),
  reply: Type.Object({
    site: Slug,
    authority: Authority,
    /** PEM. */
    certificate: Text(8_192),
    /** COSE_Keys of placement: whose manifests it takes. */
    placementKey: Bytes(32, 600),
    placementAgreement: Bytes(32, 600),
    /** COSE_Key that signs the key directory. */
    siteKey: Type.Optional(Bytes(32, 600)),
    /** HMAC-SHA-256 under the claim's secret over the proof above and all of this: the site knows the claim, too. */
    proof: Bytes(32),
  }),
  problems: [
    'claim.unknown',
    'claim.used',
    'claim.expired',
    'claim.wrong',
    'certificate.invalid',
    'cose.wrong-algorithm',
  ],
})

export const renewServer = contract({
  name: 'site.renew-server',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'A data server has its next certificate made, and says where it is reached now',
  serves: ['D6'],
  request: Type.Object({ request: CertificateRequest, url: Url, capacityBytes: CapacityBytes }),
  reply: Type.Object({ authority: Authority, certificate: Text(8_192) }),
  problems: ['certificate.invalid', 'server.unreachable', 'message.unauthorised'],
})
