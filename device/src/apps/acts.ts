/** What a person may do now, offered again and again until they go back (S17). */
import { isProblem } from '@azukari/protocol/problem'
import type { Choice } from '../drivers.ts'
import type { Dialogue } from './dialogue.ts'

export interface Act extends Choice {
  act(leave: AbortSignal): Promise<unknown>
}

export interface ActPorts {
  dialogue: Dialogue
  /** What went wrong with one act; the others are offered again. */
  showProblem(error: unknown): Promise<void>
}

/** @throws {Problem} `panel.unanswered`; the signal's reason */
export async function offerActs(
  { dialogue, showProblem }: ActPorts,
  prompt: string,
  acts: () => readonly Act[],
  until: AbortSignal,
): Promise<void> {
  for (;;) {
    const chosen = await orBack(dialogue.choose(prompt, acts(), until))
    if (!chosen) return
    try {
      await chosen.act(until)
    } catch (error) {
      if (!isProblem(error) || until.aborted) throw error
      if (error.code !== 'panel.cancelled') await showProblem(error)
    }
  }
}

/** Undefined when the person went back. */
export async function orBack<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isProblem(error, 'panel.cancelled')) return undefined
    throw error
  }
}
