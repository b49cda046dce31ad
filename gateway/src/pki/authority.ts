/**
 * A site's own certificates for mutual TLS between its processes: an authority that signs, and short-lived certificates
 * that name who (common name) and what (organisational unit: `gateway`, `service` or `data-server`).
 */
// The X.509 library's containers look for this.
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import type { Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import * as x509 from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const dayMs = 86_400_000
/** Certificates begin a little early: clocks of two machines differ. */
const skewMs = 300_000

export type Role = 'gateway' | 'service' | 'data-server'

/** PEM texts; the key is PKCS #8. */
export interface CertifiedKey {
  cert: string
  key: string
}

export interface Validity {
  nowMs: number
  days: number
}

export async function createAuthority(site: string, { nowMs, days }: Validity, random: Random): Promise<CertifiedKey> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialOf(random),
      name: nameOf({ CN: `${site} authority`, O: 'azukari' }),
      notBefore: new Date(nowMs - skewMs),
      notAfter: new Date(nowMs + days * dayMs),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  )
  return { cert: certificate.toString('pem'), key: await pemOf(keys.privateKey) }
}

/** A certificate for one process, with a key of its own. */
export async function issue(
  authority: CertifiedKey,
  name: { id: string; role: Role },
  validity: Validity,
  random: Random,
): Promise<CertifiedKey> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const cert = await certificateFor(authority, name, keys.publicKey, validity, random)
  return { cert, key: await pemOf(keys.privateKey) }
}

/** A key made here, PEM, and the request (PKCS #10, DER) with which an authority elsewhere makes its certificate. */
export async function requestCertificate(id: string): Promise<{ key: string; request: Uint8Array }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    { name: nameOf({ CN: id, O: 'azukari' }), keys, signingAlgorithm: algorithm },
    webcrypto,
  )
  return { key: await pemOf(keys.privateKey), request: new Uint8Array(request.rawData) }
}

/**
 * A certificate for a key that was made elsewhere. Only the key is taken from the request: who it is for is known already.
 * @throws {Problem} `certificate.invalid` when it is no request of a P-256 key that signed it
 */
export async function certify(
  authority: CertifiedKey,
  name: { id: string; role: Role },
  request: Uint8Array,
  validity: Validity,
  random: Random,
): Promise<string> {
  const publicKey = await requestedKey(request).catch((cause: unknown) => {
    throw new Problem('certificate.invalid', `the request for ${name.id}`, { cause })
  })
  return certificateFor(authority, name, publicKey, validity, random)
}

async function requestedKey(der: Uint8Array): Promise<webcrypto.CryptoKey> {
  const request = new x509.Pkcs10CertificateRequest(new Uint8Array(der))
  if (!(await request.verify(webcrypto))) throw new Error('its signature does not fit')
  return request.publicKey.export(algorithm, ['verify'], webcrypto)
}

async function certificateFor(
  authority: CertifiedKey,
  { id, role }: { id: string; role: Role },
  publicKey: webcrypto.CryptoKey,
  { nowMs, days }: Validity,
  random: Random,
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.cert)
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(authority.key),
    algorithm,
    false,
    ['sign'],
  )
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialOf(random),
      subject: nameOf({ CN: id, OU: role, O: 'azukari' }),
      issuer: issuer.subjectName.toJSON(),
      notBefore: new Date(nowMs - skewMs),
      notAfter: new Date(Math.min(nowMs + days * dayMs, issuer.notAfter.getTime())),
      signingAlgorithm: algorithm,
      publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: `${id}.azukari.internal` }]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto),
      ],
    },
    webcrypto,
  )
  return certificate.toString('pem')
}

function nameOf(parts: Record<string, string>): x509.JsonName {
  return Object.entries(parts).map(([part, value]) => ({ [part]: [value] }))
}

/** 16 random bytes, positive. */
function serialOf(random: Random): string {
  const bytes = random.bytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return Buffer.from(bytes).toString('hex')
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), x509.PemConverter.PrivateKeyTag)
}
