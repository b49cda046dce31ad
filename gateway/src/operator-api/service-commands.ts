/**
 * Commands of services. A service lists them in its module, and they are carried out in the process in which it runs: here, or
 * in a process of its own, which the gateway asks.
 */
import type { Values } from '@azukari/protocol/adapters/command'
import type { RequestOf, ServiceName } from '@azukari/protocol/contract'
import { carryOutCommand } from '@azukari/protocol/contracts/internal'
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { OpenService, ServiceCommand, ServiceModule } from '../host/service-module.ts'
import { answers, type CallHandler, gatewayName } from '../transport/server.ts'
import type { StreamCaller } from '../transport/spread-client.ts'
import { serviceAct } from './act.ts'
import type { Answer, OperatorCommand, ServiceAct, ServiceDispatch } from './roles.ts'
import { AnswerSender, chunksOf, givenValues, messages, readFiles, receiveAnswer } from './wire.ts'

/** How often a command says that it is still being carried out, and how long it may be silent, ms. */
const tickMs = 10_000
const silenceMs = 60_000

/** A service's command as the operator API has it. */
export function operatorCommandOf(service: ServiceName, name: string, command: ServiceCommand): OperatorCommand {
  const { carryOut: _, ...head } = command
  return {
    ...head,
    what: command.offline ? `${head.what} Also with nothing running.` : head.what,
    carryOut: (act, values, positionals) => act.site.services.carryOut(service, name, act, values, positionals),
  }
}

/** @throws {Problem} `command.invalid`: a gateway of another version asks for what this one does not have */
export async function commandOf(module: ServiceModule, name: string): Promise<ServiceCommand> {
  for (const load of Object.values(module.commands ?? {})) {
    const group = await load()
    const command = Object.hasOwn(group, name) ? group[name] : undefined
    if (command) return command
  }
  throw new Problem('command.invalid', `${module.name} has no command ${name}`)
}

export interface DispatchParts {
  modules: readonly ServiceModule[]
  /** A service that runs in this process. */
  inside(name: ServiceName): OpenService | undefined
  /** The process of a service that runs apart; of two, whichever leads. */
  apart(name: ServiceName): StreamCaller | undefined
  /** Each process of a service that runs apart, by its name. */
  each(name: ServiceName): readonly ApartProcess[]
}

export interface ApartProcess {
  id: string
  client: StreamCaller
}

/** Carries commands out where their services run. */
export function serviceDispatch({ modules, inside, apart, each }: DispatchParts): ServiceDispatch {
  return {
    async carryOut(service, name, act, values, positionals) {
      const module = modules.find((one) => one.name === service)
      if (!module) throw new Problem('service.unavailable', service)
      const open = inside(service)
      const command = await commandOf(module, name)
      if (open) {
        const answer = await carriedOut(command, open, act, values, positionals)
        return command.everywhere ? { ...answer, json: [{ process: service, answer: answer.json }] } : answer
      }
      if (command.everywhere) return askEach(each(service), name, command, act, values, positionals)
      const client = apart(service)
      if (!client) throw new Problem('service.unavailable', service)
      return askApart(client, name, command, act, values, positionals)
    },
  }
}

async function carriedOut<Open extends OpenService>(
  command: ServiceCommand<Open>,
  open: Open,
  ...given: [act: ServiceAct, values: Values, positionals: string[]]
): Promise<Answer> {
  try {
    return await command.carryOut(open, ...given)
  } finally {
    if (!command.everywhere) open.commandEnded?.()
  }
}

/** Asks each process; one that does not answer is told as such. */
async function askEach(
  processes: readonly ApartProcess[],
  ...asked: [name: string, command: ServiceCommand, act: ServiceAct, values: Values, positionals: string[]]
): Promise<Answer> {
  const answers = await Promise.all(
    processes.map(async ({ id, client }) => {
      try {
        const { json, text } = await askApart(client, ...asked)
        return { json: { process: id, answer: json }, line: `${id}: ${text}` }
      } catch (error) {
        if (!isProblem(error)) throw error
        return { json: { process: id, problem: error.toWire() }, line: `${id}: ${error.message}` }
      }
    }),
  )
  return { json: answers.map(({ json }) => json), text: answers.map(({ line }) => line).join('\n') }
}

