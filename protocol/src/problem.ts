/**
 * The one error that crosses module, process and wire borders (ARCHITECTURE §4): a stable code, whether a retry can
 * help, and a detail for operators. What people read comes from the catalogue, keyed by the code, never from the wire.
 */
import { catalogue } from './problem-catalogue.ts'
import type { CatalogueEntry, ProblemText, Retry } from './problems/entry.ts'

export type ProblemCode = keyof typeof catalogue

/** A problem as it travels; `code` may be one that a newer release knows and we do not. */
export interface ProblemWire {
  code: string
  detail?: string
  retry: string
  data?: Record<string, unknown>
}

export interface ProblemOptions {
  /** What led to it; stays in this process. */
  cause?: unknown
  /** Values a program needs to act on it, such as the next sequence number; travels, so never secrets or personal data. */
  data?: Record<string, unknown>
}

const entries: ReadonlyMap<string, CatalogueEntry> = new Map(Object.entries(catalogue))

/** Longest `detail` and `code` that is kept from the wire, in characters. */
const detailMaxLength = 2000
const codeMaxLength = 64

export class Problem extends Error {
  readonly code: ProblemCode
  readonly retry: Retry
  declare readonly detail?: string
  declare readonly data?: Record<string, unknown>

  /** @param detail for operators and logs: the place and the value's shape, never secrets or personal data */
  constructor(code: ProblemCode, detail?: string, options: ProblemOptions = {}) {
    super(detail === undefined ? code : `${code}: ${detail}`, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = 'Problem'
    this.code = code
    this.retry = entries.get(code)?.retry ?? 'no'
    if (detail !== undefined) this.detail = detail
    if (options.data !== undefined) this.data = options.data
  }

  /** Without cause and stack: those stay here. */
  toWire(): ProblemWire {
    const wire: ProblemWire = { code: this.code, retry: this.retry }
    if (this.detail !== undefined) wire.detail = this.detail.slice(0, detailMaxLength)
    if (this.data !== undefined) wire.data = this.data
    return wire
  }

  /**
   * A problem that another side sent. Its own word on retrying is kept, since it may be newer than this catalogue. A
   * code unknown here is kept as it is; `describe` then gives the generic text.
   */
  static fromWire(wire: ProblemWire): Problem {
    const problem = new Problem(
      wire.code.slice(0, codeMaxLength) as ProblemCode,
      wire.detail?.slice(0, detailMaxLength),
      wire.data === undefined ? {} : { data: wire.data },
    )
    if (wire.retry === 'later' || wire.retry === 'after-fix' || wire.retry === 'no')
      Object.defineProperty(problem, 'retry', { value: wire.retry, enumerable: true })
    return problem
  }
}

/** Whether `error` is a problem, and of that code when one is given. */
export function isProblem(error: unknown, code?: ProblemCode): error is Problem {
  return error instanceof Problem && (code === undefined || error.code === code)
}

/** The text for people; a code that this release does not know gets the generic one. */
export function describe(code: string, lang: 'ja' | 'en'): ProblemText {
  return (entries.get(code) ?? catalogue.internal)[lang]
}

/** Our own mistake, never the caller's: crashes the smallest thing that can be restarted, and does not cross the wire. */
export class InternalError extends Error {
  override readonly name = 'InternalError'
}
