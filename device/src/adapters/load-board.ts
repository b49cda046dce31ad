/**
 * Loads the module that makes a board's parts. The runtime depends on no board: what a device has is named in its
 * configuration and imported when it starts, so a camera board installs its own drivers and no others.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { Problem } from '@azukari/protocol/problem'
import type { Board, BoardModule, BoardPorts } from '../drivers.ts'
import { consoleLog } from './console-log.ts'

/** For all that is attached: each look has a shorter limit of its own. */
const lookMs = 300_000

/**
 * @param name a file (`./board.js`, `/etc/azukari/board.js`), a package's module (`@azukari/boards/pc-kiosk`), or a plain
 * name (`pc-kiosk`), which is looked for in `@azukari/boards`; or a board written down as data (`./board.json`)
 * @throws {Problem} `config.invalid` when there is no such module or it makes no board, `driver.*`
 */
export async function loadBoard(name: string, ports: BoardPorts): Promise<Board> {
  if (name.endsWith('.json'))
    return loadBoard('@azukari/boards/written', {
      ...ports,
      definition: definitionIn(name),
      from: dirname(resolve(name)),
    })
  const module = await importBoard(name)
  if (typeof module.board !== 'function')
    throw new Problem('config.invalid', `${name} exports no function \`board\`, so it is no board module`)
  return module.board(ports)
}

/** What a board's name or file says, for `findAttached`. @throws {Problem} `config.invalid` */
export function boardWords(name: string): unknown {
  return name.endsWith('.json') ? definitionIn(name) : name.replace(/^@azukari\/boards\//, '')
}

/** What `@azukari/boards` finds attached to this machine; nothing where it is not installed. */
export async function findAttached(options: {
  board: unknown
  identify: boolean
}): Promise<{ what: string; state: 'ok' | 'absent' | 'problem'; fact: string; todo?: string }[]> {
  const module = await importBoard('@azukari/boards/attached').catch(() => undefined)
  const find = (module as { attached?: (options: object) => ReturnType<typeof findAttached> } | undefined)?.attached
  if (!find) return [{ what: 'parts', state: 'absent', fact: 'not looked: @azukari/boards is not installed' }]
  return find({
    ...options,
    clock: systemClock,
    files: systemFiles(),
    random: systemRandom,
    log: consoleLog('doctor', 'silent'),
    signal: AbortSignal.timeout(lookMs),
  })
}

function definitionIn(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new Problem('config.invalid', `${file}: ${why}`, { cause })
  }
}

async function importBoard(name: string): Promise<Partial<BoardModule>> {
  try {
    return await import(resolveBoard(name))
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    const missing = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED'].includes(code)
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new Problem('config.invalid', missing ? `there is no board module ${name}` : `${name}: ${why}`, { cause })
  }
}

function resolveBoard(name: string): string {
  if (name.startsWith('.') || isAbsolute(name)) return pathToFileURL(resolve(name)).href
  const specifier = name.includes('/') ? name : `@azukari/boards/${name}`
  // First as the person's folder sees it, then as this package does: either may be where the drivers were installed.
  try {
    return pathToFileURL(createRequire(resolve('board.js')).resolve(specifier)).href
  } catch {
    return specifier
  }
}
