/**
 * What is attached to this machine, whether a board's file names it or not (S17): serial lines, PC/SC readers, scanners,
 * printers of the network, cameras, mounted media. Each with what is wrong with it and the line that a board's file needs.
 * `azukari-device doctor` shows it. Looking sends nothing to a part; only `identify` asks serial lines what is on them.
 */
import type { PartKind } from '@azukari/device/drivers'
import type { Clock, Files, Log, Random } from '@azukari/protocol/ports'
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import { CommandError, runCommand } from './adapters/commands.ts'
import { nodeOf, whyNotOpen } from './adapters/device-nodes.ts'
import { mounts } from './adapters/mounts.ts'
import { type BoardDefinition, boardDefinitions, type PartDefinition, parseDefinition } from './definitions.ts'
import { identifyLine, panelNames } from './identify-line.ts'

export interface AttachedPorts {
  clock: Clock
  files: Files
  log: Log
  random: Random
}

export interface AttachedOptions extends AttachedPorts {
  /** A board's name, or what its file says; undefined when none is known. */
  board?: unknown
  /** Ask each serial line that no part of the board has what is on it. */
  identify?: boolean | undefined
  signal: AbortSignal
}

/** As `azukari-device doctor` tells it. */
export interface AttachedFinding {
  what: string
  state: 'ok' | 'absent' | 'problem'
  fact: string
  todo?: string
  /** The line for the board's file, when the part is not in it. */
  add?: { part: string; definition: PartDefinition }
}

interface Found {
  contract: PartKind
  fact: string
  definition?: PartDefinition
  /** Whether a part of the board is this one. */
  isNamed: boolean
  /** What is wrong with it, and what to do. */
  problem?: { fact: string; todo: string }
  todo?: string
}

const lookMs = 15_000
const readersMs = 3_000
const outputMaxBytes = 65_536
/** Where people and systems mount what is plugged in. */
const mediaPlaces = /^\/(media|mnt|run\/media\/[^/]+)(\/[^/]+)?$/
const memoryNode = '/dev/azukari-memory'
const mebibyte = 1024 ** 2

/** Everything that is attached; never throws for a look that fails, which is a finding. */
export async function attached(options: AttachedOptions): Promise<AttachedFinding[]> {
  const named = namedParts(options.board)
  const looks: [string, () => Promise<Found[]>][] = [
    ['serial lines', () => serialLines(options, named)],
    ['PC/SC readers', () => readers(options, named)],
    ['scanners', () => scanners(options, named)],
    ['network printers', () => printers(options, named)],
    ['cameras', () => cameras(options, named)],
    ['tethered cameras', () => tethered(options, named)],
    ['media', () => media(options, named)],
  ]
  const all = await Promise.all(
    looks.map(async ([what, look]): Promise<AttachedFinding[]> => {
      try {
        const found = await look()
        if (found.length === 0) return [{ what, state: 'absent', fact: 'none is attached' }]
        return found.map((one) => ({ what, ...told(one) }))
      } catch (error) {
        options.signal.throwIfAborted()
        return [{ what, ...whyNotLooked(error) }]
      }
    }),
  )
  return all.flat()
}

function told({ contract, fact, definition, isNamed, problem, todo }: Found): Omit<AttachedFinding, 'what'> {
  const add = !isNamed && definition ? { part: contract === 'input' ? 'inputs' : contract, definition } : undefined
  const line = add && `Add to the board’s file: ${lineOf(contract, add.definition)}`
  const advice = [problem?.todo, todo, line].filter(Boolean).join(' ')
  return {
    // What the board does not use is no fault of the board.
    state: problem && isNamed ? 'problem' : 'ok',
    fact: `${fact}${problem ? `: ${problem.fact}` : ''}${isNamed ? '' : ' (not in the board’s file)'}`,
    ...(advice ? { todo: advice } : {}),
    ...(add ? { add } : {}),
  }
}

/** As it stands in a board's file. */
function lineOf(contract: PartKind, definition: PartDefinition): string {
  const options = Object.entries(definition).map(([name, value]) => `"${name}": ${JSON.stringify(value)}`)
  const line = `{ ${options.join(', ')} }`
  return contract === 'input' ? `"inputs": { "scanner": ${line} }` : `"${contract}": ${line}`
}

