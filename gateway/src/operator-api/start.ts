/** The operator API of a running site: its database, the socket in its folder, and the way in from other machines. */
import type { KeyObject } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../adapters/database.ts'
import { operatorPath, operatorType } from '../adapters/operator-https.ts'
import { listenForOperators } from '../adapters/operator-socket.ts'
import { Budgets } from '../budgets/budgets.ts'
import { logUnlisted, type Unlisted } from '../service/unlisted.ts'
import type { SiteFolder } from '../site-folder.ts'
import { migrate } from '../storage/migrate.ts'
import type { HttpsRoute } from '../transport/https-listener.ts'
import { Accounts } from './accounts.ts'
import type { CallPort, RemoteCaller } from './act.ts'
import { OperatorDesk } from './desk.ts'
import { OperatorLog } from './log.ts'
import type { PasswordCost } from './passwords.ts'
import type { Answer, OperatorCommand, SiteAccess } from './roles.ts'
import { type SignInLimits, SignIns } from './sign-ins.ts'
import { operatorMigrations } from './tables.ts'
import { AnswerSender, type Call, messages, openCall, readFiles } from './wire.ts'

/** How often a caller is told that its command is still being carried out, ms. */
const tickMs = 10_000
/** What files of all calls may hold in memory, and those of one operator's calls. */
const fileBytes = { all: 256 << 20, each: 128 << 20 }

export interface OperatorApiSettings {
  folder: SiteFolder
  /** The gateway's, which signs the head of the log. */
  key: KeyObject
  site: SiteAccess
  log: Log
  /** Where it shows what is in use. */
  budgets?: Budgets
  find?: (command: string) => Promise<OperatorCommand | undefined>
  /** Hears of answers that contracts of commands do not list; without it the log does. */
  unlisted?: Unlisted
  passwordCost?: PasswordCost
  signInLimits?: SignInLimits
}

export interface OperatorApi {
  accounts: Accounts
  log: OperatorLog
  /** For a listener: the same calls from other machines. */
  route: HttpsRoute
  /** One call that came in by another way, such as from the console's page. */
  answer(call: Call, port: CallPort): Promise<Answer>
  stop(): Promise<void>
}

/** @throws {Problem} `database.newer`, `storage.*`, `folder.in-use` */
export async function startOperatorApi(settings: OperatorApiSettings): Promise<OperatorApi> {
  const { folder, key, site, log: faults } = settings
  const { find = findCommand } = settings
  const database = openDatabase(`${folder.path}/operators.db`)
  try {
    await migrate(database, [operatorMigrations], site.ports.clock.now())
    const accounts = new Accounts(database, site.ports, settings.passwordCost)
    const log = new OperatorLog(database, folder, key)
    const budgets = settings.budgets ?? new Budgets()
    const memory = budgets.pool('operator_files', { operator: fileBytes })
    const signIns = new SignIns(budgets, settings.signInLimits)
    const unlisted = settings.unlisted ?? logUnlisted(faults)
    const desk = new OperatorDesk({ database, accounts, log, site, find, faults, unlisted, memory, signIns })
    const underWay = new Set<Promise<unknown>>()
    const until = <T>(work: Promise<T>): Promise<T> => {
      underWay.add(work)
      return work.finally(() => underWay.delete(work))
    }
    const answer = (caller: CallStream, remote?: RemoteCaller) => until(serve(desk, caller, site.ports.clock, remote))
    const socket = await listenForOperators(folder.path, answer)
    return {
      accounts,
      log,
      route: operatorRoute(answer),
      answer: (call, port) => until(desk.answer(call, port)),
      stop: async () => {
        await socket.close()
        await Promise.allSettled(underWay)
        await database.close()
      },
    }
  } catch (error) {
    await database.close()
    throw error
  }
}

async function findCommand(name: string): Promise<OperatorCommand | undefined> {
  const { operatorCommand } = await import('./find.ts')
  return operatorCommand(name)
}

/** A call comes in and an answer goes out: a socket, or a stream of HTTP/2. */
export type CallStream = Duplex & { setTimeout(ms: number, ended?: () => void): unknown }

/** How long a caller from another machine has to send its call, and may be silent while it sends files, ms. */
const remoteCallMs = 10_000

/** Needs HTTP/2, where an answer begins while the call still comes. A page in a browser cannot ask: it would say where it is from. */
function operatorRoute(answer: (caller: CallStream, remote: RemoteCaller) => Promise<void>): HttpsRoute {
  return {
    method: 'POST',
    path: operatorPath,
    handle: async (request, response, { address, authority, prove }) => {
      const { headers, httpVersionMajor } = request
      if (httpVersionMajor !== 2) return void response.writeHead(505).end()
      if (headers['content-type'] !== operatorType || headers.origin !== undefined)
        return void response.writeHead(415).end()
      const { stream } = request
      stream.setTimeout(remoteCallMs, () => stream.destroy())
      response.writeHead(200, { 'content-type': operatorType })
      await answer(stream, { address, authority, prove: (operator) => prove('operator', operator) })
      stream.end()
    },
  }
}

/** One call, one answer. */
async function serve(desk: OperatorDesk, socket: CallStream, clock: Clock, remote?: RemoteCaller): Promise<void> {
  const gone = new AbortController()
  const leave = () => gone.abort(new Problem('link.offline', 'the caller went away'))
  socket.once('close', leave)
  const sender = new AnswerSender((bytes) => written(socket, bytes, gone.signal))
  let ticking: Timer | undefined
  const tick = () => {
    sender.tick()
    ticking = clock.timer(tickMs, tick)
  }
  try {
    const source = messages(socket)
    const { value } = await source.next()
    if (!value) return
    const call = openCall(value)
    // It has said all; a password takes its time.
    if (!call.files?.length) socket.setTimeout(0)
    const answer = await desk.answer(call, {
      remote,
      signal: gone.signal,
      tell: (line) => sender.tell(line),
      give: (file) => sender.give(file),
      files: async () => {
        const announced = call.files ?? []
        if (announced.length > 0) await sender.want()
        const files = await readFiles(announced, source)
        socket.setTimeout(0)
        ticking = clock.timer(tickMs, tick)
        // Nothing more is to come: the end of it is the caller going away.
        void source.next().then(leave, leave)
        return files
      },
    })
    await sender.answer(answer)
  } catch (error) {
    await sender.refuse(error).catch(() => undefined)
  } finally {
    ticking?.cancel()
  }
}

/** Waits while the caller is slow. @throws {Problem} `link.offline` when it has gone */
async function written(socket: CallStream, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  if (socket.write(bytes)) return
  const room = Promise.withResolvers<void>()
  const gone = () => room.reject(signal.reason)
  socket.once('drain', room.resolve)
  signal.addEventListener('abort', gone, { once: true })
  try {
    await room.promise
  } finally {
    socket.off('drain', room.resolve)
    signal.removeEventListener('abort', gone)
  }
}
