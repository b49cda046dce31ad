/**
 * The server of a board's local page: on loopback only, below a path that nobody can guess, for this board's own page
 * and no other. What other machines, other names for this address and other pages ask is refused before it is read.
 */
import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type PageMedium, sendMedium } from './page-media.ts'

/** What a browser's page has done. */
export type PageAct =
  | { type: 'seen'; n: number }
  | { type: 'played'; n: number; what: string }
  | { type: 'button'; button: string }
  | { type: 'answer'; id: number; value: string | number }
  | { type: 'cancel'; id: number }

export interface PageServerOptions {
  /** 0 = any free one. */
  port: number
  /** Of this start: whoever knows it may see and work the page. Letters and digits. */
  token: string
  page: string
  contentSecurityPolicy: string
  /** What a browser that has just come is told. */
  greeting(): readonly string[]
  /** False when it is too late, or for something that is not there. */
  act(act: PageAct): boolean
  /** A picture that the page was told of, as PNG. */
  picture(name: string, signal: AbortSignal): Promise<Uint8Array | undefined>
  /** What plays now, by the name that the page was told; undefined for anything else. */
  medium(name: string): PageMedium | undefined
}

export interface PageServer {
  /** With the token. */
  url: string
  /** How many browsers listen. */
  readonly viewers: number
  tell(data: string): void
  close(): Promise<void>
}

const viewersMax = 4
const connectionsMax = 32
const bodyMaxBytes = 4096
const waitingMaxBytes = 1 << 20
const refusal = `<!doctype html><meta charset="utf-8"><title>Azukari</title>
<p lang="ja">このページは機器が起動時に示したアドレスで開いてください（azukari-device page）。
<p lang="en">Open this page under the address that the device showed when it started (azukari-device page).
`

export async function servePage(options: PageServerOptions): Promise<PageServer> {
  const viewers = new Set<ServerResponse>()
  const base = `/${options.token}/`
  const server = createServer((request, response) => {
    response.on('error', () => undefined)
    const { port } = server.address() as AddressInfo
    const status = whyRefused(request, port)
    if (status) return void response.writeHead(status).end()
    const path = below(base, request.url ?? '')
    if (path === undefined) return void send(response, 403, 'text/html; charset=utf-8', refusal)
    const route = `${request.method} ${path}`
    if (route === 'GET ')
      send(response, 200, 'text/html; charset=utf-8', options.page, {
        'content-security-policy': options.contentSecurityPolicy,
      })
    else if (route === 'GET events' && viewers.size < viewersMax) {
      response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' })
      viewers.add(response)
      response.on('close', () => viewers.delete(response))
      response.write(': here\n\n')
      for (const data of options.greeting()) response.write(`data: ${data}\n\n`)
    } else if (request.method === 'GET' && path.startsWith('picture/'))
      sendPicture(path.slice('picture/'.length), response, options)
    else if (request.method === 'GET' && path.startsWith('medium/'))
      sendMedium(request, response, options.medium(path.slice('medium/'.length)), headers)
    else if (route === 'POST act') takeAct(request, response, options)
    else response.writeHead(404).end()
  })
  server.maxConnections = connectionsMax
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${base}`,
    get viewers() {
      return viewers.size
    },
    tell: (data) => {
      // One that does not read comes again and is told what stands then.
      for (const viewer of viewers)
        if (viewer.writableLength > waitingMaxBytes) viewer.destroy()
        else viewer.write(`data: ${data}\n\n`)
    },
    close: async () => {
      for (const viewer of viewers) viewer.end()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** The status for what does not come from this page in a browser of this machine. */
function whyRefused({ headers: told, method }: IncomingMessage, port: number): number | undefined {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`]
  // Another name that leads to this address (DNS rebinding).
  if (!hosts.includes(told.host ?? '')) return 421
  const site = told['sec-fetch-site']
  if (site === 'cross-site' || site === 'same-site') return 403
  const isOwn = told.origin === `http://${told.host}`
  if (told.origin !== undefined && !isOwn) return 403
  // Whatever changes something says where it comes from.
  if (method !== 'GET' && !isOwn) return 403
  return undefined
}

/** What stands after the token; undefined when it is not the right one. */
function below(base: string, url: string): string | undefined {
  const given = Buffer.from(url.slice(0, base.length))
  const wanted = Buffer.from(base)
  return given.length === wanted.length && timingSafeEqual(given, wanted) ? url.slice(base.length) : undefined
}

function takeAct(request: IncomingMessage, response: ServerResponse, options: PageServerOptions): void {
  let body = ''
  request.setEncoding('utf8')
  request.on('error', () => undefined)
  request.on('data', (part: string) => {
    body += part
    if (body.length > bodyMaxBytes) request.destroy()
  })
  request.on('end', () => {
    const act = actOf(body)
    response.writeHead(!act ? 400 : options.act(act) ? 204 : 409, headers).end()
  })
}

function actOf(body: string): PageAct | undefined {
  let said: unknown
  try {
    said = JSON.parse(body)
  } catch {
    return undefined
  }
  if (typeof said !== 'object' || said === null) return undefined
  const { type, n, what, button, id, value } = said as Record<string, unknown>
  if (type === 'seen' && Number.isSafeInteger(n)) return { type, n: Number(n) }
  if (type === 'played' && Number.isSafeInteger(n) && typeof what === 'string') return { type, n: Number(n), what }
  if (type === 'button' && typeof button === 'string') return { type, button }
  if (typeof id !== 'number' || !Number.isSafeInteger(id)) return undefined
  if (type === 'cancel') return { type, id }
  if (type === 'answer' && (typeof value === 'string' || typeof value === 'number')) return { type, id, value }
  return undefined
}

function sendPicture(name: string, response: ServerResponse, options: PageServerOptions): void {
  const leave = new AbortController()
  response.on('close', () => leave.abort())
  const none = () => void response.writeHead(404, headers).end()
  options.picture(name, leave.signal).then((png) => (png ? send(response, 200, 'image/png', png) : none()), none)
}

const headers = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // The address is the key: no other page is told of it.
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  content: string | Uint8Array,
  more: Record<string, string> = {},
): void {
  response.writeHead(status, { ...headers, ...more, 'content-type': type }).end(content)
}
