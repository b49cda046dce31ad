/**
 * What is done about a breach, in the order of the source (R6): the host is warned, the copy is downloaded and traced, the buyer
 * is warned; either warning or both, by setting. Then people decide. Pure.
 */

/** What waits to be done, or whom the case waits for. */
export const caseStates = ['warn-host', 'trace', 'warn-buyer', 'tell-decision', 'held', 'undecided', 'closed'] as const
export type CaseState = (typeof caseStates)[number]

export interface Warnings {
  host: boolean
  buyer: boolean
}

/** What comes first. @param isFlood this host has had so many cases today that nothing goes out by itself */
export function firstState({ host }: Warnings, isFlood: boolean): CaseState {
  if (isFlood) return 'held'
  return host ? 'warn-host' : 'trace'
}

/** After a step that is done, or given up. */
export function stateAfter(
  state: CaseState,
  { buyer }: Warnings,
  { isBuyerKnown, mayResell }: { isBuyerKnown: boolean; mayResell: boolean },
): CaseState {
  if (state === 'warn-host') return 'trace'
  // Whoever may sell the copy on need not be who put it there: people look first.
  if (state === 'trace') return buyer && isBuyerKnown && !mayResell ? 'warn-buyer' : 'undecided'
  return state === 'warn-buyer' ? 'undecided' : 'closed'
}

const minuteMs = 60_000
const triesMax = 12

/** When a step that failed is tried again; undefined: not any more. */
export function retryMs(retry: string, tries: number): number | undefined {
  if (retry !== 'later' || tries >= triesMax) return undefined
  return Math.min(6 * 60 * minuteMs, minuteMs * 2 ** tries)
}
