/**
 * How a user app lives by its licence (W9): it challenges the licence app over the board's local socket every few seconds, judges the answer by the
 * site's key alone, and ends when there is none. Used by apps that ship here; `docs/jobs.md` tells others how.
 */
import type { KeyObject } from 'node:crypto'
import { openKeyDirectory } from '@azukari/protocol/key-directory'
import { judgeLicence } from '@azukari/protocol/licence'
import type { Clock, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'

/** A line to the licence app. */
export interface LicenceLine {
  ask<T>(request: unknown): Promise<T>
  /** Resolves when the licence app has ended. */
  readonly closed: Promise<void>
  close(): void
}

export interface LicenceOptions {
  app: string
  /** Whom the app believes: the site for which it was installed. */
  site: string
  siteKey: KeyObject
  /** The site's key directory as it lies beside the board now. */
  directory(): Promise<Uint8Array>
  open(): Promise<LicenceLine>
  /** The latest time that this app has seen, and where it is kept. */
  mark: { read(): Promise<number>; write(ms: number): Promise<void> }
  clock: Clock
  random: Random
  /** Between two challenges, ms. */
  everyMs?: number
}

/** Together with the wait for an answer below ten seconds: so long an app outlives its licence app at most. */
const everyMs = 3_000
const answerMs = 4_000
const graceMs = 200

export interface HeldLicenceLine {
  /** Aborted with the problem that ended the licence. */
  readonly signal: AbortSignal
  release(): void
}

/** Resolves after the first answer. @throws {Problem} `device.not-running`, `licence.*` */
export async function holdLicence(options: LicenceOptions, until: AbortSignal): Promise<HeldLicenceLine> {
  const line = await options.open()
  const lost = new AbortController()
  const end = (problem: Problem) => lost.abort(problem)
  void line.closed.then(() => end(new Problem('licence.lost')))
  try {
    await challenge(options, line)
  } catch (error) {
    line.close()
    throw error
  }
  const both = AbortSignal.any([until, lost.signal])
  void keepAsking(options, line, both, end).finally(() => line.close())
  return { signal: lost.signal, release: () => line.close() }
}

async function keepAsking(
  options: LicenceOptions,
  line: LicenceLine,
  until: AbortSignal,
  end: (problem: Problem) => void,
): Promise<void> {
  while (!until.aborted) {
    await options.clock.sleep(options.everyMs ?? everyMs, until).catch(() => undefined)
    if (until.aborted) return
    await challenge(options, line).catch((error) =>
      end(isProblem(error) ? error : new Problem('licence.lost', String(error))),
    )
  }
}

async function challenge(options: LicenceOptions, line: LicenceLine): Promise<void> {
  const { app, site, siteKey, random, clock, mark } = options
  const nonce = random.bytes(16)
  const asked = { do: 'licence-prove', app, nonce: Buffer.from(nonce).toString('base64') }
  const answer = await withinTime(clock, line.ask<{ lease: string; proof: string }>(asked))
  const [lease, proof] = [bytesOf(answer.lease), bytesOf(answer.proof)]
  const directory = openKeyDirectory(await options.directory(), { site, siteKey })
  await mark.write(judgeLicence({ lease, proof }, { app, nonce, markMs: await mark.read() }, directory))
}

/** A licence app that is there and says nothing has stopped. An answer that came while this app was busy is read before it counts as late. */
async function withinTime<T>(clock: Clock, answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const over = new Problem('licence.lost', `no answer for ${answerMs} ms`)
  using timers = new DisposableStack()
  timers.use(clock.timer(answerMs, () => timers.use(clock.timer(graceMs, () => late.reject(over)))))
  return await Promise.race([answer, late.promise])
}

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'))
