/**
 * A simulated card company, a process of its own on loopback, with a company's faults: answers that come late or not at all
 * although the work was done, refusals, and the same question asked twice, which must have one effect.
 *
 *   node card-company-process.ts       says {port} over IPC; takes {fault} over IPC
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** `lost`: does the work and closes the line; `down`: 503; `garbage`: an answer of no known form. How many answers it lasts. */
export interface CompanyFault {
  fault: 'lost' | 'down' | 'garbage'
  answers: number
}

interface Authorisation {
  authorisation: string
  minor: number
  state: 'authorised' | 'captured' | 'voided'
}

const byKey = new Map<string, object>()
const authorisations = new Map<string, Authorisation>()
let fault: CompanyFault | undefined
let captured = 0

function answer(path: string, key: string, body: { token?: string; minor?: number }): object | undefined {
  const before = byKey.get(key)
  if (before) return before
  const made = decide(path, body)
  if (made) byKey.set(key, made)
  return made
}

function decide(path: string, { token, minor = 0 }: { token?: string; minor?: number }): object | undefined {
  if (path === '/authorisations') {
    if (token !== 'tok-good') return { state: 'declined', reason: 'insufficient funds' }
    const authorisation = `a${authorisations.size + 1}`
    authorisations.set(authorisation, { authorisation, minor, state: 'authorised' })
    return { state: 'authorised', authorisation }
  }
  const match = /^\/authorisations\/(a\d+)\/(capture|void)$/.exec(path)
  const one = authorisations.get(match?.[1] ?? '')
  if (one?.state !== 'authorised') return undefined
  one.state = match![2] === 'capture' ? 'captured' : 'voided'
  if (one.state === 'captured') captured += one.minor
  return { state: one.state }
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.method === 'GET') {
    response.end(JSON.stringify({ captured, authorisations: authorisations.size }))
    return
  }
  const present = fault
  if (fault && --fault.answers <= 0) fault = undefined
  if (present?.fault === 'down') {
    response.writeHead(503).end()
    return
  }
  const said = answer(request.url!, String(request.headers['idempotency-key']), JSON.parse(text))
  if (present?.fault === 'lost') request.socket.destroy()
  else if (present?.fault === 'garbage') response.end('{"state":"perhaps"}')
  else if (said) response.end(JSON.stringify(said))
  else response.writeHead(404).end()
}

process.on('message', (message: CompanyFault) => {
  fault = { ...message }
})
process.on('disconnect', () => process.exit(0))
const server = createServer((request, response) => {
  handle(request, response).catch(() => response.destroy())
}).listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
