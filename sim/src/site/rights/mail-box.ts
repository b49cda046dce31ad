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
  close(): Promise<void>
}

export async function startMailBox(): Promise<MailBox> {
  const mails: ReceivedMail[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
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
  const listening = server.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  return {
    port: (listening.address() as AddressInfo).port,
    mails,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
