/** Calls to the site: one POST each, lines of JSON back. The session's token is this tab's alone. */
import { language } from './words.js'

export class Refused extends Error {
  /** @param problem `{ code, title, todo, detail }` */
  constructor(problem) {
    super(problem.title)
    this.problem = problem
  }
}

export const session = {
  get token() {
    return sessionStorage.getItem('token') ?? undefined
  },
  set token(token) {
    if (token) sessionStorage.setItem('token', token)
    else sessionStorage.removeItem('token')
  },
}

/**
 * @param {{ command: string, values?: object, positionals?: string[], files?: { name: string, file: File }[] }} call
 * @param {{ tell?: (line: string) => void, give?: (file: object) => void, signal?: AbortSignal }} heard
 * @returns what it answered: `{ json, text, exit }`
 */
export async function callSite({ command, values = {}, positionals = [], files = [] }, heard = {}) {
  const announced = files.map(({ name, file }) => ({ name, sizeBytes: file.size }))
  const head = { command, values, positionals, language }
  if (session.token) head.token = session.token
  if (files.length > 0) head.files = announced
  const response = await fetch('call', {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.azukari.call' },
    body: new Blob([`${JSON.stringify(head)}\n`, ...files.map(({ file }) => file)], {
      type: 'application/vnd.azukari.call',
    }),
    credentials: 'omit',
    signal: heard.signal,
  })
  if (!response.ok) throw new Error(`HTTP ${response.status}`)
  let receiving
  for await (const message of messagesOf(response.body)) {
    if (message.problem) throw new Refused(message.problem)
    if (message.line !== undefined) heard.tell?.(message.line)
    if (message.file) receiving = { ...message.file, pieces: [], length: 0 }
    if (message.piece !== undefined) {
      const piece = Uint8Array.from(atob(message.piece), (character) => character.charCodeAt(0))
      receiving.pieces.push(piece)
      receiving.length += piece.length
    }
    if (receiving && receiving.length === receiving.sizeBytes) {
      heard.give?.(receiving)
      receiving = undefined
    }
    if (message.answer) return message.answer
  }
  throw new Error('it ended before it answered')
}

async function* messagesOf(body) {
  const decoder = new TextDecoderStream()
  let held = ''
  const reader = body.pipeThrough(decoder).getReader()
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    held += value
    const lines = held.split('\n')
    held = lines.pop()
    for (const line of lines) yield JSON.parse(line)
  }
}
