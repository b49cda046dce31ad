/** Starts the card company and the bank as processes of their own, and speaks to them. */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { leanEnvironment } from '@azukari/protocol/adapters/lean-memory'
import { Problem } from '@azukari/protocol/problem'
import { watchProgress } from '../progress.ts'
import type { BankAsk } from './bank-process.ts'
import type { CompanyTotals } from './card-company-books.ts'
import type { CompanyEvent, CompanyFault } from './card-company-process.ts'

const startMs = 20_000

export class Partner {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.url = `http://127.0.0.1:${port}`
  }

  static async start(name: 'card-company' | 'bank'): Promise<Partner> {
    const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js'
    const child = fork(join(import.meta.dirname, `${name}-process.${extension}`), {
      stdio: 'inherit',
      env: { ...leanEnvironment, ...process.env },
    })
    const port = await new Promise<number>((resolve, reject) => {
      const limit = watchProgress(child.pid!, startMs, () =>
        reject(new Problem('service.unavailable', `${name} did not start`)),
      )
      // A test runner in the child may speak on the same line.
      child.on('message', ({ port }: { port?: number }) => {
        if (port === undefined) return
        limit[Symbol.dispose]()
        resolve(port)
      })
      child.once('exit', () => reject(new Problem('service.unavailable', `${name} ended`)))
    })
    return new Partner(child, port)
  }

  /** Of the card company. */
  fault(fault: CompanyFault): Promise<void> {
    return new Promise((resolve) => this.#child.send(fault, () => resolve()))
  }

  /** Of the card company: something happens on its side. Resolves when it was told. */
  event(event: CompanyEvent['event']): Promise<void> {
    return new Promise((resolve) => this.#child.send({ event } satisfies CompanyEvent, () => resolve()))
  }

  /** Of the card company: what it has taken from members. */
  async books(): Promise<CompanyTotals> {
    return (await (await fetch(this.url)).json()) as CompanyTotals
  }

  /** Of the bank. */
  async ask<T = Record<string, unknown>>(ask: BankAsk): Promise<T> {
    const answer = await fetch(this.url, { method: 'POST', body: JSON.stringify(ask) })
    if (!answer.ok) throw new Problem('bank.malformed', await answer.text())
    return (await answer.json()) as T
  }

  /** Of the bank: movements since the n-th, as it writes them. */
  async movements(after: number, format: 'zengin' | 'camt'): Promise<{ file: Uint8Array; count: number }> {
    const { file, count } = await this.ask<{ file: string; count: number }>({ do: 'movements', after, format })
    return { file: new Uint8Array(Buffer.from(file, 'base64')), count }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.disconnect()
    await ended
  }
}
