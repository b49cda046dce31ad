/** From another machine to the running site (D6): one HTTP/2 stream for each call, to whom the site's authority names. */

import { X509Certificate } from 'node:crypto'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { connect as connectTls, type PeerCertificate } from 'node:tls'
import { isProblem, Problem } from '@azukari/protocol/problem'

/** Where operators' calls are answered, and what they are. */
export const operatorPath = '/operator/1'
export const operatorType = 'application/vnd.azukari.operator'

/** Whom a site's certificate names. */
const name = 'gateway'
const connectMs = 10_000

export interface RemoteLine {
  stream: ClientHttp2Stream
  close(): void
}

/** `https://host:port`, as sessions are kept by it. @throws {Problem} `config.invalid` */
export function siteUrl(given: string): string {
  const url = URL.parse(given)
  if (url?.protocol !== 'https:' || url.pathname !== '/' || url.search || url.username)
    throw new Problem('config.invalid', `--site-url ${given}: it must be https://host:port`)
  return url.origin
}

/** @param authority PEM of the site's authority @throws {Problem} `operator.not-running`, `operator.other-site` */
export async function connectToUrl(url: string, authority: string): Promise<RemoteLine> {
  const session = await opened(url, authority)
  // Sent at once: the site answers while more of the call may still come.
  const stream = session.request(
    { ':method': 'POST', ':path': operatorPath, 'content-type': operatorType },
    { endStream: false },
  )
  stream.on('response', ({ ':status': status }) => {
    if (status !== constants.HTTP_STATUS_OK)
      stream.destroy(
        status === constants.HTTP_STATUS_TOO_MANY_REQUESTS
          ? new Problem('service.busy', url)
          : new Problem('operator.not-running', `${url} answers ${status}`),
      )
  })
  return { stream, close: () => session.destroy() }
}

function opened(url: string, authority: string): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connect(url, {
      ca: authority,
      minVersion: 'TLSv1.3',
      checkServerIdentity: (_host: string, certificate: PeerCertificate) => judged(certificate),
      settings: { initialWindowSize: 1 << 20 },
    })
    session.setTimeout(connectMs, () => session.destroy(new Problem('operator.not-running', `${url} does not answer`)))
    session.once('connect', () => {
      session.setTimeout(0)
      resolve(session)
    })
    session.on('error', (cause) => reject(unreachable(url, cause)))
  })
}

/** Of all that the authority has certified, only the gateway answers for the site. */
function judged({ subject }: PeerCertificate): Error | undefined {
  if (subject.CN === name && subject.OU === name) return undefined
  return new Problem('operator.other-site', `the certificate names ${subject.CN}`)
}

/**
 * The authority that a site shows, if it is the one with this fingerprint.
 * @param pin SHA-256 of its certificate in hex, colons allowed @throws {Problem} `operator.other-site`, `operator.not-running`
 */
export async function pinnedAuthority(url: string, pin: string): Promise<string> {
  const wanted = pin.replaceAll(':', '').toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(wanted))
    throw new Problem('config.invalid', '--site-pin: it must be 64 hexadecimal digits')
  const { hostname, port } = new URL(url)
  const certificate = await new Promise<PeerCertificate | undefined>((resolve, reject) => {
    const socket = connectTls(
      // Judged below; nothing is sent on this connection.
      {
        host: hostname.replace(/^\[|\]$/g, ''),
        port: Number(port || 443),
        rejectUnauthorized: false,
        minVersion: 'TLSv1.3',
      },
      () => {
        const { issuerCertificate } = socket.getPeerCertificate(true)
        socket.destroy()
        resolve(issuerCertificate)
      },
    )
    socket.setTimeout(connectMs, () => socket.destroy(new Error('it does not answer')))
    socket.on('error', (cause) => reject(unreachable(url, cause)))
  })
  const found = certificate?.raw && new X509Certificate(certificate.raw)
  if (found?.fingerprint256.replaceAll(':', '').toLowerCase() !== wanted)
    throw new Problem('operator.other-site', `the authority of ${url} is ${found?.fingerprint256 ?? 'not shown'}`)
  return found.toString()
}

function unreachable(url: string, cause: Error): Problem {
  if (isProblem(cause)) return cause
  const code = 'code' in cause ? String(cause.code) : ''
  // OpenSSL's words for a certificate that is not the authority's, or out of date.
  const isForeign = /CERT|SIGNATURE|ISSUER|SELF_SIGNED|ERR_TLS/.test(code)
  return isForeign
    ? new Problem('operator.other-site', `${url}: ${cause.message}`, { cause })
    : new Problem('operator.not-running', `${url}: ${cause.message}`, { cause })
}
