/**
 * Buttons, lamps, buzzer and light sensor on an Arduino-class board with Firmata (S17): johnny-five over firmata-io over a
 * serial line. An unplugged board is found again, and its lamps are set as they were.
 */
import { type Button, type Lamp, type LampState, Listeners, type Panel, partProblem } from '@azukari/device/drivers'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import five from 'johnny-five'
import { type FirmataIo, firmataOver } from './firmata-io.ts'
import { SerialLine } from './serial-port.ts'
import { SettledPress } from './settled-press.ts'

/** Which pin is which; buttons pull to ground. */
export interface PanelPins {
  buttons: Readonly<Partial<Record<Button, number>>>
  lamps: Readonly<Partial<Record<Lamp, number>>>
  buzzer?: number
  /** Analog channel of the ambient light sensor. */
  light?: number
}

export interface FirmataPanelOptions {
  path: string
  pins: PanelPins
  clock: Clock
  log: Log
  baudRate?: number
  againMs?: number
}

/** Pins of the wiring in `docs/drivers.md`. */
export const usualPins: PanelPins = {
  buttons: { shutter: 2, ok: 3, cancel: 4, up: 5, down: 6 },
  lamps: { ready: 9, busy: 10, problem: 11 },
  buzzer: 8,
  light: 0,
}

/** A board that says nothing for so long after opening is no Firmata board, or hangs: the line is opened anew. */
const greetMs = 4_000
const blinkMs = 300
const sensorMs = 250
/** Level of a pulled-up pin. */
const released = 1
/** How often a board is asked whether it still lives; one that misses two is opened anew. */
const aliveMs = 1_500

interface Wired {
  lamps: Map<Lamp, five.Led>
  buzzer: five.Piezo | undefined
  sensor: five.Sensor | undefined
}

export class FirmataPanel implements Panel {
  readonly model = 'Firmata panel'
  readonly buttons: readonly Button[]
  readonly lamps: readonly Lamp[]
  readonly entry = []
  readonly #o: FirmataPanelOptions
  readonly #line: SerialLine
  readonly #listeners = new Listeners<Button>()
  readonly #wanted = new Map<Lamp, LampState>()
  /** The present opening's board; what earlier ones still say counts no more. */
  #board: five.Board | undefined
  #io: FirmataIo | undefined
  #wired: Wired | undefined
  #greeting: Timer | undefined
  #alive: Timer | undefined
  #missed = 0
  #light: number | undefined
  #closed = false

  constructor(options: FirmataPanelOptions) {
    this.#o = options
    this.buttons = Object.keys(options.pins.buttons) as Button[]
    this.lamps = Object.keys(options.pins.lamps) as Lamp[]
    const { path, baudRate = 57_600, clock, log, againMs } = options
    this.#line = new SerialLine(
      { path, baudRate, clock, log, ...(againMs ? { againMs } : {}) },
      { opened: (port) => this.#greet(port), lost: () => this.#lost() },
    )
  }

  /** Whether the board is there and answers. */
  get isReady(): boolean {
    return this.#wired !== undefined
  }

  /** Light around the board, 0 (dark) to 1; undefined without a sensor or before its first report. */
  get light(): number | undefined {
    return this.#light
  }

  onButton(listener: (button: Button) => void): Disposable {
    return this.#listeners.add(listener)
  }