async function askApart(
  client: StreamCaller,
  name: string,
  { filesIn = [], options }: ServiceCommand,
  act: ServiceAct,
  values: Values,
  positionals: string[],
): Promise<Answer> {
  const files = filesIn.flatMap((file) => {
    // A file of an option that is not given is none, whatever follows the options.
    const isNamed = file in options ? values[file] !== undefined : positionals.length > 0
    return isNamed ? [{ name: file, bytes: act.file(file).bytes }] : []
  })
  const request: RequestOf<typeof carryOutCommand> = {
    command: name,
    operator: act.operator,
    people: [...act.people],
    language: act.language,
    values: givenValues(values),
    positionals,
    files: files.map(({ name, bytes }) => ({ name, sizeBytes: bytes.length })),
  }
  if (act.siteUrl !== undefined) request.siteUrl = act.siteUrl
  const over = Promise.withResolvers<void>()
  act.signal.addEventListener('abort', () => over.resolve(), { once: true })
  if (act.signal.aborted) over.resolve()
  // Given anew when the other of two processes is asked. Its end says that the caller went away; the answer is waited for
  // all the same, since the log must say what came of it.
  const body: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: async function* () {
      for (const { bytes } of files) yield* chunksOf(bytes)
      await over.promise
    },
  }
  try {
    const { body: answer } = await client.stream(carryOutCommand, request, { body, idleMs: silenceMs })
    try {
      return await receiveAnswer(answer, act)
    } finally {
      await answer.return(undefined)
    }
  } finally {
    over.resolve()
  }
}

/**
 * What a service in a process of its own answers to the gateway, which has checked the operator and the role.
 * @param open the service, when it can act. @throws {Problem} `centre.not-leader`: the gateway asks the other process
 */
export function commandHandlers<Open extends OpenService>(
  module: ServiceModule<Open>,
  open: (command: ServiceCommand<Open>) => Open,
  { clock, log, confirmed = async () => undefined }: { clock: Clock; log: Log; confirmed?: () => Promise<void> },
): CallHandler[] {
  return [
    answers(carryOutCommand, [gatewayName], async (request, { body, signal }) => {
      const command = await commandOf(module as ServiceModule, request.command)
      const ready = open(command)
      const source = messages(body)
      const files = await readFiles(request.files, source)
      const gone = new AbortController()
      const leave = () => gone.abort(new Problem('link.offline', 'the caller went away'))
      void source.next().then(leave, leave)
      const frames = new FrameQueue()
      const sender = new AnswerSender((frame) => frames.push(frame))
      const act = serviceAct(request, files, request, {
        signal: gone.signal,
        tell: (line) => sender.tell(line),
        give: async (file) => {
          await confirmed()
          await sender.give(file)
        },
      })
      const tick = () => {
        sender.tick()
        ticking = clock.timer(tickMs, tick)
      }
      let ticking = clock.timer(tickMs, tick)
      signal.addEventListener('abort', () => frames.end(), { once: true })
      const work = async () => {
        try {
          const answer = await carriedOut(command, ready, act, request.values, request.positionals)
          if (!command.everywhere) await confirmed()
          await sender.answer(answer)
        } catch (error) {
          if (!isProblem(error))
            log.error('operator command failed', { command: request.command, error: String(error) })
          await sender.refuse(error)
        } finally {
          ticking.cancel()
          frames.end()
        }
      }
      void work().catch(() => undefined)
      return { reply: {}, body: frames }
    }),
  ]
}

/** Frames from whoever writes to whoever reads; writing waits until it is read. */
class FrameQueue implements AsyncIterable<Uint8Array> {
  readonly #frames: { bytes: Uint8Array; taken: () => void; lost: (reason: unknown) => void }[] = []
  #isOver = false
  #changed = Promise.withResolvers<void>()

  /** @throws {Problem} `link.offline` when nobody reads any more */
  push(bytes: Uint8Array): Promise<void> {
    if (this.#isOver) return Promise.reject(new Problem('link.offline', 'nobody reads any more'))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#frames.push({ bytes, taken: resolve, lost: reject })
    this.#changed.resolve()
    return promise
  }

  /** Nothing more is written; what was written before can still be read. */
  end(): void {
    this.#isOver = true
    this.#changed.resolve()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const next = this.#frames.shift()
        if (next) {
          yield next.bytes
          next.taken()
        } else if (this.#isOver) return
        else {
          this.#changed = Promise.withResolvers()
          await this.#changed.promise
        }
      }
    } finally {
      this.#isOver = true
      for (const { lost } of this.#frames.splice(0)) lost(new Problem('link.offline', 'nobody reads any more'))
    }
  }
}
