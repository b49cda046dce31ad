/**
 * Driver contracts of a board's parts (S17, D2). A contract erases what differs between parts: every call may fail, with
 * a `Problem` of the small set below; what waits takes an `AbortSignal`; how a part is configured is not its business.
 * Each contract has a conformance suite, run on the simulated part and on real ones (`conformance/`).
 */
import type { Static, TSchema } from '@azukari/protocol/contract'
import type { Language } from '@azukari/protocol/finding-text'
import type { Clock, Files, Log, Random } from '@azukari/protocol/ports'
import { Problem, type ProblemCode, type ProblemOptions } from '@azukari/protocol/problem'

/** What can be wrong with a part. Each driver maps its own errors to these, so that apps need to know no part. */
export type PartErrorKind =
  | 'absent'
  | 'busy'
  | 'failed'
  | 'unsupported'
  | 'out-of-media'
  | 'jam'
  | 'full'
  | 'read-only'
  | 'removed'
  | 'timeout'
  | 'cancelled'
export type PartKind = 'camera' | 'printer' | 'reader' | 'panel' | 'display' | 'input' | 'memory' | 'power'

/** Kinds that say the same for any part. */
const general: Record<PartErrorKind, ProblemCode> = {
  absent: 'part.absent',
  busy: 'part.busy',
  failed: 'part.failed',
  unsupported: 'part.unsupported',
  'out-of-media': 'printer.out-of-paper',
  jam: 'printer.jam',
  full: 'memory.full',
  'read-only': 'memory.read-only',
  removed: 'part.absent',
  timeout: 'part.timeout',
  cancelled: 'panel.cancelled',
}

/** Where a part has a better word for it. */
const particular: Partial<Record<PartKind, Partial<Record<PartErrorKind, ProblemCode>>>> = {
  camera: { absent: 'camera.offline', removed: 'camera.offline', failed: 'camera.failed', timeout: 'camera.offline' },
  printer: {
    absent: 'printer.offline',
    removed: 'printer.offline',
    timeout: 'printer.offline',
    unsupported: 'printer.unsupported',
  },
  reader: { absent: 'card.absent', removed: 'card.removed', failed: 'reader.failed', unsupported: 'card.unsupported' },
  panel: { timeout: 'panel.unanswered' },
  memory: { absent: 'memory.absent', removed: 'memory.absent', failed: 'storage.failed' },
}

/** A part's error as a problem. @param detail for the log: what the part itself said */
export function partProblem(
  part: PartKind,
  kind: PartErrorKind,
  detail?: string,
  options: ProblemOptions = {},
): Problem {
  return new Problem(particular[part]?.[kind] ?? general[kind], detail, options)
}

/** Every problem code that a part may answer with; conformance suites check that there are no others. */
export function partProblemCodes(part: PartKind): Set<ProblemCode> {
  return new Set((Object.keys(general) as PartErrorKind[]).map((kind) => particular[part]?.[kind] ?? general[kind]))
}

/** An abort is not a fault of the part: the signal's own reason is thrown. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  signal?.throwIfAborted()
}

/** What every part has. `close` may be called twice and lets go of the part. */
export interface Part {
  readonly model: string
  /** Whether the part is attached and answers; undefined when the driver cannot know without using it. */
  readonly isReady?: boolean | undefined
  /** What somebody must do before the part can be used, for `doctor`; undefined when nothing. */
  advice?(): Promise<string | undefined>
  close(): Promise<void>
}

/** Listeners per event source; one more is our mistake and throws. */
const listenersMax = 16

export interface Captured {
  bytes: Uint8Array
  /** `image/jpeg` as a rule. */
  mediaType: string
  takenAtMs: number
}

export interface Camera extends Part {
  /** Where a person must put the picture, for cameras that are a folder. */
  readonly waitsFor?: string
  /** Takes one picture and gives it whole, as the camera made it. One at a time: else `part.busy`. */
  capture(signal: AbortSignal): Promise<Captured>
}

/** Pixels by rows from the top left: 4 bytes each, red, green, blue, alpha. */
export interface Raster {
  width: number
  height: number
  rgba: Uint8Array
}

