/** Printing one page some times over, as printers of every kind do it (S17): the order checked, each copy told, failures with what is out. */
import { type PrintProgress, type PrintRequest, partProblem } from '@azukari/device/drivers'
import { Problem } from '@azukari/protocol/problem'

/** Puts out one copy; `tell` says how far it is. */
export type PrintOne = (tell: (stage: 'sent' | 'printing') => void) => Promise<void>

/**
 * @param prepare readies the page, and returns what puts out a copy of it
 * @throws {Problem} `printer.*`; `data.copies`: as many came out whole
 */
export async function printCopies(
  { page, copies }: PrintRequest,
  copiesMax: number,
  signal: AbortSignal,
  progress: (progress: PrintProgress) => void,
  prepare: () => PrintOne | Promise<PrintOne>,
): Promise<void> {
  let out = 0
  try {
    if (!Number.isInteger(copies) || copies < 1 || copies > copiesMax)
      throw partProblem('printer', 'unsupported', `${copies} copies`)
    if (page.rgba.length !== page.width * page.height * 4)
      throw partProblem('printer', 'unsupported', 'the page has not the pixels it says')
    const one = await prepare()
    for (; out < copies; out++) {
      signal.throwIfAborted()
      await one((stage) => progress({ stage, copies: out }))
      progress({ stage: 'printed', copies: out + 1 })
    }
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    throw new Problem(error.code, error.detail, { cause: error, data: { ...error.data, copies: out } })
  }
}
