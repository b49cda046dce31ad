/** Serves the page on loopback: static files, a stream of states, and actions behind Host, Origin and token checks. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Language } from '@azukari/protocol/finding-text'
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import { landPath } from '../testkit/land.ts'
import { type Action, type Bulletin, pageFile } from './bulletin.ts'

export interface PageOptions {
  port: number
  csrf: string
}

const bodyMaxBytes = 4096
const streamsMax = 32
/** States are sent at most so often. */
const everyMs = 150

const files: Record<string, { file: string; type: string }> = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/app.js': { file: 'app.js', type: 'text/javascript; charset=utf-8' },
  '/style.css': { file: 'style.css', type: 'text/css; charset=utf-8' },
  '/icon.svg': { file: 'icon.svg', type: 'image/svg+xml' },
}

export async function servePage(
  bulletin: Bulletin,
  { port, csrf }: PageOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  /** Who looks, and in which language. */
  const streams = new Map<ServerResponse, Language>()
  let hosts: string[] = []
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => {
      const problem = isProblem(error) ? error : new Problem('internal', String(error))
      if (response.headersSent) return response.destroy()
      send(
        response,
        isProblem(error) ? 400 : 500,
        'application/json',
        JSON.stringify({ code: problem.code, title: describe(problem.code, languageOf(request)).title }),
      )
    })
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    // Against pages of other sites that the browser has open: neither a foreign name nor a foreign origin is answered.
    if (!hosts.includes(request.headers.host ?? '')) throw new Problem('message.unauthorised', 'host')
    const { origin } = request.headers
    if (origin !== undefined && !hosts.some((host) => origin === `http://${host}`))
      throw new Problem('message.unauthorised', 'origin')
    if (request.method === 'POST' && path === '/act') {
      if (request.headers['x-csrf'] !== csrf) throw new Problem('message.unauthorised', 'token')
      await bulletin.act(actionOf(await body(request)))
      return send(response, 200, 'application/json', '{}')
    }
    if (request.method !== 'GET') return send(response, 405, 'text/plain', 'method not allowed')
    if (path === '/state') return stream(response, languageOf(request))
    if (path === '/land') return send(response, 200, 'text/plain', landPath('50m'))
    if (path.startsWith('/picture/')) {
      const picture = bulletin.picture(path.slice('/picture/'.length))
      return picture
        ? send(response, 200, picture[0] === 0x89 ? 'image/png' : 'image/jpeg', picture)
        : send(response, 404, 'text/plain', 'no such picture')
    }
    const known = files[path]
    if (!known) return send(response, 404, 'text/plain', 'no such page')
    const text = new TextDecoder().decode(await pageFile(known.file))
    return send(response, 200, known.type, known.file === 'index.html' ? text.replace('{{csrf}}', csrf) : text)
  }

  const told = (language: Language) => `data: ${JSON.stringify(bulletin.state(language))}\n\n`

  function stream(response: ServerResponse, language: Language): void {
    if (streams.size >= streamsMax) return send(response, 503, 'text/plain', 'too many pages are open')
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    response.write(told(language))
    streams.set(response, language)
    response.on('close', () => streams.delete(response))
  }

  let planned: NodeJS.Timeout | undefined
  const stopWatching = bulletin.onChange(() => {
    planned ??= setTimeout(() => {
      planned = undefined
      const texts = { en: told('en'), ja: told('ja') }
      // A page that does not read gets the next state instead.
      for (const [response, language] of streams) if (!response.writableNeedDrain) response.write(texts[language])
    }, everyMs)
  })

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Problem('config.invalid', `the page's port ${port}: ${error.message}; give another one with --port`)),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  const bound = typeof address === 'object' && address ? address.port : port
  hosts = [`127.0.0.1:${bound}`, `localhost:${bound}`]
  return {
    url: `http://127.0.0.1:${bound}/`,
    close: async () => {
      stopWatching()
      clearTimeout(planned)
      for (const response of streams.keys()) response.end()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

const headers = {
  'content-security-policy': "default-src 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

function send(response: ServerResponse, status: number, type: string, content: string | Uint8Array): void {
  response.writeHead(status, { ...headers, 'content-type': type, 'cache-control': 'no-store' })
  response.end(content)
}

function languageOf(request: IncomingMessage): Language {
  return new URL(request.url ?? '/', 'http://localhost').searchParams.get('language') === 'ja' ? 'ja' : 'en'
}

async function body(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk
    if (text.length > bodyMaxBytes) throw new Problem('message.too-large')
  }
  return text
}

function actionOf(text: string): Action {
  try {
    const { action, target, object, pin } = JSON.parse(text)
    if (typeof action === 'string' && typeof target === 'string')
      return {
        action,
        target,
        ...(typeof object === 'string' ? { object } : {}),
        ...(typeof pin === 'string' ? { pin } : {}),
      }
  } catch (cause) {
    throw new Problem('message.invalid', 'not JSON', { cause })
  }
  throw new Problem('message.invalid', 'an action has action and target')
}