export interface PrinterAttributes {
  ready: boolean
  /** What keeps it from printing. */
  reason?: PartErrorKind
  /** Names of paper that is loaded, the usual one first. */
  media: string[]
  /** Largest page in pixels. */
  maxWidth: number
  maxHeight: number
}

export interface PrintRequest {
  /** Upright already: turned as EXIF says. */
  page: Raster
  title: string
  copies: number
  media?: string
}

export interface PrintProgress {
  stage: 'sent' | 'printing' | 'printed'
  /** Copies that have come out. */
  copies: number
}

export interface Printer extends Part {
  attributes(signal: AbortSignal): Promise<PrinterAttributes>
  /**
   * Resolves only when all copies have come out. Aborting stops before the next copy. Copies already out are in the
   * problem's `data.copies`.
   */
  print(request: PrintRequest, signal: AbortSignal, progress?: (progress: PrintProgress) => void): Promise<void>
}

/** How a card is at the reader (S14). */
export type CardPresence = 'contact' | 'contactless' | 'built-in'

export interface CardEvent {
  type: 'inserted' | 'removed'
  kind: CardPresence
}

export interface CardReader extends Part {
  /** Called for every card that comes or goes; a listener that throws is our bug, not the reader's. */
  onCard(listener: (event: CardEvent) => void): Disposable
  /** What is at the reader now. */
  cards(): readonly CardPresence[]
  /**
   * Powers the card and takes it for us alone, freshly reset: no PIN state of others.
   * @throws {Problem} `card.absent`, `card.two`, `part.busy`, `reader.failed`
   */
  connect(signal: AbortSignal): Promise<CardChannel>
}

export interface CardChannel {
  readonly kind: CardPresence
  /**
   * One command, one answer. An answer of fewer than two bytes means that the card lost power; a card known to be gone
   * is `card.removed`.
   */
  transmit(apdu: Uint8Array, signal: AbortSignal): Promise<Uint8Array>
  /** Resets the card and gives it free; may be called twice. */
  disconnect(): Promise<void>
}

export type Lamp = 'ready' | 'busy' | 'problem'
export type LampState = 'off' | 'on' | 'blink'
export type Button = 'shutter' | 'ok' | 'cancel' | 'up' | 'down'

/** What a person can enter at a panel, beside pressing its buttons. */
export type Entry = 'pin' | 'text' | 'choice'

export interface Question {
  prompt: string
  /** Nobody answers for so long, and the question ends by itself: `panel.unanswered`. */
  limitMs: number
}

export interface PinQuestion extends Question {
  digits: { min: number; max: number }
  /** Tries that are left before the card is blocked, when they are fewer than usual. */
  triesLeft?: number
}

export interface TextQuestion extends Question {
  maxLength: number
  /** A password: what is entered is not to be read on the panel. */
  isSecret?: boolean
}

export interface Choice {
  label: string
  detail?: string
  /** Asked for by panels that can show it, when a person would see it; undefined when there is none. */
  picture?(signal: AbortSignal): Promise<Raster | undefined>
}

export interface ChoiceQuestion extends Question {
  choices: readonly Choice[]
}

/** What the buttons do now, in words; buttons without words do nothing now. */
export interface Guide {
  language: Language
  buttons: Readonly<Partial<Record<Button, string>>>
}

/**
 * Questions: one at a time (else `part.busy`), and what the panel has no keys for is `part.unsupported`. They end with
 * `panel.cancelled` when the person presses cancel, `panel.unanswered` when nobody answers, and at once with the
 * signal's reason when it is aborted. A panel keeps and logs nothing of what is entered.
 */
export interface Panel extends Part {
  readonly buttons: readonly Button[]
  readonly lamps: readonly Lamp[]
  readonly entry: readonly Entry[]
  onButton(listener: (button: Button) => void): Disposable
  /** A lamp that the panel lacks is `part.unsupported`. */
  lamp(lamp: Lamp, state: LampState): Promise<void>
  /** Digits, as many as the question allows. */
  askPin(question: PinQuestion, signal: AbortSignal): Promise<string>
  /** What the person wrote, in any script: trimmed, NFC, in one line, not empty, at most `maxLength` UTF-16 units. */
  askText(question: TextQuestion, signal: AbortSignal): Promise<string>
  /** The index of one of the choices. */
  choose(question: ChoiceQuestion, signal: AbortSignal): Promise<number>
  /** For panels that can show words at their buttons. */
  guide?(guide: Guide): void
}

