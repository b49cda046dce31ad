/** Child processes of a simulated site: real gateways and data servers, started, stopped and killed for real. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { leanEnvironment } from '@azukari/protocol/adapters/lean-memory'
import { InternalError, isProblem, Problem } from '@azukari/protocol/problem'
import { watchProgress } from '../testkit/progress.ts'

/** The gateway's command, as source here and as JavaScript in an installed package. */
const gatewayCli = fileURLToPath(import.meta.resolve('@azukari/gateway/cli'))

/** Ten processes of the same code: compiled once, they start in half the time. */
const shared = { ...leanEnvironment, NODE_COMPILE_CACHE: join(tmpdir(), 'azukari-compile-cache') }

export interface Running {
  readonly pid: number
  /** What it said when it was ready. */
  readonly fact: Record<string, unknown>
  readonly exited: Promise<number | null>
  /** Asks it to stop and waits; killed when it does not. */
  stop(): Promise<void>
  /** kill -9. */
  kill(): Promise<void>
}

export interface StartOptions {
  /** File that its standard error is written to. */
  logFile: string
  environment?: Record<string, string>
  /** How long it may do nothing before it is ready. */
  limitMs?: number
}

/** Starts `azukari-gateway …` and waits for its ready line. @throws {Problem} `service.unavailable` when it does not come up */
export async function startGatewayCommand(
  args: readonly string[],
  { logFile, environment = {}, limitMs = 20_000 }: StartOptions,
): Promise<Running> {
  const child = spawn(process.execPath, [gatewayCli, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...shared, ...process.env, ...environment },
  })
  const log = createWriteStream(logFile, { flags: 'a' })
  child.stderr!.pipe(log)
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const fact = await readyLine(child, exited, args.join(' '), logFile, limitMs)
  return {
    pid: child.pid!,
    fact,
    exited,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      using _ = watchProgress(child.pid!, 10_000, () => child.kill('SIGKILL'))
      await exited
    },
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await exited
    },
  }
}

function readyLine(
  child: ChildProcess,
  exited: Promise<number | null>,
  what: string,
  logFile: string,
  limitMs: number,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    let text = ''
    const limit = watchProgress(child.pid!, limitMs, () => {
      child.kill('SIGKILL')
      reject(
        new Problem('service.unavailable', `${what} did nothing for ${limitMs} ms and was not ready; see ${logFile}`),
      )
    })
    void exited.then((code) => {
      limit[Symbol.dispose]()
      reject(new Problem('service.unavailable', `${what} ended with ${code}; see ${logFile}`))
    })
    child.stdout!.setEncoding('utf8')
    child.stdout!.on('data', (chunk: string) => {
      text += chunk
      const end = text.indexOf('\n')
      if (end < 0) return
      limit[Symbol.dispose]()
      try {
        resolve(JSON.parse(text.slice(0, end)))
      } catch (cause) {
        reject(new InternalError(`${what} said ${text.slice(0, 200)}`, { cause }))
      }
    })
  })
}

/** A port of loopback that nobody listens on, for processes that must know each other's before either runs. */
/**
 * Runs a command of the gateway to its end and gives what it answered as JSON. The first operator, whom `init` makes, gives
 * it: the password is kept in the site's folder, which no real site does.
 * @throws {Problem} what it said was wrong
 */
export async function gatewayCommand<T>(args: readonly string[]): Promise<T> {
  const folder = args[args.indexOf('--folder') + 1]!
  const passwordFile = `${folder}/operator-password`
  if (args[0] === 'init') {
    const made = await oneCommand<T & { operator?: { password: string } }>(args, folder)
    if (made.operator) await writeFile(passwordFile, made.operator.password, { mode: 0o600 })
    return made
  }
  try {
    return await oneCommand<T>(args, folder)
  } catch (error) {
    if (!isProblem(error, 'operator.unauthenticated')) throw error
    await oneCommand(['login', 'admin', '--password-file', passwordFile, '--folder', folder], folder)
    return await oneCommand<T>(args, folder)
  }
}

async function oneCommand<T>(args: readonly string[], folder: string): Promise<T> {
  const child = spawn(process.execPath, [gatewayCli, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...shared, ...process.env, AZUKARI_LOG: 'error', XDG_STATE_HOME: `${folder}/state` },
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  let answer: { problem?: Parameters<typeof Problem.fromWire>[0] } | undefined
  try {
    answer = JSON.parse(out)
  } catch {
    throw new InternalError(`azukari-gateway ${args.join(' ')} ended with ${code}: ${out}${err}`)
  }
  if (answer?.problem) throw Problem.fromWire(answer.problem)
  return answer as T
}
