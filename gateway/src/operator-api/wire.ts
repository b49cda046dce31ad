/**
 * What goes over the operators' socket, and between the gateway and a service that runs apart: up a call and the bytes of
 * its files, down what the command tells, the files that it gives, and one answer. Each message is its length and CBOR.
 */
import type { Values } from '@azukari/protocol/adapters/command'
import { UsageError } from '@azukari/protocol/adapters/command-line'
import { decode, encode } from '@azukari/protocol/codec'
import { Bytes, checker, type Static, Text, Type } from '@azukari/protocol/contract'
import { CommandFiles, CommandLanguage, CommandValues, CommandWords } from '@azukari/protocol/contracts/internal'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Answer, GivenFile, Progress } from './roles.ts'

const limits = { maxBytes: 16 << 20, maxDepth: 8, maxItems: 65_536 }
/** Bytes of a file in one message. */
const chunkBytes = 256 << 10
/** What one answer may give in files. */
const givenLimits = { files: 16, bytes: 64 << 20 }

const Call = Type.Object({
  token: Type.Optional(Text(64)),
  command: Text(64),
  values: CommandValues,
  positionals: CommandWords,
  language: Type.Optional(CommandLanguage),
  /** Files named in the call: their bytes follow when they are asked for. */
  files: Type.Optional(CommandFiles),
})
export type Call = Static<typeof Call>
export const checkCall = checker(Call, 'operator call')

const Down = Type.Object({
  /** Told while the command is carried out. A message of nothing says that it still is. */
  line: Type.Optional(Text(65_536)),
  /** The bytes of the files are wanted now. */
  wants: Type.Optional(Type.Boolean()),
  file: Type.Optional(
    Type.Object({
      option: Text(64),
      suffix: Type.Optional(Type.String({ pattern: '^\\.[a-z]{1,16}$' })),
      name: Type.Optional(Text(128)),
      sizeBytes: Type.Integer({ minimum: 0, maximum: givenLimits.bytes }),
    }),
  ),
  chunk: Type.Optional(Bytes(0, chunkBytes)),
  /** JSON, as text. */
  json: Type.Optional(Type.String()),
  text: Type.Optional(Type.String()),
  exit: Type.Optional(Type.Integer({ minimum: 0, maximum: 255 })),
  problem: Type.Optional(
    Type.Object({
      code: Text(64),
      retry: Text(16),
      detail: Type.Optional(Type.String()),
      data: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    }),
  ),
  /** The problem is with the words of the call. */
  usage: Type.Optional(Type.Boolean()),
})
export type Down = Static<typeof Down>
const checkDown = checker(Down, 'operator answer')
const checkChunk = checker(Type.Object({ chunk: Bytes(1, chunkBytes) }), 'part of a file')

export function frame(message: unknown): Uint8Array {
  const body = encode(message)
  if (body.length > limits.maxBytes) throw new Problem('message.too-large', `${body.length} bytes`)
  const framed = new Uint8Array(4 + body.length)
  new DataView(framed.buffer).setUint32(0, body.length)
  framed.set(body, 4)
  return framed
}

export function openCall(bytes: Uint8Array): Call {
  return checkCall(decode(bytes, limits))
}

function openDown(bytes: Uint8Array): Down {
  return checkDown(decode(bytes, limits))
}

/** The messages of a stream, each checked for its length before it is waited for. @throws {Problem} `message.*` */
export async function* messages(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
  let held: Uint8Array[] = []
  let length = 0
  for await (const chunk of stream) {
    held.push(chunk)
    length += chunk.length
    while (length >= 4) {
      if (held[0]!.length < 4) held = [Buffer.concat(held)]
      const wanted = 4 + Buffer.from(held[0]!).readUInt32BE(0)
      if (wanted > 4 + limits.maxBytes) throw new Problem('message.too-large', `${wanted} bytes`)
      if (length < wanted) break
      const all = Buffer.concat(held)
      yield all.subarray(4, wanted)
      held = [all.subarray(wanted)]
      length = all.length - wanted
    }
  }
  if (length > 0) throw new Problem('message.invalid', 'the stream ends early')
}

/** A file's bytes as messages. */
export function* chunksOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield frame({ chunk: bytes.subarray(at, at + chunkBytes) })
}

