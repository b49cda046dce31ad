/** The simulated card company in the same process, for simulations from a seed: answers get lost before or after the work. */
import type { CardCompany } from '@azukari/gateway/services/settlement/payments/card-company'
import { Problem } from '@azukari/protocol/problem'
import type { CompanyBooks } from './card-company-books.ts'

export interface InsideOptions {
  /** What becomes of the next question: `before`: it never arrives; `after`: its answer is lost. */
  fate?: (path: string) => 'before' | 'after' | undefined
  /** Hears of every question that arrives, before it is answered. */
  heard?: (path: string, id: string) => Promise<void>
}

export function companyInside(books: CompanyBooks, { fate, heard }: InsideOptions = {}): CardCompany {
  const ask = async (path: string, id: string, body: object = {}): Promise<Record<string, string>> => {
    const lost = fate?.(path)
    if (lost === 'before') throw new Problem('topup.unanswered', 'it did not arrive')
    await heard?.(path, id)
    const answer = books.answer(path, `${id}${path}`, { ...body, id })
    if (lost === 'after') throw new Problem('topup.unanswered', 'the answer was lost')
    if (!answer) throw new Problem('topup.unanswered', '404')
    return answer as Record<string, string>
  }
  return {
    authorise: async ({ id, token, minor, currency }) => {
      const { state, authorisation, reason } = await ask('/authorisations', id, { token, minor, currency })
      return state === 'authorised' ? { authorisation: authorisation! } : { declined: reason! }
    },
    capture: async ({ id, authorisation }) => {
      const { state, reason } = await ask(`/authorisations/${authorisation}/capture`, id)
      return state === 'captured' ? { captured: true } : { refused: reason! }
    },
    void: async ({ id, authorisation }) => {
      await ask(`/authorisations/${authorisation}/void`, id)
    },
    reversals: async ({ after }) => {
      if (fate?.('/reversals')) throw new Problem('topup.unanswered')
      return books.reversalsAfter(after)
    },
  }
}
