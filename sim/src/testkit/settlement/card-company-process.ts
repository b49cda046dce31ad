/**
 * A simulated card company, a process of its own on loopback, with a company's faults: answers that come late or not at all
 * although the work was done, refusals, payments taken back, and the same question asked twice, which must have one effect.
 *
 *   node card-company-process.ts       says {port} over IPC; takes {fault} and {event} over IPC
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CompanyBooks } from './card-company-books.ts'

/** `lost`: does the work and closes the line; `down`: 503; `garbage`: an answer of no known form. How many answers it lasts. */
export interface CompanyFault {
  fault: 'lost' | 'down' | 'garbage'
  answers: number
}

/** `reverse-last`: the newest captured payment is disputed; `reverse-unknown`: one of which nobody knows; `lapse`: authorisations run out. */
export interface CompanyEvent {
  event: 'reverse-last' | 'reverse-unknown' | 'lapse'
}

const books = new CompanyBooks()
let fault: CompanyFault | undefined

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method === 'GET') {
    const after = /^\/reversals\?after=(\d+)$/.exec(request.url ?? '')?.[1]
    const said = after === undefined ? books.totals() : { reversals: books.reversalsAfter(Number(after)) }
    response.end(JSON.stringify(said))
    return
  }
  const present = fault
  if (fault && --fault.answers <= 0) fault = undefined
  if (present?.fault === 'down') {
    response.writeHead(503).end()
    return
  }
  const said = books.answer(request.url!, String(request.headers['idempotency-key']), JSON.parse(text))
  if (present?.fault === 'lost') request.socket.destroy()
  else if (present?.fault === 'garbage') response.end('{"state":"perhaps"}')
  else if (said) response.end(JSON.stringify(said))
  else response.writeHead(404).end()
}

process.on('message', (message: CompanyFault | CompanyEvent) => {
  if ('fault' in message) fault = { ...message }
  else if (message.event === 'lapse') books.lapse()
  else if (message.event === 'reverse-unknown') books.reverseUnknown(1_234)
  else {
    const last = books.list().findLast(({ state }) => state === 'captured')
    if (last) books.reverse(last.authorisation)
  }
})
process.on('disconnect', () => process.exit(0))
const server = createServer((request, response) => {
  handle(request, response).catch(() => response.destroy())
}).listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
