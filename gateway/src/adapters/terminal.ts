/** Asks for a secret on the terminal, without showing it. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { Problem } from '@azukari/protocol/problem'

/** @throws {Problem} `config.invalid` where there is no terminal */
export async function askSecret(question: string): Promise<string> {
  if (!process.stdin.isTTY)
    throw new Problem('config.invalid', 'there is no terminal to ask on: name a file with --password-file')
  process.stderr.write(question)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true })
  try {
    return await lines.question('')
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}
