/** Until when a certificate holds: read without the library that makes certificates, which takes a process 0.1 s to load. */
import { X509Certificate } from 'node:crypto'
import { Problem } from '@azukari/protocol/problem'

/** From when and until when a certificate holds, ms. @throws {Problem} `config.invalid` when it is none */
function validityOf(cert: string): { fromMs: number; untilMs: number } {
  try {
    const { validFromDate, validToDate } = new X509Certificate(cert)
    return { fromMs: validFromDate.getTime(), untilMs: validToDate.getTime() }
  } catch (cause) {
    throw new Problem('config.invalid', 'not a certificate', { cause })
  }
}

/** Whether it is time for a new one: less than a third of its time is left. @throws {Problem} `config.invalid` when it is none */
export function isDue(cert: string, nowMs: number): boolean {
  const { fromMs, untilMs } = validityOf(cert)
  return nowMs > untilMs - (untilMs - fromMs) / 3
}
