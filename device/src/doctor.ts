/** `azukari-device status` and `doctor`: what a device's folder says, and what a look at its parts and line says. */
import { resolve } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { describe, InternalError, isProblem, Problem } from '@azukari/protocol/problem'
import { consoleLog } from './adapters/console-log.ts'
import { openDeviceDatabase } from './adapters/database.ts'
import { boardWords, findAttached, loadBoard } from './adapters/load-board.ts'
import { reach } from './adapters/reach.ts'
import { entryOf } from './apps/dialogue.ts'
import { type Board, closeBoard, type Entry, type Part, type PowerState } from './drivers.ts'
import { loadIdentity } from './identity.ts'
import { type RunningNote, runningNote } from './main.ts'
import {
  type Tried,
  type TryPorts,
  tryCamera,
  tryDisplay,
  tryMemory,
  tryPanel,
  tryPrinter,
  tryReader,
} from './try-parts.ts'

const files = systemFiles()
/** Less than this and photos will soon not fit. */
const freeAtLeastBytes = 200 * 1024 ** 2
/** No device was made before this: a clock behind it was never set. */
const clockAtLeastMs = Date.UTC(2025, 0, 1)
const partMs = 3_000

export interface DeviceStatus {
  device?: string
  site?: string
  region?: string
  running?: RunningNote
  outbox: { rows: number; bytes: number }
  /** Saves by their state. */
  saves: Record<string, number>
  epoch: number
}

/** What a device's folder says; changes nothing in it. @throws {Problem} `storage.*` */
export async function statusOf(folder: string): Promise<DeviceStatus> {
  const status: DeviceStatus = { outbox: { rows: 0, bytes: 0 }, saves: {}, epoch: 0 }
  const running = runningNote(folder)
  if (running) status.running = running
  if (await files.stat(`${folder}/identity.cose`)) {
    const { device, trust } = await loadIdentity(files, `${folder}/identity.cose`, systemRandom)
    status.device = device
    if (trust) Object.assign(status, { site: trust.site, region: trust.region })
  }
  if (!(await files.stat(`${folder}/device.db`))) return status
  const database = await openDeviceDatabase(`${folder}/device.db`)
  try {
    const tables = new Set(
      (await database.all<{ name: string }>(`SELECT name FROM sqlite_schema WHERE type = 'table'`)).map((t) => t.name),
    )
    if (tables.has('acts')) {
      const row = await database.get<{ rows: number; bytes: number | null }>(
        'SELECT count(*) AS rows, sum(length(body)) AS bytes FROM acts',
      )
      status.outbox = { rows: row?.rows ?? 0, bytes: row?.bytes ?? 0 }
    }
    if (tables.has('saves'))
      for (const { state, n } of await database.all<{ state: string; n: number }>(
        'SELECT state, count(*) AS n FROM saves GROUP BY state',
      ))
        status.saves[state] = n
    if (tables.has('counters')) {
      const row = await database.get<{ value: number }>(`SELECT value FROM counters WHERE name = 'epoch'`)
      status.epoch = row?.value ?? 0
    }
  } finally {
    await database.close()
  }
  return status
}

export interface Finding {
  what: string
  state: 'ok' | 'absent' | 'problem'
  fact: string
  /** What the person can do. */
  todo?: string
  /** The line that a board's file needs for a part that is attached and not in it. */
  add?: { part: string; definition: object }
}

export interface Examined {
  folder: string
  board?: string | undefined
  broker?: string | undefined
  parts?: string | undefined
  /** Look for what is attached, whether the board names it or not; `identify` asks serial lines what is on them. */
  attached?: 'look' | 'identify' | undefined
  /** Use each part once, and tell the person what to do meanwhile; needs that no runtime has the parts. */
  trying?: Pick<TryPorts, 'say'> | undefined
}

