/** `azukari-gateway` as a client of the running site: it sends the command and shows what comes back. */
import { text, UsageError, type Values } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import { connectToSite } from '../adapters/operator-socket.ts'
import { readSession } from '../adapters/session-file.ts'
import type { Answer } from './roles.ts'
import { frame, messages, openDown } from './wire.ts'

/** How long an act may take, ms. */
const answerMs = 10 * 60_000

/** @throws {Problem} `operator.*`, and whatever the command refuses */
export async function callSite(command: string, values: Values, positionals: readonly string[]): Promise<Answer> {
  const folder = text(values, 'folder')
  const token = readSession(folder)
  const socket = await connectToSite(folder)
  try {
    socket.setTimeout(answerMs, () => socket.destroy(new Problem('link.timeout', command)))
    const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
    socket.write(frame({ ...(token && { token }), command, values: given, positionals }))
    const { value } = await messages(socket).next()
    if (!value) throw new Problem('operator.not-running', `${folder}: it ended before it answered`)
    const { json, text: words = '', exit, problem } = openDown(value)
    if (problem?.code === 'command.invalid') throw new UsageError(problem.detail ?? command)
    if (problem) throw Problem.fromWire(problem)
    return { json: json === undefined ? undefined : JSON.parse(json), text: words, ...(exit !== undefined && { exit }) }
  } finally {
    socket.destroy()
  }
}
