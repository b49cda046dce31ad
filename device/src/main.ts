/** One board on real ports: what `azukari-device run` starts, and what it leaves for `status` and `doctor` to read. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import { launchedVariable } from '@azukari/protocol/adapters/launched'
import { systemRandom } from '@azukari/protocol/adapters/random'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openDeviceDatabase } from './adapters/database.ts'
import { loadBoard } from './adapters/load-board.ts'
import { listenLocally } from './adapters/local-socket.ts'
import { mqttTransport } from './adapters/mqtt.ts'
import type { Board } from './drivers.ts'
import type { LinkState } from './link.ts'
import { answerLocally } from './local-requests.ts'
import { type DeviceRole, Runtime } from './runtime.ts'
import { slotsOf } from './upgrade/process-main.ts'

export const systemPorts = { clock: systemClock, random: systemRandom, files: systemFiles() }

export interface DeviceSettings {
  /** Name of the board module, see `loadBoard`. */
  board: string
  /** Taken from the board's parts when absent. */
  roles?: readonly DeviceRole[] | undefined
  site: string
  /** `mqtt://…` or `mqtts://…`. */
  broker: string
  /** PEM of the site's CA, for `mqtts`. */
  ca?: string | undefined
  claim?: string | undefined
  folder: string
  /** Folder of parts that work on folders; `parts` below `folder` when absent. */
  parts?: string | undefined
  language?: 'ja' | 'en' | undefined
  version: string
  log: Log
}

export interface RunningDevice {
  runtime: Runtime
  board: Board
  stop(): Promise<void>
}

/** What a running device says of itself in its folder. */
export interface RunningNote {
  pid: number
  link: LinkState
  sinceMs: number
  problem?: string
}

/** @throws {Problem} `config.invalid`, `part.*`, `storage.*`; `folder.in-use` when another process works in the folder */
export async function runDevice(settings: DeviceSettings): Promise<RunningDevice> {
  const { site, broker, ca, claim, folder, language, version, log } = settings
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  using starting = new DisposableStack()
  starting.use(holdFolder(`${folder}/device.lock`))
  // Whole: people are told to put things there.
  const directory = resolve(settings.parts ?? `${folder}/parts`)
  const board = await loadBoard(settings.board, { ...systemPorts, log, directory })
  const roles = settings.roles ?? rolesOf(board)
  const runtime = new Runtime(
    {
      site,
      roles,
      claim,
      model: board.model,
      version,
      folder,
      ...(language ? { language } : {}),
      ...(process.env[launchedVariable] && { slots: slotsOf(folder) }),
    },
    {
      ...systemPorts,
      database: await openDeviceDatabase(`${folder}/device.db`),
      transport: mqttTransport({ url: broker, ca }),
      log,
      marks: async () => (await import('./marks/adapters/mark-thread.ts')).markThread({ ...systemPorts, log }),
      compute: async () => (await import('./compute/adapters/compute-child.ts')).startUnit,
    },
    board,
  )
  await runtime.start()
  const local = await listenLocally(folder, (request, signal) => answerLocally(runtime, request, signal))
  const note = (link: LinkState, problem?: string) =>
    leaveNote(folder, { pid: process.pid, link, sinceMs: systemClock.now(), ...(problem ? { problem } : {}) })
  note(runtime.link.state)
  runtime.link.onState((state, why) => {
    // Only what lasts is written down: a board's memory card should not wear out from news.
    if (state === 'up' || state === 'waiting') note(state, why?.code)
    log.info('link', { state, ...(why ? { code: why.code, detail: why.detail } : {}) })
  })
  const held = starting.move()
  return {
    runtime,
    board,
    stop: async () => {
      await local.close()
      await runtime.stop()
      rmSync(`${folder}/running.json`, { force: true })
      held.dispose()
    },
  }
}

/** What the process that works in this folder says; undefined when there is none. */
export function runningNote(folder: string): RunningNote | undefined {
  try {
    const note: RunningNote = JSON.parse(readFileSync(`${folder}/running.json`, 'utf8'))
    process.kill(note.pid, 0)
    return note.pid === process.pid ? undefined : note
  } catch {
    return undefined
  }
}

/** This package's version. */
export function version(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version
}

/** A certificate for `--ca`. @throws {Problem} `config.invalid` */
export function pemFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Problem('config.invalid', `--ca ${path} cannot be read`, { cause })
  }
}

function leaveNote(folder: string, note: RunningNote): void {
  writeFileSync(`${folder}/running.json.new`, JSON.stringify(note))
  renameSync(`${folder}/running.json.new`, `${folder}/running.json`)
}

/** What a board's parts are for; one that is worked through a page is a terminal, too. */
export function rolesOf(board: Board): DeviceRole[] {
  const roles: DeviceRole[] = []
  if (board.camera) roles.push('camera')
  if (board.printer) roles.push('printer')
  if (board.display?.touch || roles.length === 0) roles.push('terminal')
  return roles
}