  async lamp(lamp: Lamp, state: LampState): Promise<void> {
    if (!this.lamps.includes(lamp)) throw partProblem('panel', 'unsupported', `no lamp ${lamp}`)
    if (this.#closed) throw partProblem('panel', 'absent', 'closed')
    // What it should show is remembered, so that a board that comes back shows it.
    this.#wanted.set(lamp, state)
    if (!this.#wired) throw partProblem('panel', 'absent', 'the board does not answer')
    set(this.#wired.lamps.get(lamp)!, state)
  }

  /** A short tone. @throws {Problem} `part.unsupported` without a buzzer, `part.absent` */
  async beep(hertz = 880, ms = 120): Promise<void> {
    if (this.#o.pins.buzzer === undefined) throw partProblem('panel', 'unsupported', 'no buzzer')
    if (!this.#wired?.buzzer) throw partProblem('panel', 'absent', 'the board does not answer')
    this.#wired.buzzer.frequency(hertz, ms)
  }

  async askPin(): Promise<string> {
    throw partProblem('panel', 'unsupported', 'no keys')
  }

  async askText(): Promise<string> {
    throw partProblem('panel', 'unsupported', 'no keys')
  }

  async choose(): Promise<number> {
    throw partProblem('panel', 'unsupported', 'no keys')
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#greeting?.cancel()
    this.#alive?.cancel()
    for (const led of this.#wired?.lamps.values() ?? []) led.stop().off()
    await this.#line.close()
    this.#lost()
  }

  #greet(port: Parameters<typeof firmataOver>[0]): void {
    const io = firmataOver(port)
    this.#greeting = this.#o.clock.timer(greetMs, () => this.#line.reset('no Firmata board answers'))
    const board = new five.Board({ io, repl: false, debug: false, sigint: false })
    this.#board = board
    this.#io = io
    board.on('ready', () => {
      if (board !== this.#board) return
      this.#greeting?.cancel()
      this.#wire(board)
      io.on('reportversion', () => {
        this.#missed = 0
      })
      this.#missed = 0
      this.#askAlive(io)
      for (const [lamp, state] of this.#wanted) set(this.#wired!.lamps.get(lamp)!, state)
    })
    board.on('error', (error) => {
      if (board === this.#board) this.#line.reset(String(error))
    })
  }

  #askAlive(io: FirmataIo): void {
    this.#alive = this.#o.clock.timer(aliveMs, () => {
      if (this.#missed >= 2) return this.#line.reset('the board stopped answering')
      this.#missed++
      io.reportVersion(() => undefined)
      this.#askAlive(io)
    })
  }

  #wire(board: five.Board): void {
    const { buttons, lamps, buzzer, light } = this.#o.pins
    for (const name of this.buttons) {
      const button = new five.Button({ board, pin: buttons[name]!, isPullup: true })
      const contact = new SettledPress(this.#o.clock)
      button.on('press', () => contact.closed() && this.#listeners.emit(name))
      button.on('release', () => contact.opened())
    }
    const sensor = light === undefined ? undefined : new five.Sensor({ board, pin: `A${light}`, freq: sensorMs })
    this.#wired = {
      lamps: new Map(this.lamps.map((lamp) => [lamp, new five.Led({ board, pin: lamps[lamp]! })])),
      buzzer: buzzer === undefined ? undefined : new five.Piezo({ board, pin: buzzer }),
      sensor,
    }
    sensor?.on('data', () => {
      this.#light = Number(sensor.value) / 1023
    })
  }

  #lost(): void {
    this.#greeting?.cancel()
    this.#alive?.cancel()
    for (const led of this.#wired?.lamps.values() ?? []) led.stop()
    this.#wired?.sensor?.disable()
    // A button that was held when the board went would be counted as held for ever.
    if (this.#wired)
      for (const pin of Object.values(this.#o.pins.buttons)) this.#io?.emit(`digital-read-${pin}`, released)
    if (this.#board) forget(this.#board)
    this.#board = undefined
    this.#io = undefined
    this.#wired = undefined
    this.#light = undefined
  }
}

function set(led: five.Led, state: LampState): void {
  led.stop()
  if (state === 'blink') led.blink(blinkMs)
  else if (state === 'on') led.on()
  else led.off()
}

/** johnny-five remembers every board for ever, and worries for ten seconds about one that does not answer. */
function forget(board: five.Board): void {
  clearTimeout(board.timer)
  const at = five.Board.cache.indexOf(board)
  if (at >= 0) five.Board.cache.splice(at, 1)
}
