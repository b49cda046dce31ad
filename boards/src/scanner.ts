/**
 * Scanners through SANE (S14, S17). A page lands in a folder, whole or not at all, and comes from there as from any other
 * folder: so nothing scanned is lost in a restart, and a large page takes no memory.
 */
import { type InputFile, type LocalInput, type PartErrorKind, partProblem } from '@azukari/device/drivers'
import { localStamp } from '@azukari/protocol/local-time'
import type { Clock, Files } from '@azukari/protocol/ports'
import type { Problem } from '@azukari/protocol/problem'
import { CommandError, runCommand } from './adapters/commands.ts'
import { FolderInput } from './folder-input.ts'

export interface ScannerOptions {
  files: Files
  clock: Clock
  /** Where pages land. */
  directory: string
  /** As `scanimage -L` names it; the default one without. */
  device?: string
  /** Dots per inch. */
  resolution?: number
  /** The scanner's name for its feeder, such as `Automatic Document Feeder`: paper put into it is scanned unasked. */
  feeder?: string
  /** How often the feeder is looked at. */
  lookMs?: number
  more?: readonly string[]
  /** For one page, or all that lie in the feeder. */
  limitMs?: number
}

const unfinished = '.scan-'
const saidMaxBytes = 64 * 1024
/** After this scanimage only closes the device, in which a driver may hang: SANE's own test device does, now and then. */
const lastWords = 'Batch terminated'

/** SANE's statuses (SANE standard 2.0 §4.2.7); scanimage tells that of each page, and ends with the last. */
const goodStatus = 5
const noPaper = 7
const kinds: Readonly<Record<number, PartErrorKind>> = { 2: 'cancelled', 3: 'busy', 4: 'unsupported' }

export class Scanner implements LocalInput {
  readonly model = 'SANE'
  readonly #o: ScannerOptions
  readonly #folder: FolderInput
  readonly #closing = new AbortController()
  #pages = 0
  #scanning = false

  constructor(options: ScannerOptions) {
    this.#o = options
    this.#folder = new FolderInput(options)
  }

  /**
   * Scans one page, or all that lie in the feeder; they then come out of `files`.
   * @returns pages scanned; none from an empty feeder
   * @throws {Problem} `part.absent`, `part.busy`, `part.timeout`, `part.unsupported` without SANE, `part.failed`
   */
  async scan(signal: AbortSignal): Promise<number> {
    const { files, directory } = this.#o
    signal.throwIfAborted()
    if (this.#closing.signal.aborted) throw partProblem('input', 'absent', 'closed')
    if (this.#scanning) throw partProblem('input', 'busy')
    this.#scanning = true
    try {
      if (!(await files.stat(directory))?.directory) throw partProblem('input', 'absent', 'the folder is not there')
      await this.#tidy()
      const { pages, trouble } = await this.#run(signal)
      // What came before the trouble is kept.
      for (const page of pages) await this.#keep(page)
      if (trouble) throw trouble
      return pages.length
    } finally {
      this.#scanning = false
    }
  }

  async *files(signal: AbortSignal): AsyncGenerator<InputFile> {
    const ending = new AbortController()
    const until = AbortSignal.any([signal, this.#closing.signal, ending.signal])
    const feeding = this.#o.feeder === undefined ? undefined : this.#feed(until)
    // A feeder in trouble ends the waiting for pages, and is told.
    feeding?.catch(() => ending.abort())
    try {
      yield* this.#folder.files(until)
    } finally {
      ending.abort()
    }
    await feeding
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#folder.close()
  }

  async #feed(until: AbortSignal): Promise<void> {
    const { clock, lookMs = 5_000 } = this.#o
    while (!until.aborted)
      try {
        await this.scan(until)
        await clock.sleep(lookMs, until)
      } catch (error) {
        if (!until.aborted) throw error
      }
  }

  /** Scans; gives the whole pages by their name in the folder, and what ended the scan if it was not the last of them. */
  async #run(signal: AbortSignal): Promise<{ pages: string[]; trouble?: Problem }> {
    const { clock, directory, device, resolution = 300, feeder, more = [], limitMs = 120_000 } = this.#o
    const args = [
      ...(device ? [`--device-name=${device}`] : []),
      ...(feeder ? [`--source=${feeder}`] : ['--batch-count=1']),
      '--format=jpeg',
      `--resolution=${resolution}`,
      `--batch=${directory}/${unfinished}%d.jpg`,
      '--batch-print',
      ...more,
    ]
    try {
      const done = await runCommand('scanimage', args, {
        clock,
        signal,
        limitMs,
        outputMaxBytes: saidMaxBytes,
        lastWords,
      })
      const pages = pagesIn(done.output)
      // Its exit code alone is not to be trusted: a device that fails may end it with a signal that it takes for the end.
      const status = Number([...done.said.matchAll(/status = (\d+)\)/g)].at(-1)?.[1] ?? done.code)
      const isEmpty = status === noPaper || (feeder !== undefined && /out of documents/.test(done.said))
      if (isEmpty || (pages.length > 0 && (done.code === 0 || done.overstayed) && status === goodStatus))
        return { pages }
      return { pages, trouble: partProblem('input', kindOf(status, done.said), done.said.trim()) }
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      const kind = error.failure === 'missing' ? 'unsupported' : error.failure === 'timeout' ? 'timeout' : 'failed'
      return { pages: pagesIn(error.output), trouble: partProblem('input', kind, error.message, { cause: error }) }
    }
  }

  async #keep(page: string): Promise<void> {
    const { files, directory, clock } = this.#o
    const time = localStamp(clock.now())
    const handle = await files.open(`${directory}/${page}`, 'write')
    await handle.sync().finally(() => handle.close())
    let name = ''
    do name = `scan-${time}-${String(++this.#pages).padStart(4, '0')}.jpg`
    while (await files.stat(`${directory}/${name}`))
    await files.rename(`${directory}/${page}`, `${directory}/${name}`)
    await files.syncDirectory(directory)
  }

  /** What was half scanned when the power or the scanner went. */
  async #tidy(): Promise<void> {
    const { files, directory } = this.#o
    for (const left of await files.list(directory))
      if (left.startsWith(unfinished)) await files.remove(`${directory}/${left}`)
  }
}

/** The whole pages that were printed, by their names in the folder; a line that was cut short names none. */
function pagesIn(output: Uint8Array): string[] {
  const lines = new TextDecoder().decode(output).split('\n').slice(0, -1)
  return lines.filter(Boolean).map((path) => path.slice(path.lastIndexOf('/') + 1))
}

function kindOf(status: number, said: string): PartErrorKind {
  if (/no SANE devices|open of device .* failed/i.test(said)) return /busy/i.test(said) ? 'busy' : 'absent'
  if (/unrecognized option|bad value/i.test(said)) return 'unsupported'
  return kinds[status] ?? 'failed'
}