/** Looks at everything that can be looked at without disturbing a running device. */
export async function examine({ folder, board, broker, parts, attached, trying }: Examined): Promise<Finding[]> {
  const findings: Finding[] = []
  const look = async (what: string, work: () => Promise<Omit<Finding, 'what'>>) => {
    findings.push({ what, ...(await work().catch(findingOf)) })
  }
  await look('clock', async () => {
    const now = systemClock.now()
    return now >= clockAtLeastMs
      ? { state: 'ok', fact: new Date(now).toISOString() }
      : {
          state: 'problem',
          fact: new Date(now).toISOString(),
          todo: 'Set the clock, or let it be set over the network.',
        }
  })
  await look('folder', async () => {
    if (!(await files.stat(folder)))
      return { state: 'absent', fact: `${folder} is not there`, todo: 'It is made at the first run.' }
    const free = await files.freeBytes(folder)
    const fact = `${folder}, ${Math.floor(free / 1024 ** 2)} MiB free`
    return free >= freeAtLeastBytes
      ? { state: 'ok', fact }
      : { state: 'problem', fact, todo: 'Make room: photos that wait for the network need it.' }
  })
  await look('identity', async () => {
    const { device, site, region } = await statusOf(folder)
    if (!device) return { state: 'absent', fact: 'no key yet', todo: 'It is made at the first run.' }
    if (site) return { state: 'ok', fact: `${device}, enrolled at ${site} (${region})` }
    return {
      state: 'problem',
      fact: `${device}, not enrolled`,
      todo: 'Make a claim at the gateway (azukari-gateway claim new) and run with --claim.',
    }
  })
  await look('outbox', async () => {
    const { outbox, saves } = await statusOf(folder)
    const waiting = (saves['here'] ?? 0) + (saves['sent'] ?? 0) + (saves['buffered'] ?? 0)
    const fact = `${outbox.rows} acts and ${waiting} saves wait`
    const refused = saves['refused'] ?? 0
    if (refused > 0)
      return {
        state: 'problem',
        fact: `${fact}, ${refused} saves were refused`,
        todo: 'Their data is still here: ask the operator.',
      }
    return { state: 'ok', fact }
  })
  const running = runningNote(folder)
  await look('runtime', async () => {
    if (!running) return { state: 'absent', fact: 'not running', todo: 'Start it with azukari-device run.' }
    const fact = `process ${running.pid}, line ${running.link} since ${new Date(running.sinceMs).toISOString()}`
    if (!running.problem || running.link === 'up') return { state: 'ok', fact }
    return { state: 'problem', fact: `${fact}: ${running.problem}`, todo: describe(running.problem, 'en').todo }
  })
  if (broker) await look('line', async () => ({ state: 'ok', fact: `${broker} answers in ${await reach(broker)} ms` }))
  else findings.push({ what: 'line', state: 'absent', fact: 'not looked at', todo: 'Give --broker to try it.' })
  if (board) {
    // Parts are taken by one process at a time: while the device runs they are its own.
    if (running && trying) findings.push({ what: 'board', ...inUse })
    else if (running)
      findings.push({ what: 'board', state: 'ok', fact: 'in use by the running device; its parts were not tried' })
    else
      await look('board', async () => {
        // Nobody starts the runtime in the middle of a try.
        using held = trying && heldOrNot(folder)
        if (trying && !held) return inUse
        return await examineBoard(board, resolve(parts ?? `${folder}/parts`), findings, trying)
      })
  } else
    findings.push({ what: 'board', state: 'absent', fact: 'not looked at', todo: 'Give --board to try its parts.' })
  if (attached)
    await findAttached({ board: board && boardWords(board), identify: attached === 'identify' && !running })
      .then((found) => findings.push(...found.map((one) => ({ ...one, what: `attached: ${one.what}` }))))
      .catch((error) => findings.push({ what: 'attached', ...findingOf(error) }))
  return findings
}

const inUse: Omit<Finding, 'what'> = {
  state: 'problem',
  fact: 'in use by the running device; its parts were not tried',
  todo: 'Stop the device first (systemctl stop azukari-device), then try; nothing that it holds is lost.',
}

function heldOrNot(folder: string): Disposable | undefined {
  try {
    return holdFolder(`${folder}/device.lock`)
  } catch (error) {
    if (isProblem(error, 'folder.in-use')) return undefined
    throw error
  }
}

async function examineBoard(
  name: string,
  directory: string,
  findings: Finding[],
  trying: Examined['trying'],
): Promise<Omit<Finding, 'what'>> {
  // A part that never answers, and limits, keep no process alive by themselves.
  const awake = setInterval(() => undefined, 60_000)
  using _awake = { [Symbol.dispose]: () => clearInterval(awake) }
  const board = await loadBoard(name, {
    clock: systemClock,
    random: systemRandom,
    files,
    log: consoleLog('doctor', 'silent'),
    directory,
  })
  try {
    for (const kind of ['camera', 'printer', 'reader', 'panel', 'display', 'memory', 'power'] as const)
      findings.push({ what: kind, ...(await examinePart(board, kind, trying).catch(findingOf)) })
    for (const [input, part] of Object.entries(board.inputs ?? {})) {
      const todo = 'See that it is plugged in and switched on.'
      const found = await unready(part, todo).catch(findingOf)
      findings.push({ what: `input ${input}`, ...(found ?? { state: 'ok', fact: part.model }) })
    }
    const panels = [board.display?.touch, board.panel].filter((panel) => panel !== undefined)
    findings.push({ what: 'PIN entry', ...pinEntry(entryOf(panels, board.display)) })
  } finally {
    await closeBoard(board).catch(() => undefined)
  }
  const fact = board.model
  if (board.reader) return { state: 'ok', fact }
  return {
    state: 'problem',
    fact: `${fact} has no card reader`,
    todo: 'Nobody can be recognised: attach a card reader.',
  }
}

function pinEntry(entry: ReadonlySet<Entry>): Omit<Finding, 'what'> {
  if (entry.has('pin')) return { state: 'ok', fact: `at this board: ${[...entry].join(', ')}` }
  return findingOf(new Problem('panel.no-pin-entry'))
}

