/** Mail as a port: what is sent carries an id of its own, so that one that goes out twice can be told by it. */
export interface Mail {
  to: string
  subject: string
  text: string
  /** Left of the @ of its Message-ID: the same for the same message. */
  id: string
}

export interface Mailer {
  /** Resolves when a mail server has taken it. @throws {Problem} `mail.unreachable`, `mail.refused` */
  send(mail: Mail): Promise<void>
}
