/**
 * IPP Everywhere printers (S17; RFC 8011, PWG 5100.14): attributes, one job per copy, its progress, and what keeps it from
 * printing. A job is believed to be printed when the printer says so and has put out sheets, not when it took the data.
 */
import {
  type PartErrorKind,
  type Printer,
  type PrinterAttributes,
  type PrintProgress,
  type PrintRequest,
  partProblem,
} from '@azukari/device/drivers'
import { encodeJpeg } from '@azukari/device/picture'
import type { Clock } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import ipp, { type IppMessage } from '@sealsystems/ipp'
import { httpPost } from './adapters/http-post.ts'
import { printCopies } from './print-copies.ts'

export interface IppPrinterOptions {
  /** `ipp://host:631/ipp/print` or `ipps://…`. */
  url: string
  clock: Clock
  /** Who the jobs are from. */
  user?: string
  /** How long one page may take. */
  pageMs?: number
  pollMs?: number
  /** How long a mere warning, such as of an empty tray that may be one of two, may keep a page. */
  warnedMs?: number
  /** How long a printer may be busy with something else. */
  busyMs?: number
}

const callMs = 10_000
const replyMaxBytes = 1 << 20
const copiesMax = 99
/** A line slower than this is taken for broken. */
const bytesPerMsAtLeast = 20
/** Longest name (RFC 8011 §5.1.3). */
const nameMaxBytes = 255

/** printer-state-reasons (RFC 8011 §5.4.12) as kinds, the gravest first. */
const reasons: readonly [RegExp, PartErrorKind][] = [
  [/^media-(empty|needed)/, 'out-of-media'],
  [/^(media-jam|cover-open|door-open|interlock-open)/, 'jam'],
  [/^(marker-supply-empty|toner-empty|output-area-full)/, 'failed'],
  [/^(shutdown|stopped-partly|paused|offline|connecting-to-device|timed-out)/, 'absent'],
]

interface JobState {
  state: string
  /** Put out, when the job is complete and the printer counts them. */
  sheets?: number
  /** What keeps it from being printed. */
  why?: PartErrorKind
  /** What may do so. */
  warned?: PartErrorKind
}

export class IppPrinter implements Printer {
  readonly model: string
  readonly #o: IppPrinterOptions
  #requests = 0
  #busy = false
  #closed = false

  constructor(options: IppPrinterOptions) {
    this.#o = options
    this.model = `IPP ${new URL(options.url).host}`
  }

  async attributes(signal: AbortSignal): Promise<PrinterAttributes> {
    const found = (
      await this.#ask('Get-Printer-Attributes', { 'requested-attributes': ['all', 'media-col-database'] }, signal)
    )['printer-attributes-tag']!
    const reason = reasonOf(found)
    const size = sizeOf(found)
    return {
      ready: reason === undefined && found['printer-is-accepting-jobs'] !== false,
      ...(reason ? { reason } : {}),
      media: mediaOf(found),
      maxWidth: size.width,
      maxHeight: size.height,
    }
  }

