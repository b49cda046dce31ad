/** The operator API of a running site: its database, and the socket in its folder. */
import type { KeyObject } from 'node:crypto'
import type { Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../adapters/database.ts'
import { type Caller, listenForOperators } from '../adapters/operator-socket.ts'
import type { SiteFolder } from '../site-folder.ts'
import { migrate } from '../storage/migrate.ts'
import { Accounts } from './accounts.ts'
import { OperatorDesk } from './desk.ts'
import { OperatorLog } from './log.ts'
import type { PasswordCost } from './passwords.ts'
import type { OperatorCommand, SiteAccess } from './roles.ts'
import { operatorMigrations } from './tables.ts'
import { type Down, frame, messages, openCall } from './wire.ts'

export interface OperatorApiSettings {
  folder: SiteFolder
  /** The gateway's, which signs the head of the log. */
  key: KeyObject
  site: SiteAccess
  log: Log
  find?: (command: string) => Promise<OperatorCommand | undefined>
  passwordCost?: PasswordCost
}

export interface OperatorApi {
  accounts: Accounts
  log: OperatorLog
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
    const desk = new OperatorDesk({ database, accounts, log, site, find, faults })
    const underWay = new Set<Promise<void>>()
    const socket = await listenForOperators(folder.path, (caller) => {
      const serving = serve(desk, caller)
      underWay.add(serving)
      return serving.finally(() => underWay.delete(serving))
    })
    return {
      accounts,
      log,
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

/** One call, one answer. */
async function serve(desk: OperatorDesk, socket: Caller): Promise<void> {
  const send = (down: Down) => {
    if (!socket.destroyed) socket.write(frame(down))
  }
  try {
    const { value } = await messages(socket).next()
    if (!value) return
    const call = openCall(value)
    socket.setTimeout(0)
    const { json, text, exit } = await desk.answer(call)
    send({ json: JSON.stringify(json), text, ...(exit !== undefined && { exit }) })
  } catch (error) {
    send({ problem: (isProblem(error) ? error : new Problem('internal')).toWire() })
  }
}
