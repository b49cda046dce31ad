/** A mail server that keeps what it is sent, on a real socket. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'

export interface ReceivedMail {
  to: string[]
  /** As it came, headers and all. */
  source: string
}

export interface MailBox {
  readonly port: number
  readonly mails: readonly ReceivedMail[]
  /** Addresses that are refused for good (RFC 5321 §4.2.3: 550). */
  readonly refused: Set<string>
  close(): Promise<void>
}

/** @param port to listen at, when one is to come back where it was */
export async function startMailBox(port = 0): Promise<MailBox> {
  const mails: ReceivedMail[] = []
  const refused = new Set<string>()
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onRcptTo({ address }, _session, done) {
      const no = Object.assign(new Error('no such mailbox here'), { responseCode: 550 })
      done(refused.has(address) ? no : undefined)
    },
    onData(stream, session, done) {
      const to = session.envelope.rcptTo.map(({ address }) => address)
      stream.toArray().then(
        (chunks: Uint8Array[]) => {
          mails.push({ to, source: Buffer.concat(chunks).toString('latin1') })
          done()
        },
        (error: Error) => done(error),
      )
    },
  })
  const listening = server.listen(port, '127.0.0.1')
  await once(listening, 'listening')
  return {
    port: (listening.address() as AddressInfo).port,
    mails,
    refused,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