/** Reads the bytes of the files that a call announced. @throws {Problem} `message.invalid` when they are not those */
export async function readFiles(
  announced: readonly { name: string; sizeBytes: number }[],
  source: AsyncIterator<Uint8Array>,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  for (const { name, sizeBytes } of announced) {
    const bytes = new Uint8Array(sizeBytes)
    for (let at = 0; at < sizeBytes; ) {
      const { value, done } = await source.next()
      if (done) throw new Problem('message.invalid', `${name} ends early`)
      const { chunk } = checkChunk(decode(value, limits))
      if (at + chunk.length > sizeBytes) throw new Problem('message.invalid', `${name} is longer than announced`)
      bytes.set(chunk, at)
      at += chunk.length
    }
    files.set(name, bytes)
  }
  return files
}

/** Whoever went away hears no progress; what was begun is finished. */
const ignored = () => undefined

/** Sends what comes of a call. */
export class AnswerSender implements Progress {
  readonly #write: (frame: Uint8Array) => Promise<void>
  /** Messages go one after another, however many are sent at once. */
  #sent: Promise<void> = Promise.resolve()

  /** @param write resolves when the other side has room for more; rejects when it has gone */
  constructor(write: (frame: Uint8Array) => Promise<void>) {
    this.#write = write
  }

  tell(line: string): void {
    this.#send({ line: line.slice(0, 65_536) }).catch(ignored)
  }

  async give({ option, suffix, name, bytes }: GivenFile): Promise<void> {
    const file: NonNullable<Down['file']> = { option, sizeBytes: bytes.length }
    if (suffix !== undefined) file.suffix = suffix
    if (name !== undefined) file.name = name
    const head = frame({ file } satisfies Down)
    await this.#queue(async () => {
      await this.#write(head)
      for (const chunk of chunksOf(bytes)) await this.#write(chunk)
    })
  }

  /** Says that the bytes of the call's files are wanted. */
  async want(): Promise<void> {
    await this.#send({ wants: true })
  }

  /** Says that the command is still being carried out. */
  tick(): void {
    this.#send({}).catch(ignored)
  }

  async answer({ json, text, exit }: Answer): Promise<void> {
    const down: Down = { json: JSON.stringify(json), text }
    if (exit !== undefined) down.exit = exit
    await this.#send(down)
  }

  async refuse(error: unknown): Promise<void> {
    const down: Down = { problem: (isProblem(error) ? error : new Problem('internal')).toWire() }
    if (error instanceof UsageError) down.usage = true
    await this.#send(down)
  }

  async #send(down: Down): Promise<void> {
    const bytes = frame(down)
    await this.#queue(() => this.#write(bytes))
  }

  #queue(work: () => Promise<void>): Promise<void> {
    const done = this.#sent.then(work)
    // Whoever asked hears that the other side has gone; what is queued behind is tried, and hears the same.
    this.#sent = done.catch(() => undefined)
    return done
  }
}

/**
 * Receives what comes of a call.
 * @param sendFiles called once, when the other side wants the bytes of the files
 * @throws {Problem} what the other side refuses; `operator.not-running` when it ends before it has answered
 */
export async function receiveAnswer(
  stream: AsyncIterable<Uint8Array>,
  progress: Progress,
  sendFiles: () => void = () => undefined,
): Promise<Answer> {
  const source = messages(stream)
  let [files, bytes, wanted] = [0, 0, false]
  for (;;) {
    const { value, done } = await source.next()
    if (done) throw new Problem('operator.not-running', 'it ended before it answered')
    const { line, wants, file, json, text = '', exit, problem, usage } = openDown(value)
    if (problem) throw usage ? new UsageError(problem.detail ?? problem.code) : Problem.fromWire(problem)
    if (line !== undefined) progress.tell(line)
    if (wants && !wanted) {
      wanted = true
      sendFiles()
    }
    if (file) {
      bytes += file.sizeBytes
      if (++files > givenLimits.files || bytes > givenLimits.bytes) throw new Problem('message.too-large', file.option)
      const { sizeBytes, ...head } = file
      const received = await readFiles([{ name: file.option, sizeBytes }], source)
      await progress.give({ ...head, bytes: received.get(file.option)! })
    }
    if (json !== undefined || exit !== undefined || text !== '')
      return exit === undefined ? { json: parsed(json), text } : { json: parsed(json), text, exit }
  }
}

function parsed(json: string | undefined): unknown {
  return json === undefined ? undefined : JSON.parse(json)
}

/** What was given, without what was not: nothing undefined goes over the wire. */
export function givenValues(values: Values): Call['values'] {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}