  async print(
    request: PrintRequest,
    signal: AbortSignal,
    progress: (progress: PrintProgress) => void = () => {},
  ): Promise<void> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('printer', 'absent', 'closed')
    if (this.#busy) throw partProblem('printer', 'busy')
    this.#busy = true
    try {
      await printCopies(request, copiesMax, signal, progress, async () => {
        const { page, title, media } = request
        const attributes = await this.attributes(signal)
        if (media !== undefined && !attributes.media.includes(media))
          throw partProblem('printer', 'unsupported', `no ${media}`)
        if (attributes.reason) throw partProblem('printer', attributes.reason)
        const jpeg = encodeJpeg(page, 95)
        return (tell) => this.#one(jpeg, title, media, signal, tell)
      })
    } finally {
      this.#busy = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  async #one(
    jpeg: Uint8Array,
    title: string,
    media: string | undefined,
    signal: AbortSignal,
    tell: (stage: 'sent' | 'printing') => void,
  ): Promise<void> {
    const { clock, pageMs = 180_000, pollMs = 500, warnedMs = 8_000 } = this.#o
    const sent = await this.#send(jpeg, title, media, signal)
    const job = sent['job-attributes-tag']?.['job-id']
    if (typeof job !== 'number') throw partProblem('printer', 'failed', 'it took the page and gave no job')
    tell('sent')
    const endMs = clock.monotonicMs() + pageMs
    let warnedSinceMs: number | undefined
    try {
      for (;;) {
        const state = await this.#jobState(job, signal)
        if (state.state === 'completed') {
          // A printer that calls a page printed and put out no sheet has not printed it.
          if (state.sheets === 0) throw partProblem('printer', 'failed', 'completed without a sheet')
          return
        }
        if (state.state === 'aborted' || state.state === 'canceled')
          throw partProblem('printer', state.why ?? 'failed', `the job was ${state.state}`)
        if (state.state === 'processing') tell('printing')
        if (state.why) throw partProblem('printer', state.why)
        warnedSinceMs = state.warned ? (warnedSinceMs ?? clock.monotonicMs()) : undefined
        if (state.warned && clock.monotonicMs() - warnedSinceMs! > warnedMs) throw partProblem('printer', state.warned)
        if (clock.monotonicMs() > endMs) throw partProblem('printer', 'timeout', `not printed within ${pageMs} ms`)
        await clock.sleep(pollMs, signal)
      }
    } catch (error) {
      // What does not come out now must not come out later, when nobody stands there.
      await this.#ask('Cancel-Job', { 'job-id': job }, new AbortController().signal).catch(() => undefined)
      throw error
    }
  }

  /** Hands in a page; a printer that is busy with another one, or with one that was called off, is asked again. */
  async #send(jpeg: Uint8Array, title: string, media: string | undefined, signal: AbortSignal): Promise<IppMessage> {
    const { clock, pollMs = 500, busyMs = 20_000 } = this.#o
    const endMs = clock.monotonicMs() + busyMs
    for (;;) {
      try {
        return await this.#ask('Print-Job', { 'job-name': cut(title), 'document-format': 'image/jpeg' }, signal, {
          'job-attributes-tag': { 'print-scaling': 'fit', 'print-quality': 'high', ...(media ? { media } : {}) },
          data: Buffer.from(jpeg),
        })
      } catch (error) {
        if (!isProblem(error, 'part.busy') || clock.monotonicMs() > endMs) throw error
        await clock.sleep(pollMs, signal)
      }
    }
  }

  async #jobState(job: number, signal: AbortSignal): Promise<JobState> {
    const answer = await this.#ask('Get-Job-Attributes', { 'job-id': job }, signal)
    const found = answer['job-attributes-tag'] ?? {}
    const state = String(found['job-state'] ?? 'unknown')
    if (state === 'completed') {
      const sheets = found['job-media-sheets-completed'] ?? found['job-impressions-completed']
      return typeof sheets === 'number' ? { state, sheets } : { state }
    }
    // Printers that wait for paper differ in what they say of the job; of themselves they say it.
    const stopped = state === 'processing-stopped' || listOf(found['job-state-reasons']).includes('printer-stopped')
    const printer = (await this.#ask('Get-Printer-Attributes', {}, signal))['printer-attributes-tag'] ?? {}
    const why = reasonOf(printer) ?? (stopped ? 'failed' : undefined)
    const warned = reasonOf(printer, /-report$/)
    return { state, ...(why ? { why } : {}), ...(warned ? { warned } : {}) }
  }

  async #ask(
    operation: string,
    attributes: Record<string, unknown>,
    signal: AbortSignal,
    more: Partial<IppMessage> = {},
  ): Promise<IppMessage> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('printer', 'absent', 'closed')
    const { url, user = 'azukari' } = this.#o
    const body = ipp.serialize({
      version: '2.0',
      operation,
      id: ++this.#requests,
      // Charset and language come first, and then the target (RFC 8011 §4.1.4).
      'operation-attributes-tag': {
        'attributes-charset': 'utf-8',
        'attributes-natural-language': 'en',
        'printer-uri': url,
        // A job is named by its number after the printer, before all else.
        ...('job-id' in attributes ? { 'job-id': attributes['job-id'] } : {}),
        'requesting-user-name': user,
        ...attributes,
      },
      ...more,
    })
    let answer: IppMessage
    try {
      answer = ipp.parse(
        Buffer.from(
          await httpPost({
            url: url.replace(/^ipp/, 'http'),
            contentType: 'application/ipp',
            body,
            signal,
            clock: this.#o.clock,
            limitMs: callMs + Math.ceil((more.data?.length ?? 0) / bytesPerMsAtLeast),
            replyMaxBytes,
          }),
        ),
      )
    } catch (error) {
      signal.throwIfAborted()
      throw partProblem('printer', 'absent', String(error), { cause: error })
    }
    const status = String(answer.statusCode)
    if (!status.startsWith('successful')) throw partProblem('printer', kindOfStatus(status), `${operation}: ${status}`)
    return answer
  }
}

function kindOfStatus(status: string): PartErrorKind {
  if (/document-format|attributes-or-values|compression|media/.test(status)) return 'unsupported'
  if (/busy|not-accepting|too-many/.test(status)) return 'busy'
  return /canceled/.test(status) ? 'cancelled' : 'failed'
}

/** What keeps the printer from printing. @param harmless reasons of no weight, by their severity */
function reasonOf(found: Record<string, unknown>, harmless = /-(report|warning)$/): PartErrorKind | undefined {
  const said = listOf(found['printer-state-reasons']).filter((reason) => !harmless.test(reason))
  for (const [pattern, kind] of reasons) if (said.some((reason) => pattern.test(reason))) return kind
  return found['printer-state'] === 'stopped' ? 'failed' : undefined
}

function mediaOf(found: Record<string, unknown>): string[] {
  const usual = listOf(found['media-default'])
  const ready = listOf(found['media-ready'])
  return [...new Set([...usual, ...(ready.length > 0 ? ready : listOf(found['media-supported']))])]
}

/** Pixels of the usual medium at the best resolution; A4 at 300 dpi when it does not say. */
function sizeOf(found: Record<string, unknown>): { width: number; height: number } {
  const match = /_(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)(mm|in)$/.exec(mediaOf(found)[0] ?? '') ?? ['', '210', '297', 'mm']
  const resolution = found['printer-resolution-default']
  const dpi = Array.isArray(resolution) && typeof resolution[0] === 'number' ? resolution[0] : 300
  const perUnit = match[3] === 'mm' ? dpi / 25.4 : dpi
  return { width: Math.round(Number(match[1]) * perUnit), height: Math.round(Number(match[2]) * perUnit) }
}

/** As much of a title as a name may hold, in whole letters. */
function cut(title: string): string {
  const bytes = new Uint8Array(nameMaxBytes)
  const { read } = new TextEncoder().encodeInto(title, bytes)
  return title.slice(0, read)
}

function listOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : value === undefined ? [] : [value]).map(String).filter((one) => one !== 'none')
}
