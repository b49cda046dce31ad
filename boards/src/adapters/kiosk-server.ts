/** A page on loopback that shows what it is told, at once, and says when it has: one kind of event out, one number back. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface KioskServerOptions {
  /** 0 = any free one. */
  port: number
  page: string
  contentSecurityPolicy: string
  /** What a browser that has just come is told. */
  greeting(): string | undefined
  /** A browser has drawn the state of this number. */
  seen(n: number): void
}

export interface KioskServer {
  url: string
  /** How many browsers listen. */
  readonly viewers: number
  tell(data: string): void
  close(): Promise<void>
}

const viewersMax = 4
const bodyMaxBytes = 32

export async function serveKiosk(options: KioskServerOptions): Promise<KioskServer> {
  const viewers = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    response.on('error', () => undefined)
    const { port } = server.address() as AddressInfo
    // A page elsewhere must not read or answer for this one (DNS rebinding).
    if (request.headers.host !== `127.0.0.1:${port}` && request.headers.host !== `localhost:${port}`)
      return void response.writeHead(421).end()
    const route = `${request.method} ${request.url}`
    if (route === 'GET /') {
      response.writeHead(200, {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': options.contentSecurityPolicy,
        'cache-control': 'no-store',
      })
      response.end(options.page)
    } else if (route === 'GET /events' && viewers.size < viewersMax) {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
      viewers.add(response)
      response.on('close', () => viewers.delete(response))
      const greeting = options.greeting()
      response.write(greeting ? `data: ${greeting}\n\n` : ': here\n\n')
    } else if (route === 'POST /seen') {
      let body = ''
      request.on('data', (part) => {
        body += part
        if (body.length > bodyMaxBytes) request.destroy()
      })
      request.on('end', () => {
        if (/^\d+$/.test(body)) options.seen(Number(body))
        response.writeHead(204).end()
      })
    } else response.writeHead(404).end()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    get viewers() {
      return viewers.size
    },
    tell: (data) => {
      for (const viewer of viewers) viewer.write(`data: ${data}\n\n`)
    },
    close: async () => {
      for (const viewer of viewers) viewer.end()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