export interface Shown {
  /** Short lines, the most important first. */
  lines: readonly string[]
  picture?: Raster
  tone?: 'calm' | 'busy' | 'good' | 'problem'
}

/** A picture, sound or film that is read while it is played; nothing of it is kept. */
export interface Medium {
  title: string
  mediaType: string
  sizeBytes: number
  /** Up to `length` bytes from any place on; one after the other. */
  read(at: number, length: number): Promise<Uint8Array>
}

/** What plays on a display. */
export interface Player {
  /** Whether it may be able to; what cannot be played after all is `part.unsupported`. */
  plays(mediaType: string): boolean
  /**
   * Resolved when it was played to its end. Until then it is gone when `signal` aborts.
   * @param begun called when a person can see or hear it
   * @throws {Problem} `part.absent` when nobody can see it, `part.unsupported`, `part.busy`, what `read` throws, the signal's reason
   */
  play(medium: Medium, begun: () => void, signal: AbortSignal): Promise<void>
}

export interface Display extends Part {
  /** Lines that fit; more are cut by the display. */
  readonly rows: number
  /** Replaces what is shown; resolved when a person can see it. */
  show(shown: Shown): Promise<void>
  /** A display that can be touched or has a keyboard: what is entered on it. */
  readonly touch?: Panel
  /** A display that plays sound and films. */
  readonly player?: Player
  /** Where a browser finds it, for whoever starts one; a secret of this machine. */
  readonly address?: string
}

export interface InputFile {
  name: string
  mediaType: string
  sizeBytes: number
  /** Up to `length` bytes from `at`; shorter only at the end. */
  read(at: number, length: number): Promise<Uint8Array>
  /** Taken over: it does not come again. A file that was not done comes again after a restart. */
  done(): Promise<void>
}

export interface LocalInput extends Part {
  /** Whole files as they come, one after the other; ends when aborted. */
  files(signal: AbortSignal): AsyncIterable<InputFile>
}

export interface MemoryEntry {
  name: string
  sizeBytes: number
}

export interface MemoryFile {
  sizeBytes: number
  /** @param into memory that may be used for what is returned */
  read(at: number, length: number, into?: Uint8Array): Promise<Uint8Array>
  close(): Promise<void>
}

/** Names on removable memory: letters, digits, `.`, `_`, `-`; not starting with a dot. */
export const memoryNamePattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/

export interface RemovableMemory extends Part {
  /** Stores a file whole or not at all, replacing one of that name; resolved when it outlasts a power cut. */
  put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>
  /** Whole files, by name. */
  list(): Promise<MemoryEntry[]>
  /** @throws {Problem} `object.unknown` when there is none of that name */
  open(name: string): Promise<MemoryFile>
  /** Absent is no error. */
  remove(name: string): Promise<void>
  freeBytes(): Promise<number>
}

/** What feeds the board, and how warm it is; what it cannot tell is absent. */
export interface PowerState {
  /** From the mains, or a battery that is being charged. */
  isOnMains?: boolean
  /** 0–100. */
  batteryPercent?: number
  /** Of its hottest sensor, °C. */
  temperatureC?: number
}

/** How the board is fed (W4). Reading costs nothing that a person would notice. */
export interface Power extends Part {
  /** @throws {Problem} `part.failed` */
  state(): Promise<PowerState>
}

/** The parts of a board; what a board lacks is absent. */
export interface Board {
  model: string
  camera?: Camera
  printer?: Printer
  reader?: CardReader
  panel?: Panel
  display?: Display
  /** By name: `scanner`, `pc`. */
  inputs?: Readonly<Record<string, LocalInput>>
  memory?: RemovableMemory
  power?: Power
}

/** What a driver is given to make its part with. */
export interface PartPorts {
  clock: Clock
  random: Random
  files: Files
  log: Log
  /** Folder for parts that work on folders. */
  directory: string
}

/** What a board module is given to make its parts with. */
export interface BoardPorts extends PartPorts {
  /** What the board's file says, when the board is written down as data. */
  definition?: unknown
  /** Folder of that file: drivers that it names are looked for from there. */
  from?: string
}