/** What the person can do about a part that does not answer. */
const todoOf: Readonly<Record<Exclude<keyof Board, 'model' | 'inputs'>, string>> = {
  camera: 'See that the camera is plugged in and switched on.',
  printer: 'See that the printer is plugged in, switched on and in this network.',
  reader: 'Plug the card reader in; for PC/SC see that pcscd runs (systemctl status pcscd.socket).',
  panel: 'Plug the panel in, and see that its path in the board’s file is right (ls /dev/serial/by-id).',
  display: 'Start the browser that shows the display’s page.',
  memory: 'Put a memory card in.',
  power: 'See that /sys is mounted and can be read.',
}

type PartName = Exclude<keyof Board, 'model' | 'inputs'>

async function examinePart(board: Board, kind: PartName, trying: Examined['trying']): Promise<Omit<Finding, 'what'>> {
  const part = board[kind]
  if (!part) return { state: 'absent', fact: 'the board has none' }
  if (kind === 'display' && board.display?.address)
    return { state: 'ok', fact: `${part.model}: the running board says where (azukari-device page)` }
  const found = (await unready(part, todoOf[kind])) ?? (await looked(board, kind))
  if (found.state === 'problem' || !trying) return found
  try {
    const { fact, isTried } = await tryPart(board, kind, { clock: systemClock, say: trying.say })
    return { state: isTried ? 'ok' : 'absent', fact: `${part.model}: ${fact}` }
  } catch (error) {
    const { fact, todo } = findingOf(error)
    return { state: 'problem', fact: `${part.model}: ${fact}`, todo: todo ?? todoOf[kind] }
  }
}

/** What keeps a part from being used; a part that was just made may still be greeting. */
async function unready(part: Part, todo: string): Promise<Omit<Finding, 'what'> | undefined> {
  for (const endMs = systemClock.monotonicMs() + partMs; part.isReady === false; await systemClock.sleep(50))
    if (systemClock.monotonicMs() > endMs) return { state: 'problem', fact: `${part.model}: does not answer`, todo }
  const advice = await part.advice?.()
  return advice ? { state: 'problem', fact: `${part.model}: not ready`, todo: advice } : undefined
}

/** What a part says of itself without doing anything. */
async function looked(board: Board, kind: PartName): Promise<Omit<Finding, 'what'>> {
  const { camera, printer, reader, memory, power } = board
  const fact = board[kind]!.model
  if (kind === 'camera' && camera && camera.isReady === undefined && !camera.waitsFor)
    return { state: 'absent', fact: `${fact}: not tried`, todo: '--try takes a picture, and throws it away.' }
  if (kind === 'printer' && printer) {
    const { ready, reason } = await printer.attributes(AbortSignal.timeout(partMs))
    if (!ready)
      return {
        state: 'problem',
        fact: `${fact}: ${reason ?? 'not ready'}`,
        todo: 'See to the printer: paper, ink, cover.',
      }
  }
  if (kind === 'memory' && memory) {
    const free = await memory.freeBytes()
    const room = `${fact}, ${Math.floor(free / 1024 ** 2)} MiB free`
    return free >= freeAtLeastBytes
      ? { state: 'ok', fact: room }
      : { state: 'problem', fact: room, todo: 'Put in an emptier memory.' }
  }
  if (kind === 'power' && power) return { state: 'ok', fact: `${fact}, ${powerText(await power.state())}` }
  if (kind === 'reader' && reader) return { state: 'ok', fact: `${fact}, ${reader.cards().length} cards in it` }
  return { state: 'ok', fact }
}

async function tryPart(board: Board, kind: PartName, ports: TryPorts): Promise<Tried> {
  const { camera, printer, reader, panel, display, memory, power } = board
  if (kind === 'camera' && camera) return tryCamera(camera, ports)
  if (kind === 'printer' && printer) return tryPrinter(printer, ports)
  if (kind === 'reader' && reader) return tryReader(reader, ports)
  if (kind === 'panel' && panel) return tryPanel(panel, ports)
  if (kind === 'display' && display) return tryDisplay(display, ports)
  if (kind === 'memory' && memory) return tryMemory(memory, ports)
  // Looking is all that can be done with it.
  if (kind === 'power' && power) return { fact: powerText(await power.state()), isTried: true }
  throw new InternalError(`no ${kind}`)
}

function powerText({ isOnMains, batteryPercent, temperatureC }: PowerState): string {
  const fed = isOnMains === undefined ? 'fed in a way it cannot tell' : isOnMains ? 'on mains' : 'on battery'
  const battery = batteryPercent === undefined ? '' : `, battery ${batteryPercent} %`
  return `${fed}${battery}${temperatureC === undefined ? '' : `, ${temperatureC} °C`}`
}

function findingOf(error: unknown): Omit<Finding, 'what'> {
  if (!isProblem(error)) return { state: 'problem', fact: String(error), todo: describe('internal', 'en').todo }
  const { title, todo } = describe(error.code, 'en')
  return { state: 'problem', fact: error.detail ? `${title}: ${error.detail}` : title, todo }
}
