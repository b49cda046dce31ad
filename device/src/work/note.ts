/** What the running board leaves for its owner to read: `work-now.json`, written when something has changed, and not often. */
import { Count, checker, type Static, Text, TimeMs, Type } from '@azukari/protocol/contract'
import { RedemptionShown } from '@azukari/protocol/contracts/work'
import type { Clock, Files } from '@azukari/protocol/ports'

/** What the site says of the owner. */
export const WorkAccount = Type.Object({
  owner: Text(64),
  /** Of this board. */
  valid: Count,
  wrong: Count,
  waiting: Count,
  microPoints: Count,
  /** Of all of the owner's boards. */
  ownerMicroPoints: Count,
  /** Not redeemed yet. */
  leftMicroPoints: Type.Optional(Count),
  redemptions: Type.Optional(Type.Array(RedemptionShown)),
})
export type WorkAccount = Static<typeof WorkAccount>

export const WorkNote = Type.Object({
  is: Type.Union([Type.Literal('off'), Type.Literal('resting'), Type.Literal('waiting'), Type.Literal('computing')]),
  why: Type.Optional(Text(64)),
  /** Since when, by the board's clock. */
  sinceMs: TimeMs,
  account: Type.Optional(WorkAccount),
})
export type WorkNote = Static<typeof WorkNote>

/** A memory card is not to wear out from news. */
const writeMs = 2_000
const check = checker(WorkNote, 'work-now.json')

export const notePath = (folder: string): string => `${folder}/work-now.json`

export function parseNote(bytes: Uint8Array): WorkNote {
  return check(JSON.parse(new TextDecoder().decode(bytes)))
}

export class NoteKeeper {
  readonly #o: { files: Files; clock: Clock; folder: string }
  #written = ''
  #writtenMs = Number.NEGATIVE_INFINITY
  #sinceMs = 0
  #what = ''

  constructor(options: { files: Files; clock: Clock; folder: string }) {
    this.#o = options
  }

  /** To be called again and again: what changes too fast is written with the next call. @throws {Problem} `storage.*` */
  async keep({ is, why, account }: Omit<WorkNote, 'sinceMs'>): Promise<void> {
    const { files, clock, folder } = this.#o
    const what = `${is} ${why ?? ''}`
    if (what !== this.#what) this.#sinceMs = clock.now()
    this.#what = what
    const note: WorkNote = { is, sinceMs: this.#sinceMs }
    if (why !== undefined) note.why = why
    if (account) note.account = account
    const text = JSON.stringify(note)
    const nowMs = clock.monotonicMs()
    if (text === this.#written || nowMs - this.#writtenMs < writeMs) return
    const beside = `${notePath(folder)}.new`
    const file = await files.open(beside, 'create')
    try {
      await file.truncate(0)
      await file.write(0, new TextEncoder().encode(`${text}\n`))
    } finally {
      await file.close()
    }
    await files.rename(beside, notePath(folder))
    this.#written = text
    this.#writtenMs = nowMs
  }
}
