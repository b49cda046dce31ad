/** Until when a certificate holds: read without the library that makes certificates, which takes a process 0.1 s to load. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { Problem } from '@azukari/protocol/problem'

/** From when and until when a certificate holds, ms. @throws {Problem} `config.invalid` when it is none */
export function validityOf(cert: string): { fromMs: number; untilMs: number } {
  try {
    const { validFromDate, validToDate } = new X509Certificate(cert)
    return { fromMs: validFromDate.getTime(), untilMs: validToDate.getTime() }
  } catch (cause) {
    throw new Problem('config.invalid', 'not a certificate', { cause })
  }
}

/** When to look again whether it is due, ms: often enough for one that lives an hour. @throws {Problem} `config.invalid` */
export function nextLookMs(cert: string): number {
  const { fromMs, untilMs } = validityOf(cert)
  return Math.min(3_600_000, (untilMs - fromMs) / 24)
}

/** Whether it is time for a new one: less than a third of its time is left. @throws {Problem} `config.invalid` when it is none */
export function isDue(cert: string, nowMs: number): boolean {
  const { fromMs, untilMs } = validityOf(cert)
  return nowMs > untilMs - (untilMs - fromMs) / 3
}

/** @throws {Problem} `certificate.invalid` unless `cert` is of this key, names `id` and was signed by `authority` */
export function checkIssued(cert: string, key: string, authority: string, id: string): void {
  try {
    const [own, issuer] = [new X509Certificate(cert), new X509Certificate(authority)]
    const isOurs = own.checkPrivateKey(createPrivateKey(key)) && own.verify(issuer.publicKey)
    if (isOurs && new RegExp(`^CN=${id}$`, 'm').test(own.subject)) return
  } catch (cause) {
    throw new Problem('certificate.invalid', `of ${id}`, { cause })
  }
  throw new Problem('certificate.invalid', `of ${id}`)
}

/** Of a certificate, hexadecimal. @throws {Problem} `certificate.invalid` when it is none */
export function serialOf(cert: string): string {
  try {
    return new X509Certificate(cert).serialNumber.toLowerCase()
  } catch (cause) {
    throw new Problem('certificate.invalid', 'an authority', { cause })
  }
}