/** The part that serves a contract. */
export type PartOf<K extends PartKind> = K extends 'input' ? LocalInput : NonNullable<Board[Exclude<K, 'input'>]>
export type AnyPart = PartOf<PartKind>

/** What the module of a driver exports as `driver` (`docs/drivers.md`). */
export interface DriverDefinition<K extends PartKind = PartKind, Options extends TSchema = TSchema> {
  contract: K
  /** One line, for people. */
  what: string
  /** Schema of its options in a board's file: TypeBox or plain JSON Schema. */
  options: Options
  /** Packages that its board installs for it, as `npm install` takes them. */
  needs?: readonly string[]
  /** @throws {Problem} when the part cannot be made; one that is unplugged now is made, and says so when it is asked */
  make(options: Static<Options>, ports: PartPorts): PartOf<K> | Promise<PartOf<K>>
}

/** Gives a driver's `make` the types of its contract and its options. */
export function defineDriver<K extends PartKind, Options extends TSchema>(
  definition: DriverDefinition<K, Options>,
): DriverDefinition<K, Options> {
  return definition
}

/** A module that `azukari-device run --board` can load: the runtime imports no board, it is told which one to load. */
export interface BoardModule {
  board(ports: BoardPorts): Board | Promise<Board>
}

/** Closes all parts of a board; the first problem is thrown after all were tried. */
export async function closeBoard(board: Board): Promise<void> {
  const parts = [
    board.camera,
    board.printer,
    board.reader,
    board.panel,
    board.display,
    board.memory,
    board.power,
    ...Object.values(board.inputs ?? {}),
  ]
  const results = await Promise.allSettled(parts.map((part) => part?.close()))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

/** A bounded set of listeners for parts that have events. */
export class Listeners<Event> {
  readonly #listeners = new Set<(event: Event) => void>()

  add(listener: (event: Event) => void): Disposable {
    if (this.#listeners.size >= listenersMax) throw new Problem('internal', `more than ${listenersMax} listeners`)
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  emit(event: Event): void {
    for (const listener of [...this.#listeners]) listener(event)
  }
}

interface Asked<Q> {
  id: number
  question: Q
  settle: { resolve(answer: unknown): void; reject(reason: unknown): void }
}

/** For panels: the one question that is open, and its ways to end. */
export class OpenQuestion<Q extends Question> {
  readonly #clock: Clock
  readonly #onChange: () => void
  #asked: Asked<Q> | undefined
  #ids = 0
  #isClosed = false

  /** @param onChange called when a question has come or gone */
  constructor(clock: Clock, onChange: () => void = () => undefined) {
    this.#clock = clock
    this.#onChange = onChange
  }

  /** The open question and its number, which is never used again. */
  get current(): { id: number; question: Q } | undefined {
    return this.#asked
  }

  async ask<Answer>(question: Q, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted()
    if (this.#isClosed) throw partProblem('panel', 'absent', 'closed')
    if (this.#asked) throw partProblem('panel', 'busy', 'another question is open')
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const left = () => reject(signal.reason)
    signal.addEventListener('abort', left, { once: true })
    using _limit = this.#clock.timer(question.limitMs, () => reject(partProblem('panel', 'timeout')))
    this.#asked = { id: ++this.#ids, question, settle: { resolve, reject } }
    try {
      this.#onChange()
      return (await promise) as Answer
    } finally {
      signal.removeEventListener('abort', left)
      this.#asked = undefined
      this.#onChange()
    }
  }

  /** The person's answer; false when that question is not open. */
  answer(id: number, answer: unknown): boolean {
    if (this.#asked?.id !== id) return false
    this.#asked.settle.resolve(answer)
    return true
  }

  /** The person does not want to answer; false when nothing is open. */
  cancel(): boolean {
    this.#asked?.settle.reject(partProblem('panel', 'cancelled'))
    return this.#asked !== undefined
  }

  /** Ends what is open; nothing can be asked any more. */
  close(): void {
    this.#isClosed = true
    this.#asked?.settle.reject(partProblem('panel', 'absent', 'closed'))
  }
}
