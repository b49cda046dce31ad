/** A simulated panel: buttons are pressed and PINs typed by tests, the simulation, or a person at the bench page. */
import {
  type Button,
  type ChoiceQuestion,
  type Entry,
  type Lamp,
  type LampState,
  Listeners,
  OpenQuestion,
  type Panel,
  type PinQuestion,
  partProblem,
  type TextQuestion,
} from '@azukari/device/drivers'
import { systemClock } from '@azukari/protocol/adapters/clock'
import type { Clock } from '@azukari/protocol/ports'
import { Faults } from './fault.ts'

type Asked = PinQuestion | TextQuestion | ChoiceQuestion

export interface SimulatedPanelOptions {
  model?: string
  buttons?: readonly Button[]
  lamps?: readonly Lamp[]
  /** For the limits of questions; the system's by default. */
  clock?: Clock
  /** What it has keys for; a PIN by default. */
  entry?: readonly Entry[]
  /** The PIN that the person types when asked, undefined for cancel; without it the question waits. */
  person?: (question: PinQuestion) => string | undefined
}

export class SimulatedPanel implements Panel {
  readonly model: string
  readonly buttons: readonly Button[]
  readonly lamps: readonly Lamp[]
  readonly faults = new Faults('panel')
  readonly lampStates = new Map<Lamp, LampState>()
  readonly entry: readonly Entry[]
  /** The PIN that the person types when asked. */
  person: ((question: PinQuestion) => string | undefined) | undefined
  readonly #listeners = new Listeners<Button>()
  readonly #open: OpenQuestion<Asked>
  #closed = false

  constructor(options: SimulatedPanelOptions = {}) {
    this.model = options.model ?? 'Azukari Simulated Panel'
    this.buttons = options.buttons ?? ['shutter', 'ok', 'cancel', 'up', 'down']
    this.lamps = options.lamps ?? ['ready', 'busy', 'problem']
    this.entry = options.entry ?? ['pin']
    this.#open = new OpenQuestion(options.clock ?? systemClock)
    this.person = options.person
    for (const lamp of this.lamps) this.lampStates.set(lamp, 'off')
  }

  /** What the person is asked just now. */
  get asked(): Asked | undefined {
    return this.#open.current?.question
  }

  press(button: Button): void {
    if (button === 'cancel') this.#open.cancel()
    this.#listeners.emit(button)
  }

  typePin(pin: string): void {
    this.#answer(pin)
  }

  cancelPin(): void {
    this.#open.cancel()
  }

  write(text: string): void {
    this.#answer(text.trim().normalize('NFC'))
  }

  pick(index: number): void {
    this.#answer(index)
  }

  onButton(listener: (button: Button) => void): Disposable {
    return this.#listeners.add(listener)
  }

  async lamp(lamp: Lamp, state: LampState): Promise<void> {
    this.#check()
    if (!this.lamps.includes(lamp)) throw partProblem('panel', 'unsupported', `no lamp ${lamp}`)
    this.lampStates.set(lamp, state)
  }

  async askPin(question: PinQuestion, signal: AbortSignal): Promise<string> {
    if (!this.person) return this.#ask('pin', question, signal)
    signal.throwIfAborted()
    this.#check()
    const pin = this.person(question)
    if (pin === undefined) throw partProblem('panel', 'cancelled')
    return pin
  }

  askText(question: TextQuestion, signal: AbortSignal): Promise<string> {
    return this.#ask('text', question, signal)
  }

  choose(question: ChoiceQuestion, signal: AbortSignal): Promise<number> {
    return this.#ask('choice', question, signal)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#open.close()
  }

  async #ask<Answer>(entry: Entry, question: Asked, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted()
    this.#check()
    if (!this.entry.includes(entry)) throw partProblem('panel', 'unsupported', `no keys for a ${entry}`)
    return this.#open.ask<Answer>(question, signal)
  }

  #answer(answer: unknown): void {
    const { current } = this.#open
    if (current) this.#open.answer(current.id, answer)
  }

  #check(): void {
    if (this.#closed) throw partProblem('panel', 'absent', 'closed')
    this.faults.check()
  }
}
