/** Runs one test file as tap does, without its runner: half a second from the call to the first test. */
import { spawn } from 'node:child_process'
import { makeLinksRelative } from './tap-links.ts'

/** How long a test may take to end when this process is told to. */
const endMs = 500
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface TestFileOptions {
  /** Only tests whose title holds this text. */
  title?: string
  /** Waits for a debugger. */
  isInspected?: boolean
  /** Told what it says, as it says it. */
  tell?: (text: string) => void
  /** Added to the test's environment. */
  env?: Readonly<Record<string, string>>
}

export interface TestFileResult {
  isPassed: boolean
  /** Tests that ran, those within others not counted. */
  count: number
  said: string
}

export async function runTestFile(root: string, file: string, options: TestFileOptions = {}): Promise<TestFileResult> {
  const { title, isInspected, tell, env } = options
  makeLinksRelative(root)
  const filter = !title ? {} : { TAP_GREP: `/${escaped(title)}/` }
  const child = spawn(process.execPath, [...(isInspected ? ['--inspect-brk'] : []), file], {
    cwd: root,
    stdio: ['inherit', 'pipe', 'inherit'],
    // As long as the runner gives a file, not the 30 s of tap alone.
    env: { TAP_TIMEOUT: '1200', ...process.env, ...filter, ...env },
  })
  let said = ''
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    // What the filter left out is not shown.
    const shown = lines.filter((line) => !/# SKIP filter:/.test(line)).map((line) => `${line}\n`)
    said += shown.join('')
    tell?.(shown.join(''))
  })
  // A test that spins hears nothing but the last signal.
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal)
    setTimeout(() => child.kill('SIGKILL'), endMs)
  }
  for (const signal of signals) process.on(signal, end)
  const code = await new Promise<number | null>((done) => child.once('close', done))
  for (const signal of signals) process.off(signal, end)
  return { isPassed: code === 0, count: said.match(/^(not )?ok \d+/gm)?.length ?? 0, said }
}

function escaped(title: string): string {
  return title.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}
