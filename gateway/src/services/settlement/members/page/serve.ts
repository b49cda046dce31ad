/** The enrolment page on its address. */
import { Problem } from '@azukari/protocol/problem'
import { type EnrolmentPageOptions, enrolmentPage } from './server.ts'

export interface ServeEnrolmentOptions extends Omit<EnrolmentPageOptions, 'origin' | 'proxied'> {
  host: string
  /** 0 = any free one. */
  port: number
  /** Under which people reach it, when it is not its own address: a proxy stands before it. */
  url?: string | undefined
  insecure: boolean
}

const loopback = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/

/** @throws {Problem} `config.invalid` for an address that is not free, or on which others could listen */
export async function serveEnrolment({
  host,
  port,
  url,
  insecure,
  ...options
}: ServeEnrolmentOptions): Promise<{ url: string; close(): Promise<void> }> {
  if (!options.tls && !insecure && !loopback.test(host))
    throw new Problem(
      'config.invalid',
      `enrolHost ${host} is not loopback: people's names and accounts would cross an open line; give tlsKey and tlsCert`,
    )
  let own = url
  const server = enrolmentPage({ ...options, proxied: url !== undefined, origin: () => own ?? '' })
  try {
    await server.listen({ host, port })
  } catch (cause) {
    await server.close()
    throw new Problem('config.invalid', `enrolPort ${port}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    })
  }
  const address = server.server.address()
  const bound = typeof address === 'object' && address ? address.port : port
  own ??= `${options.tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${bound}`
  return { url: own, close: () => server.close() }
}