/** A library or program that is not there means that nobody looked, which is no fault of the board. */
function whyNotLooked(error: unknown): Omit<AttachedFinding, 'what'> {
  const { code, message } = error as { code?: string; message?: string }
  if (code === 'ERR_MODULE_NOT_FOUND') {
    const name = /package '([^']+)'/.exec(message ?? '')?.[1] ?? 'its library'
    return { state: 'absent', fact: `not looked: ${name} is not installed`, todo: `npm install ${name}` }
  }
  const [, program] = /^spawn (\S+) ENOENT$/.exec(message ?? '') ?? []
  if (program) return { state: 'absent', fact: `not looked: ${program} is not installed` }
  if (isProblem(error, 'service.unavailable')) return { state: 'absent', fact: `not looked: ${error.detail}` }
  if (error instanceof CommandError) {
    if (error.failure === 'missing') return { state: 'absent', fact: `not looked: ${error.message}` }
    return { state: 'problem', fact: error.message, todo: 'See that what it looks at answers; try again.' }
  }
  return { state: 'problem', fact: message ?? String(error), todo: 'The look itself failed; the rest was looked at.' }
}

function namedParts(board: unknown): { contract: PartKind; definition: PartDefinition }[] {
  let definition: BoardDefinition | undefined
  if (typeof board === 'string')
    definition = Object.hasOwn(boardDefinitions, board) ? boardDefinitions[board] : undefined
  else if (board !== undefined) definition = parseDefinition(board)
  return [
    ...Object.entries(definition?.parts ?? {}).map(([contract, part]) => ({
      contract: contract as PartKind,
      definition: part as PartDefinition,
    })),
    ...Object.values(definition?.inputs ?? {}).map((part) => ({ contract: 'input' as const, definition: part })),
  ]
}
type Named = ReturnType<typeof namedParts>

const usesPath = (named: Named, path: string) =>
  named.some(({ definition }) => {
    const own = definition['path']
    return typeof own === 'string' && nodeOf(own) === nodeOf(path)
  })
const usesDriver = (named: Named, driver: string) => named.some(({ definition }) => definition.driver === driver)

/** What keeps a node from being used. */
function nodeProblem(path: string): Found['problem'] {
  const why = whyNotOpen(path)
  if (!why) return undefined
  return why === 'EACCES' || why === 'EPERM'
    ? {
        fact: 'this account may not open it',
        todo: 'Install the udev rules (azukari-device service) or join the group that owns it.',
      }
    : { fact: why, todo: 'Unplug it and plug it in again.' }
}

async function serialLines(options: AttachedOptions, named: Named): Promise<Found[]> {
  const { SerialPort } = await import('serialport')
  const found: Found[] = []
  // Ports of the mainboard are listed whether something is on them or not: those of USB say what they are.
  for (const { path, vendorId, productId, manufacturer, pnpId } of await SerialPort.list()) {
    const stable = pnpId ? `/dev/serial/by-id/${pnpId}` : path
    const isNamed = usesPath(named, path) || usesPath(named, stable)
    if (!vendorId && !isNamed) continue
    const panel = panelNames.get(`${vendorId}:${productId}`.toLowerCase())
    const fact = `${path} (${[panel ?? manufacturer, `${vendorId}:${productId}`].filter(Boolean).join(', ')})`
    const problem = nodeProblem(path)
    const asked = options.identify && !problem && !isNamed ? await identifyLine(path, stable, options) : undefined
    if (asked) {
      found.push({ fact: `${fact}: ${asked.fact}`, isNamed, contract: asked.contract, definition: asked.definition })
      continue
    }
    const more: Partial<Found> =
      panel === undefined
        ? {
            todo: options.identify
              ? 'Neither panel, NFC reader nor receipt printer answers on it.'
              : 'doctor --identify asks what is on it: panel (firmata), NFC reader (pn532) or receipt printer (escpos).',
          }
        : { definition: { driver: 'firmata', path: stable } }
    found.push({ contract: 'panel', fact, isNamed, ...(problem ? { problem } : {}), ...(isNamed ? {} : more) })
  }
  return found
}

async function readers(options: AttachedOptions, named: Named): Promise<Found[]> {
  const { PcscReader } = await import('./pcsc-reader.ts')
  let said = ''
  const log = {
    ...options.log,
    info: (_: string, fields?: Record<string, unknown>) => (said = String(fields?.['error'] ?? said)),
  }
  const reader = new PcscReader({ clock: options.clock, log: log as unknown as Log })
  try {
    const endMs = options.clock.monotonicMs() + readersMs
    // Those that are there are told one after the other.
    for (let seen = -1; seen !== reader.readers.length || seen < 1; ) {
      if (options.clock.monotonicMs() > endMs) break
      seen = reader.readers.length
      await options.clock.sleep(300, options.signal)
    }
    if (reader.readers.length === 0 && said)
      return [
        {
          contract: 'reader',
          fact: 'PC/SC',
          isNamed: usesDriver(named, 'pcsc'),
          problem: {
            fact: `the daemon does not answer (${said})`,
            todo: 'apt-get install pcscd; systemctl start pcscd.socket',
          },
        },
      ]
    return reader.readers.map((name) => ({
      contract: 'reader' as const,
      fact: name,
      definition: { driver: 'pcsc', only: `^${escaped(name)}$` },
      isNamed: named.some(
        ({ definition: { driver, only } }) =>
          driver === 'pcsc' && (typeof only !== 'string' || new RegExp(only).test(name)),
      ),
    }))
  } finally {
    await reader.close()
  }
}

