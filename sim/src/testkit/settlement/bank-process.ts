/**
 * A simulated bank, a process of its own on loopback: people pay in, files of transfers and debits are taken and answered,
 * movements are told in either format. Its faults: a line told twice, a payment without its number, one taken back, a
 * transfer to an account that is closed, a payer without money.
 *
 *   node bank-process.ts       says {port} over IPC
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BankAccount } from '@azukari/protocol/contracts/settlement-members'
import {
  collectedOf,
  debitAnswerFile,
  type Movement,
  movementsFile,
  notificationFile,
  readTransfers,
} from './bank-side.ts'

/** What people and tests ask of the bank. */
export type BankAsk =
  | { do: 'pay'; minor: number; text: string; date: string; payer?: string }
  | { do: 'take-back'; id: number; date: string }
  /** Movements since the n-th, as a file. */
  | { do: 'movements'; after: number; format: 'zengin' | 'camt' }
  | { do: 'transfers'; file: string; date: string }
  /** Debits: payers whose accounts are named have no money. */
  | { do: 'debits'; file: string; date: string; poor: string[] }

const account: BankAccount = { bank: '9999', branch: '001', kind: 'ordinary', number: '1234567', holder: 'AZUKARI' }
const movements: Movement[] = []
const taken = new Set<string>()

function move(movement: Omit<Movement, 'id'>): Movement {
  const made = { id: movements.length + 1, ...movement }
  movements.push(made)
  return made
}

function perform(ask: BankAsk): object {
  if (ask.do === 'pay') {
    const { minor, text, date, payer } = ask
    return { id: move({ direction: 'in', minor, text, date, ...(payer ? { payer } : {}) }).id }
  }
  if (ask.do === 'take-back') {
    const { minor, text } = movements[ask.id - 1]!
    return { id: move({ direction: 'out', minor, text, date: ask.date, reversal: true }).id }
  }
  if (ask.do === 'movements') {
    const news = movements.slice(ask.after)
    const file =
      ask.format === 'zengin' ? movementsFile(account, news) : notificationFile(account, `N${ask.after}`, news)
    return { file: Buffer.from(file).toString('base64'), count: news.length }
  }
  const bytes = new Uint8Array(Buffer.from(ask.file, 'base64'))
  // A file that comes twice is one order.
  if (taken.has(ask.file)) return { known: true }
  taken.add(ask.file)
  if (ask.do === 'transfers') {
    const orders = readTransfers(bytes)
    for (const { reference, minor } of orders) move({ direction: 'out', minor, text: reference, date: ask.date })
    return { orders: orders.length }
  }
  const answer = debitAnswerFile(bytes, (reference) => (ask.poor.includes(reference) ? '1' : '0'))
  // The account is told of it as one sum, by a line of its own.
  const minor = collectedOf(answer)
  if (minor > 0) move({ direction: 'in', minor, text: 'ｺｳｻﾞﾌﾘｶｴ', date: ask.date })
  return { file: Buffer.from(answer).toString('base64') }
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = ''
  for await (const chunk of request) text += chunk
  response.end(JSON.stringify(perform(JSON.parse(text) as BankAsk)))
}

process.on('disconnect', () => process.exit(0))
const server = createServer((request, response) => {
  handle(request, response).catch((error) => response.writeHead(400).end(String(error)))
}).listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
