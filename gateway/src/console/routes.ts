/**
 * The operators' console (D6): a page at the HTTPS listener from which every command of a running site is given that the person's
 * roles allow. The page knows no command: what can be asked, and how, comes from the commands themselves.
 */
import type { Clock, Timer } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { consoleFile, type PageFile } from '../adapters/console-page.ts'
import type { CallPort } from '../operator-api/act.ts'
import type { Answer } from '../operator-api/roles.ts'
import type { Call } from '../operator-api/wire.ts'
import type { HttpsCaller, HttpsRequest, HttpsResponse, HttpsRoute } from '../transport/https-listener.ts'
import { CallAnswer, CallReader } from './call.ts'
import { consoleCommands } from './commands.ts'

export const consolePath = '/console/'
const callType = 'application/vnd.azukari.call'
const answerType = 'application/x-ndjson'
/** How long a call may take to come, how long it may be silent while its files come, and how often an answer says that it still works, ms. */
const headMs = 10_000
const silentMs = 30_000
const tickMs = 10_000
/** How long HTTP/1.1 is heard out after a call was refused early: a connection that is cut there takes the answer with it, ms. */
const hearOutMs = 5_000

/** No page of another site shows it, asks through it or puts anything into it; nothing of it is kept. */
const guarded = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
} as const

export interface ConsoleParts {
  /** Where operators' calls are answered. */
  answer(call: Call, port: CallPort): Promise<Answer>
  clock: Clock
}

export function consoleRoutes(parts: ConsoleParts): HttpsRoute[] {
  const files = new Map<string, PageFile>()
  const fileOf = (name: string): PageFile | undefined => {
    const file = files.get(name) ?? (name === listName ? commandList() : consoleFile(name))
    if (file) files.set(name, file)
    return file
  }
  return [
    { method: 'POST', path: `${consolePath}call`, handle: (...asked) => answerCall(parts, ...asked) },
    {
      method: 'GET',
      path: consolePath,
      handle: async (request, response) => {
        const file = fileOf(pathOf(request).slice(consolePath.length) || 'index.html')
        if (!file) return void response.writeHead(404, guarded).end()
        response.writeHead(200, { ...guarded, 'content-type': file.type, 'content-length': file.bytes.length })
        response.end(file.bytes)
      },
    },
    {
      // Whoever types the address alone.
      method: 'GET',
      path: '/',
      handle: async (request, response) => {
        if (pathOf(request) !== '/') return void response.writeHead(404, guarded).end()
        response.writeHead(302, { ...guarded, location: consolePath }).end()
      },
    },
  ]
}

const listName = 'commands.json'
function commandList(): PageFile {
  return { type: 'application/json', bytes: Buffer.from(JSON.stringify(consoleCommands())) }
}

function pathOf({ url }: HttpsRequest): string {
  return new URL(url, 'https://site').pathname
}

/** Only the page itself asks: no other origin, and no form, can say this type. */
function isOwnPage({ headers }: HttpsRequest, authority: string): boolean {
  return headers['content-type'] === callType && headers.origin === `https://${authority}`
}

async function answerCall(
  { answer, clock }: ConsoleParts,
  request: HttpsRequest,
  response: HttpsResponse,
  { address, authority, prove }: HttpsCaller,
): Promise<void> {
  if (!isOwnPage(request, authority)) return void response.writeHead(403, guarded).end()
  const gone = new AbortController()
  const leave = () => gone.abort(new Problem('link.offline', 'the caller went away'))
  response.once('close', leave)
  const reader = new CallReader(request as AsyncIterable<Uint8Array>)
  const sender = new CallAnswer((line) => written(response, line, gone.signal))
  let ticking: Timer | undefined
  const tick = () => {
    sender.tick()
    ticking = clock.timer(tickMs, tick)
  }
  let language: 'ja' | 'en' = 'en'
  response.writeHead(200, { ...guarded, 'content-type': answerType })
  try {
    const call = await inTime(reader.head(), clock)
    language = call.language ?? 'en'
    const answered = await answer(call, {
      remote: { address, authority, prove: (operator) => prove('operator', operator) },
      signal: gone.signal,
      tell: (line) => sender.tell(line),
      give: (file) => sender.give(file),
      files: async () => {
        request.setTimeout(silentMs, () => drop(request))
        const files = await reader.files(call.files ?? [])
        request.setTimeout(0)
        tick()
        return files
      },
    })
    await sender.answer(answered)
  } catch (error) {
    await sender.refuse(error, language).catch(() => undefined)
  } finally {
    ticking?.cancel()
    if (request.httpVersionMajor !== 2 && !request.complete) await heardOut(reader, clock)
    response.end()
    if (!request.complete) drop(request)
  }
}

/** @throws {Problem} `message.expired` */
async function inTime<T>(work: Promise<T>, clock: Clock): Promise<T> {
  const late = Promise.withResolvers<never>()
  using _ = clock.timer(headMs, () => late.reject(new Problem('message.expired', `no call within ${headMs} ms`)))
  work.catch(() => undefined)
  return await Promise.race([work, late.promise])
}

async function heardOut(reader: CallReader, clock: Clock): Promise<void> {
  const late = Promise.withResolvers<void>()
  using _ = clock.timer(hearOutMs, late.resolve)
  await Promise.race([reader.skip().catch(() => undefined), late.promise])
}

/** Nobody reads what else it sends. */
function drop(request: HttpsRequest): void {
  if (request.httpVersionMajor !== 2) request.destroy()
  else if (request.stream.writableFinished || request.stream.destroyed) request.stream.close()
  else request.stream.once('finish', () => request.stream.close())
}

/** Waits while the caller is slow. @throws {Problem} `link.offline` when it has gone */
async function written(response: HttpsResponse, line: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  if (response.write(line)) return
  const room = Promise.withResolvers<void>()
  const gone = () => room.reject(signal.reason)
  response.once('drain', room.resolve)
  signal.addEventListener('abort', gone, { once: true })
  try {
    await room.promise
  } finally {
    response.off('drain', room.resolve)
    signal.removeEventListener('abort', gone)
  }
}
