/**
 * A call from the console's page: a line of JSON, and after it the bytes of the files that it announces, one after another. Back come
 * lines of JSON: progress, files in pieces, and one answer. A browser needs no more than `fetch` for it; what it says is the same
 * call as at the socket (decision 15), and is answered at the same desk.
 */
import { UsageError } from '@azukari/protocol/adapters/command-line'
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import type { Answer, GivenFile, Progress } from '../operator-api/roles.ts'
import { type Call, checkCall } from '../operator-api/wire.ts'

/** What a call without its files may be. */
const headBytes = 1 << 20
/** Bytes of a file in one line. */
const pieceBytes = 192 << 10
const newline = 0x0a

/** Reads a call and, when they are asked for, its files. */
export class CallReader {
  readonly #source: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array()

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#source = body[Symbol.asyncIterator]()
  }

  /** @throws {Problem} `message.invalid`, `message.too-large` */
  async head(): Promise<Call> {
    const parts: Uint8Array[] = []
    let length = 0
    for (;;) {
      const { value, done } = await this.#source.next()
      if (done) throw new Problem('message.invalid', 'the call ends early')
      const at = value.indexOf(newline)
      parts.push(at < 0 ? value : value.subarray(0, at))
      length += parts.at(-1)!.length
      if (length > headBytes) throw new Problem('message.too-large', `a call has at most ${headBytes} bytes`)
      if (at < 0) continue
      this.#rest = value.subarray(at + 1)
      return checkCall(parsed(Buffer.concat(parts).toString('utf8')))
    }
  }

  /** @throws {Problem} `message.invalid` when they are not as announced */
  async files(announced: NonNullable<Call['files']>): Promise<Map<string, Uint8Array>> {
    const files = new Map<string, Uint8Array>()
    for (const { name, sizeBytes } of announced) files.set(name, await this.#take(name, sizeBytes))
    if (this.#rest.length > 0 || !(await this.#source.next()).done)
      throw new Problem('message.invalid', 'more came than was announced')
    return files
  }

  /** Reads what else comes and keeps nothing of it. */
  async skip(): Promise<void> {
    while (!(await this.#source.next()).done);
  }

  async #take(name: string, sizeBytes: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(sizeBytes)
    for (let at = 0; at < sizeBytes; ) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#source.next()
        if (done) throw new Problem('message.invalid', `${name} ends early`)
        this.#rest = value
      }
      const part = this.#rest.subarray(0, sizeBytes - at)
      bytes.set(part, at)
      at += part.length
      this.#rest = this.#rest.subarray(part.length)
    }
    return bytes
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Problem('message.invalid', 'the call is not JSON')
  }
}

/** Whoever went away hears no progress; what was begun is finished. */
const ignored = () => undefined

/** Writes what comes of a call. */
export class CallAnswer implements Progress {
  readonly #write: (line: string) => Promise<void>
  /** Lines go one after another, however many are written at once. */
  #written: Promise<void> = Promise.resolve()

  /** @param write resolves when the other side has room for more; rejects when it has gone */
  constructor(write: (line: string) => Promise<void>) {
    this.#write = write
  }

  tell(line: string): void {
    this.#line({ line }).catch(ignored)
  }

  /** Says that the command is still being carried out. */
  tick(): void {
    this.#line({}).catch(ignored)
  }

  async give({ option, suffix = '', name, bytes }: GivenFile): Promise<void> {
    await this.#queue(async () => {
      await this.#write(`${JSON.stringify({ file: { option, suffix, name, sizeBytes: bytes.length } })}\n`)
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        const piece = Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.min(pieceBytes, bytes.length - at))
        await this.#write(`${JSON.stringify({ piece: piece.toString('base64') })}\n`)
      }
    })
  }

  async answer({ json, text, exit = 0 }: Answer): Promise<void> {
    await this.#line({ answer: { json: json ?? null, text, exit } })
  }

  async refuse(error: unknown, language: 'ja' | 'en'): Promise<void> {
    const { code, detail } = (isProblem(error) ? error : new Problem('internal')).toWire()
    const { title, todo } = describe(code, language)
    await this.#line({ problem: { code, title, todo, detail, isUsage: error instanceof UsageError } })
  }

  #line(message: unknown): Promise<void> {
    return this.#queue(() => this.#write(`${JSON.stringify(message)}\n`))
  }

  #queue(work: () => Promise<void>): Promise<void> {
    const done = this.#written.then(work)
    this.#written = done.catch(ignored)
    return done
  }
}
