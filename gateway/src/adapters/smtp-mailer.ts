/** Sends mail by SMTP, over TLS unless the server is on this machine. */
import { Problem } from '@azukari/protocol/problem'
import { createTransport } from 'nodemailer'
import type { Mailer } from '../mail/mailer.ts'
import type { MailSettings } from '../mail/settings.ts'

const waitMs = 30_000
const onThisMachine = new Set(['127.0.0.1', '::1', 'localhost'])

export function smtpMailer(
  { host, port, secure = false, user, from }: MailSettings,
  password: string | undefined,
): Mailer {
  const isHere = onThisMachine.has(host)
  const transport = createTransport({
    host,
    port,
    secure,
    requireTLS: !secure && !isHere,
    ignoreTLS: !secure && isHere,
    ...(user !== undefined && { auth: { user, pass: password ?? '' } }),
    connectionTimeout: waitMs,
    greetingTimeout: waitMs,
    socketTimeout: waitMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const domain = from.slice(from.indexOf('@') + 1)
  return {
    async send({ to, subject, text, id }) {
      try {
        await transport.sendMail({ from, to, subject, text, messageId: `<${id}@${domain}>` })
      } catch (cause) {
        throw new Problem(isRefused(cause) ? 'mail.refused' : 'mail.unreachable', wordsOf(cause), { cause })
      }
    },
  }
}

/** The server's final word, RFC 5321 §4.2.1: 5yz. */
function isRefused(error: unknown): boolean {
  return error instanceof Error && 'responseCode' in error && Number(error.responseCode) >= 500
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message.split('\n')[0]! : String(error)
}
