/** Boards as people start them: the device's shipped commands in processes of their own, worked through their page. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { until } from './wait.ts'

const deviceCli = join(import.meta.dirname, '../../../device/src/cli.ts')

export interface Ran {
  code: number | null
  out: string
}

/** A command of the device, to its end. */
export async function deviceCommand(args: readonly string[], environment: Record<string, string> = {}): Promise<Ran> {
  const child = spawn(process.execPath, [deviceCli, ...args], { env: { ...process.env, ...environment } })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    out += part
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, out }
}

/** The first line of what a process says, and everything that it logs. */
export async function startBoard(args: readonly string[]) {
  const child: ChildProcess = spawn(process.execPath, [deviceCli, 'run', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let log = ''
  child.stdout!.setEncoding('utf8').on('data', (part: string) => {
    out += part
  })
  child.stderr!.setEncoding('utf8').on('data', (part: string) => {
    log += part
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await until('the board', () => out.includes('\n') || child.exitCode !== null, 60_000)
  return {
    fact: JSON.parse(out.split('\n')[0] || '{}') as { page: string },
    log: () => out + log,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** As a person does it: digit by digit on the page. */
export async function typePin(page: Page, digits: string): Promise<void> {
  for (const digit of digits) await page.locator('#pad').getByRole('button', { name: digit, exact: true }).click()
  await page.locator('#pad').getByRole('button', { name: 'OK', exact: true }).click()
}
