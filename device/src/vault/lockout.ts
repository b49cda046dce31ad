/**
 * How often passwords may be tried. A try is counted on disk before it is made, so that pulling the plug wins nothing. It
 * slows down whoever sits at the terminal; against a copied file only the password's own cost helps.
 */
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Count, checker, TimeMs, Type } from '@azukari/protocol/contract'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { VaultFiles } from './vault-files.ts'

export const freeTries = 5
const firstWaitMs = 30_000
const longestWaitMs = 24 * 3_600_000

const checkTries = checker(Type.Object({ failed: Count, lastMs: TimeMs }), 'tries')

/** How long one must wait after so many failures in a row, ms. */
export function waitAfter(failed: number): number {
  if (failed < freeTries) return 0
  return Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(failed - freeTries, 20))
}

export class Lockout {
  readonly #files: VaultFiles
  readonly #clock: Pick<Clock, 'now'>

  constructor(files: VaultFiles, clock: Pick<Clock, 'now'>) {
    this.#files = files
    this.#clock = clock
  }

  /** Makes one try; only `vault.wrong` counts as a failure. @throws {Problem} `vault.locked` with the wait left, ms */
  async attempt<T>(work: () => Promise<T>): Promise<T> {
    const bytes = await this.#files.readTries()
    const { failed, lastMs } = bytes ? checkTries(decode(bytes)) : { failed: 0, lastMs: 0 }
    const nowMs = this.#clock.now()
    const wait = waitAfter(failed)
    // A clock that was set back does not shorten the wait, it starts again.
    const passed = Math.max(0, nowMs - lastMs)
    if (wait > passed) throw new Problem('vault.locked', `${failed} failures`, { data: { waitMs: wait - passed } })
    await this.#files.writeTries(encodeDeterministic({ failed: failed + 1, lastMs: nowMs }))
    try {
      const result = await work()
      await this.#files.writeTries(encodeDeterministic({ failed: 0, lastMs: 0 }))
      return result
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'vault.wrong'))
        await this.#files.writeTries(encodeDeterministic({ failed, lastMs }))
      throw error
    }
  }
}
