/** `azukari-gateway` as a client of the running site: it sends the command and shows what comes back. */

import type { Values } from '@azukari/protocol/adapters/command'
import { text } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import { CallOutputs, type NamedFile, readCallFiles } from '../adapters/call-files.ts'
import { connectToUrl, type RemoteLine, siteUrl } from '../adapters/operator-https.ts'
import { connectToSite } from '../adapters/operator-socket.ts'
import { type KeptSession, readSession } from '../adapters/session-file.ts'
import type { Answer, GivenFile, OperatorCommandHead } from './roles.ts'
import { type Call, chunksOf, frame, givenValues, receiveAnswer } from './wire.ts'

/** How long a site may be silent, ms: while it works it says so more often. */
const silenceMs = 60_000

/** By what a session is kept: the site's folder, or its address on another machine. @throws {Problem} `config.invalid` */
export function placeOf(values: Values): string {
  const url = values['site-url']
  return typeof url === 'string' ? siteUrl(url) : text(values, 'folder')
}

/**
 * @param session the token, and by which authority the site is known; else what `login` kept
 * @throws {Problem} `operator.*`, and whatever the command refuses
 */
export async function callSite(
  command: string,
  values: Values,
  positionals: readonly string[],
  { filesIn = [], filesOut = [] }: Pick<OperatorCommandHead, 'filesIn' | 'filesOut'> = {},
  session: Partial<KeptSession> | undefined = readSession(placeOf(values)),
): Promise<Answer> {
  const place = placeOf(values)
  const files = readCallFiles(filesIn, values, positionals)
  const outputs = new CallOutputs(filesOut, values)
  const call: Call = { command, values: sentValues(values), positionals: [...positionals], language: languageOf() }
  if (session?.token) call.token = session.token
  if (files.length > 0) call.files = files.map(({ name, bytes }) => ({ name, sizeBytes: bytes.length }))
  const { stream, close } = await lineTo(place, session?.authority)
  try {
    stream.setTimeout(silenceMs, () => stream.destroy(new Problem('link.timeout', command)))
    stream.write(frame(call))
    return await receiveAnswer(stream, showing(outputs), () => sendFiles(stream, files))
  } catch (error) {
    throw isBroken(error)
      ? new Problem('operator.not-running', `${place}: the line broke off`, { cause: error })
      : error
  } finally {
    close()
  }
}

async function lineTo(place: string, authority: string | undefined): Promise<RemoteLine | SocketLine> {
  if (place.startsWith('https://')) {
    if (!authority) throw new Problem('operator.unauthenticated', place)
    return connectToUrl(place, authority)
  }
  const stream = await connectToSite(place)
  return { stream, close: () => stream.destroy() }
}

interface SocketLine {
  stream: Awaited<ReturnType<typeof connectToSite>>
  close(): void
}

/** Where the call goes is not part of it. */
function sentValues(values: Values): Call['values'] {
  const { 'site-url': _, ...sent } = givenValues(values)
  return sent
}

/** Progress goes to standard error, so that standard output is the answer alone. */
export function showing(outputs: CallOutputs) {
  return {
    tell: (line: string) => console.error(line),
    give: async (file: GivenFile) => outputs.write(await drawn(file, outputs.pathOf(file.option))),
  }
}

/** A drawing for a file that is to be a PNG is drawn here: no browser is started beside the services. */
async function drawn(file: GivenFile, path: string | undefined): Promise<GivenFile> {
  const isDrawing = Buffer.from(file.bytes.subarray(0, 5)).toString('latin1') === '<svg '
  if (!isDrawing || !path?.endsWith('.png') || file.suffix !== undefined) return file
  const { drawPng } = await import('../adapters/draw.ts')
  return { ...file, bytes: await drawPng(Buffer.from(file.bytes).toString('utf8')) }
}

export function languageOf(): 'ja' | 'en' {
  return (process.env['LANG'] ?? '').startsWith('ja') ? 'ja' : 'en'
}

function sendFiles(socket: { write(bytes: Uint8Array): boolean }, files: readonly NamedFile[]): void {
  for (const { bytes } of files) for (const chunk of chunksOf(bytes)) socket.write(chunk)
}

function isBroken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
}
