/**
 * Drivers of others: a board's file names one by its package or path, and it is loaded as it is, JavaScript or, outside
 * `node_modules`, TypeScript (S17, D2). What such a module does wrong is told with its name, never as a fault of the board.
 */
import { createRequire } from 'node:module'
import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { AnyPart, DriverDefinition, PartKind, PartPorts } from '@azukari/device/drivers'
import { checker } from '@azukari/protocol/contract'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { partDrivers } from './part-drivers.ts'

export interface NamedDriver {
  kind: PartKind
  /** A package, a module of one (`lens/camera`), or a path (`./lens.ts`). */
  driver: string
  options: Readonly<Record<string, unknown>>
}

/** A driver makes its part so soon, or the board goes on to say so. */
const makeLimitMs = 30_000

/** What a part of each contract has, beside `model` and `close`. */
const membersOf: Readonly<Record<PartKind, readonly string[]>> = {
  camera: ['capture'],
  printer: ['attributes', 'print'],
  reader: ['onCard', 'cards', 'connect'],
  panel: ['buttons', 'lamps', 'entry', 'onButton', 'lamp', 'askPin', 'askText', 'choose'],
  display: ['rows', 'show'],
  input: ['files'],
  memory: ['put', 'list', 'open', 'remove', 'freeBytes'],
  power: ['state'],
}

/**
 * Loads the driver and makes the part.
 * @throws {Problem} `driver.missing`, `driver.needs`, `driver.invalid`, `driver.failed`; `config.invalid` for its options
 */
export async function namedDriver(
  { kind, driver, options }: NamedDriver,
  { from, ...ports }: PartPorts & { from?: string },
): Promise<AnyPart> {
  const definition = await load(kind, driver, from ?? '.')
  checkOptions(driver, definition, options)
  const part = await made(driver, definition, options, ports)
  const lacks = ['model', 'close', ...membersOf[kind]].filter((name) => !hasMember(part, name))
  if (lacks.length === 0) return part
  await closed(part)
  throw new Problem('driver.invalid', `${driver}: its ${kind} has no ${lacks.join(', ')}`)
}

async function load(kind: PartKind, driver: string, from: string): Promise<DriverDefinition> {
  const url = place(kind, driver, from)
  const module: { driver?: unknown } = await import(url).catch((cause) => {
    throw loadProblem(driver, url, cause)
  })
  const definition = module.driver
  if (!isDriver(definition))
    throw new Problem('driver.invalid', `${driver} exports no \`driver\` with contract, what, options and make`)
  if (definition.contract !== kind)
    throw new Problem('driver.invalid', `${driver} is a driver for a ${definition.contract}, not for a ${kind}`)
  return definition
}

/** Paths as the board's file sees them; packages as it does, else as this package does. */
function place(kind: PartKind, driver: string, from: string): string {
  const require = createRequire(resolve(from, 'board.js'))
  const isPath = driver.startsWith('.') || isAbsolute(driver)
  try {
    return pathToFileURL(require.resolve(isPath ? resolve(from, driver) : driver)).href
  } catch (cause) {
    if (isPath) throw new Problem('driver.missing', `${driver}: there is no ${resolve(from, driver)}`, { cause })
  }
  try {
    return import.meta.resolve(driver)
  } catch (cause) {
    const there = partDrivers.filter((one) => one.contract === kind).map((one) => one.name)
    const where = `and no package of that name in ${resolve(from)}`
    throw new Problem('driver.missing', `no driver ${driver} for a ${kind}; there are ${there.join(', ')}, ${where}`, {
      cause,
    })
  }
}

function loadProblem(driver: string, url: string, cause: unknown): Problem {
  const { code, message = String(cause) } = (cause ?? {}) as { code?: string; message?: string }
  const why = message.split('\n')[0]
  if (code === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING')
    return new Problem('driver.invalid', `${driver} is TypeScript: below node_modules it must be JavaScript`, { cause })
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
    // The driver itself was found: what is not is something that it imports. Its own file may have gone meanwhile.
    const missing = /Cannot find package '([^']+)'/.exec(message)?.[1]
    if (missing) return new Problem('driver.needs', `${driver}: npm install ${missing}`, { cause })
    return new Problem(message.includes(url) ? 'driver.missing' : 'driver.failed', `${driver}: ${why}`, { cause })
  }
  return new Problem('driver.failed', `${driver}: ${why}`, { cause })
}

function isDriver(value: unknown): value is DriverDefinition {
  if (typeof value !== 'object' || value === null) return false
  const { contract, what, options, make } = value as Partial<Record<keyof DriverDefinition, unknown>>
  return (
    typeof contract === 'string' &&
    Object.hasOwn(membersOf, contract) &&
    typeof what === 'string' &&
    typeof options === 'object' &&
    options !== null &&
    typeof make === 'function'
  )
}

/** Unknown options are refused also where the schema does not say so: they are typing errors in the board's file. */
function checkOptions(driver: string, { options: schema }: DriverDefinition, given: NamedDriver['options']): void {
  const { properties } = schema as { properties?: object }
  const unknown = Object.keys(given).filter((name) => properties && !Object.hasOwn(properties, name))
  if (properties && unknown.length > 0) {
    const known = Object.keys(properties).join(', ') || 'none'
    throw new Problem('config.invalid', `driver ${driver}: no option ${unknown.join(', ')}; there are ${known}`)
  }
  try {
    checker(schema, `driver ${driver}`)(given)
  } catch (cause) {
    if (isProblem(cause, 'message.invalid')) throw new Problem('config.invalid', cause.detail, { cause })
    throw new Problem('driver.invalid', `${driver}: its schema of options cannot be used: ${String(cause)}`, { cause })
  }
}

async function made(
  driver: string,
  { make, needs = [] }: DriverDefinition,
  options: NamedDriver['options'],
  ports: PartPorts,
): Promise<AnyPart> {
  const { promise, resolve, reject } = Promise.withResolvers<AnyPart>()
  let isLate = false
  using _limit = ports.clock.timer(makeLimitMs, () => {
    isLate = true
    reject(new Problem('driver.failed', `${driver} did not make its part within ${makeLimitMs / 1000} s`))
  })
  // One that comes too late is let go.
  const making = async () => make(options, ports)
  making().then((part) => (isLate ? closed(part) : resolve(part)), reject)
  try {
    return await promise
  } catch (cause) {
    if (isProblem(cause)) throw cause
    const { code, message = String(cause) } = (cause ?? {}) as { code?: string; message?: string }
    if (code !== 'ERR_MODULE_NOT_FOUND') throw new Problem('driver.failed', `${driver}: ${message}`, { cause })
    const missing = /Cannot find package '([^']+)'/.exec(message)?.[1]
    throw new Problem('driver.needs', `${driver}: npm install ${needs.join(' ') || missing || message}`, { cause })
  }
}

function hasMember(part: unknown, name: string): boolean {
  const member = (part as Record<string, unknown> | null | undefined)?.[name]
  if (name === 'model') return typeof member === 'string'
  if (name === 'rows') return typeof member === 'number'
  if (name === 'buttons' || name === 'lamps' || name === 'entry') return Array.isArray(member)
  return typeof member === 'function'
}

async function closed(part: unknown): Promise<void> {
  if (hasMember(part, 'close')) await (part as AnyPart).close().catch(() => undefined)
}