async function scanners(options: AttachedOptions, named: Named): Promise<Found[]> {
  const { output } = await run('scanimage', ['-f', '%d|%v %m%n'], options)
  return lines(output).flatMap((line) => {
    const [device, model] = line.split('|')
    if (!device || !model) return []
    return {
      contract: 'input' as const,
      fact: `${model} (${device})`,
      definition: { driver: 'sane', folder: 'scanner', device },
      isNamed: named.some(
        ({ definition }) => definition.driver === 'sane' && (definition['device'] ?? device) === device,
      ),
    }
  })
}

async function printers(options: AttachedOptions, named: Named): Promise<Found[]> {
  const { output, code, said } = await run('ippfind', ['-T', '3'], options)
  // It ends with 1 when there is none, with more when it could not look.
  if (code !== 0 && code !== 1) throw new Problem('service.unavailable', `${said.trim()}: apt-get install avahi-daemon`)
  return [...new Set(lines(output))].flatMap((url) => {
    if (!/^ipps?:\/\//.test(url)) return []
    return {
      contract: 'printer' as const,
      fact: url,
      definition: { driver: 'ipp', url },
      isNamed: named.some(({ definition }) => definition['url'] === url),
    }
  })
}

async function cameras({ files }: AttachedOptions, named: Named): Promise<Found[]> {
  const place = '/sys/class/video4linux'
  const found: Found[] = []
  for (const name of await files.list(place)) {
    const read = async (file: string) => {
      const handle = await files.open(`${place}/${name}/${file}`, 'read')
      try {
        return new TextDecoder().decode(await handle.read(0, 256)).trim()
      } finally {
        await handle.close()
      }
    }
    // A camera's further nodes give no pictures.
    if ((await read('index').catch(() => '0')) !== '0') continue
    const path = `/dev/${name}`
    const problem = nodeProblem(path)
    found.push({
      contract: 'camera',
      fact: `${await read('name').catch(() => 'camera')} (${path})`,
      definition: { driver: 'v4l2', path },
      isNamed: usesPath(named, path),
      ...(problem ? { problem } : {}),
    })
  }
  return found
}

async function tethered(options: AttachedOptions, named: Named): Promise<Found[]> {
  const { output } = await run('gphoto2', ['--auto-detect'], options)
  // A heading, a line, then: model, blanks, port.
  return lines(output).flatMap((line) => {
    const [, model, port] = /^(.*\S)\s+((?:usb|ptpip|serial|disk):\S*)$/.exec(line) ?? []
    if (!model || !port) return []
    return {
      contract: 'camera' as const,
      fact: `${model} (${port})`,
      // USB ports change at every plugging in: one camera needs none named.
      definition: { driver: 'gphoto2', ...(port.startsWith('usb:') ? {} : { port }) },
      isNamed: usesDriver(named, 'gphoto2'),
    }
  })
}

async function media({ files }: AttachedOptions, named: Named): Promise<Found[]> {
  const found: Found[] = []
  const mounted = mounts()
  for (const { at, type, source, isReadOnly } of mounted) {
    if (!mediaPlaces.test(at) || type === 'autofs' || mounted.findLast((one) => one.at === at)?.source !== source)
      continue
    const free = await files.freeBytes(at).catch(() => 0)
    found.push({
      contract: 'memory',
      fact: `${source} on ${at} (${type}, ${Math.floor(free / mebibyte)} MiB free)`,
      definition: { driver: 'directory', folder: at, mounted: true },
      isNamed: named.some(({ contract, definition }) => contract === 'memory' && definition['folder'] === at),
      ...(isReadOnly
        ? { problem: { fact: 'write-protected', todo: describe('memory.read-only', 'en').todo } }
        : free < mebibyte
          ? { problem: { fact: 'full', todo: describe('memory.full', 'en').todo } }
          : {}),
    })
  }
  if ((await files.stat(memoryNode).catch(() => undefined)) && found.length === 0) {
    const { title, todo } = describe('memory.unreadable', 'en')
    found.push({ contract: 'memory', fact: memoryNode, isNamed: true, problem: { fact: title, todo } })
  }
  return found
}

function run(name: string, args: readonly string[], { clock, signal }: AttachedOptions) {
  return runCommand(name, args, { clock, signal, limitMs: lookMs, outputMaxBytes })
}

function lines(output: Uint8Array): string[] {
  return new TextDecoder()
    .decode(output)
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
