/** A simulated panel: buttons are pressed and PINs typed by tests, the simulation, or a person at the bench page. */
import { type Button, type Lamp, type LampState, Listeners, type Panel, partProblem } from '@azukari/device/drivers'
import { Faults } from './fault.ts'

export interface SimulatedPanelOptions {
  model?: string
  buttons?: readonly Button[]
  lamps?: readonly Lamp[]
  /** Whether it has keys for a PIN; true by default. */
  pinPad?: boolean
  /** What the person types when asked; without it the question waits for `typePin` or `cancelPin`. */
  person?: (prompt: string) => string | undefined
}

export class SimulatedPanel implements Panel {
  readonly model: string
  readonly buttons: readonly Button[]
  readonly lamps: readonly Lamp[]
  readonly faults = new Faults('panel')
  readonly lampStates = new Map<Lamp, LampState>()
  /** What the person is asked just now. */
  prompt: string | undefined
  /** What the person types when asked. */
  person: ((prompt: string) => string | undefined) | undefined
  readonly #pinPad: boolean
  readonly #listeners = new Listeners<Button>()
  #answer: ((pin: string | undefined) => void) | undefined
  #closed = false

  constructor(options: SimulatedPanelOptions = {}) {
    this.model = options.model ?? 'Azukari Simulated Panel'
    this.buttons = options.buttons ?? ['shutter', 'ok', 'cancel', 'up', 'down']
    this.lamps = options.lamps ?? ['ready', 'busy', 'problem']
    this.#pinPad = options.pinPad ?? true
    this.person = options.person
    for (const lamp of this.lamps) this.lampStates.set(lamp, 'off')
  }

  press(button: Button): void {
    if (button === 'cancel' && this.#answer) this.cancelPin()
    this.#listeners.emit(button)
  }

  typePin(pin: string): void {
    this.#answer?.(pin)
  }

  cancelPin(): void {
    this.#answer?.(undefined)
  }

  onButton(listener: (button: Button) => void): Disposable {
    return this.#listeners.add(listener)
  }

  async lamp(lamp: Lamp, state: LampState): Promise<void> {
    this.#check()
    if (!this.lamps.includes(lamp)) throw partProblem('panel', 'unsupported', `no lamp ${lamp}`)
    this.lampStates.set(lamp, state)
  }

  async askPin(prompt: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    this.#check()
    if (!this.#pinPad) throw partProblem('panel', 'unsupported', 'no keys')
    if (this.#answer) throw partProblem('panel', 'busy', 'a PIN is being asked for')
    const pin = this.person ? this.person(prompt) : await this.#wait(prompt, signal)
    if (pin === undefined) throw partProblem('panel', 'cancelled')
    return pin
  }

  async close(): Promise<void> {
    this.#closed = true
    this.cancelPin()
  }

  async #wait(prompt: string, signal: AbortSignal): Promise<string | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
    const aborted = () => reject(signal.reason)
    signal.addEventListener('abort', aborted, { once: true })
    this.#answer = resolve
    this.prompt = prompt
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', aborted)
      this.#answer = undefined
      this.prompt = undefined
    }
  }

  #check(): void {
    if (this.#closed) throw partProblem('panel', 'absent', 'closed')
    this.faults.check()
  }
}
