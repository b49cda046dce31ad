/**
 * What an Arduino with StandardFirmata says (Firmata protocol 2.5): enough for buttons, lamps, a buzzer and an analog
 * sensor, with buttons that can be pressed and lamps that can be looked at.
 */
import type { SerialPort } from 'serialport'

const sysexStart = 0xf0
const sysexEnd = 0xf7
const pinCount = 20
/** Pins 14 to 19 are analog channels 0 to 5. */
const firstAnalog = 14
const mode = { input: 0, output: 1, analog: 2, pwm: 3, pullup: 11 } as const
const pwmPins: ReadonlySet<number> = new Set([3, 5, 6, 9, 10, 11])

export class FirmataFirmware {
  readonly #line: SerialPort
  /** What each pin is driven at: 0, 1, or up to 255 with PWM. */
  readonly driven = new Map<number, number>()
  readonly modes = new Map<number, number>()
  /** Level at each input pin; inputs with pull-up are high when nobody presses. */
  readonly #levels = new Array<number>(pinCount).fill(1)
  readonly #reporting = new Set<number>()
  #pending: number[] = []
  /** Says nothing, as a board that hangs. */
  isMute = false

  constructor(line: SerialPort) {
    this.#line = line
    line.on('data', (bytes: Buffer) => {
      for (const byte of bytes) this.#take(byte)
    })
  }

  press(pin: number): void {
    this.#level(pin, 0)
  }

  release(pin: number): void {
    this.#level(pin, 1)
  }

  /** Reports an analog value, 0 to 1023. */
  analog(channel: number, value: number): void {
    this.#say([0xe0 | channel, value & 0x7f, value >> 7])
  }

  /** Bytes that make no sense. */
  garbage(bytes: Uint8Array): void {
    this.#line.write(Buffer.from(bytes))
  }

  #level(pin: number, level: number): void {
    this.#levels[pin] = level
    const port = pin >> 3
    if (this.#reporting.has(port)) this.#report(port)
  }

  #report(port: number): void {
    let bits = 0
    for (let i = 0; i < 8; i++) if (this.#levels[port * 8 + i]) bits |= 1 << i
    this.#say([0x90 | port, bits & 0x7f, bits >> 7])
  }

  #take(byte: number): void {
    if (this.#pending.length === 0 && byte < 0x80) return
    this.#pending.push(byte)
    const command = this.#pending[0]!
    if (command === sysexStart) {
      if (byte !== sysexEnd) return
      this.#sysex(this.#pending.slice(1, -1))
    } else if (this.#pending.length < lengthOf(command)) return
    else this.#command(this.#pending)
    this.#pending = []
  }

  #command([command = 0, one = 0, two = 0]: number[]): void {
    const port = command & 0x0f
    if (command === 0xf9) this.#say([0xf9, 2, 5])
    else if (command === 0xf4) this.modes.set(one, two)
    else if (command === 0xf5) this.driven.set(one, two)
    else if ((command & 0xf0) === 0xd0) {
      if (one) this.#reporting.add(port)
      else this.#reporting.delete(port)
      if (one) this.#report(port)
    } else if ((command & 0xf0) === 0x90) {
      const bits = one | (two << 7)
      for (let i = 0; i < 8; i++)
        if (this.modes.get(port * 8 + i) === mode.output) this.driven.set(port * 8 + i, (bits >> i) & 1)
    } else if ((command & 0xf0) === 0xe0) this.driven.set(port, one | (two << 7))
  }

  #sysex([kind, ...rest]: number[]): void {
    if (kind === 0x79) {
      const name = [...'Azukari panel.ino'].flatMap((letter) => [
        letter.charCodeAt(0) & 0x7f,
        letter.charCodeAt(0) >> 7,
      ])
      this.#say([sysexStart, 0x79, 2, 5, ...name, sysexEnd])
    } else if (kind === 0x6b)
      this.#say([
        sysexStart,
        0x6c,
        ...Array.from({ length: pinCount }, (_, pin) => this.#modesOf(pin)).flat(),
        sysexEnd,
      ])
    else if (kind === 0x69)
      this.#say([
        sysexStart,
        0x6a,
        ...Array.from({ length: pinCount }, (_, pin) => (pin < firstAnalog ? 127 : pin - firstAnalog)),
        sysexEnd,
      ])
    else if (kind === 0x6d)
      this.#say([sysexStart, 0x6e, rest[0]!, this.modes.get(rest[0]!) ?? 0, this.#levels[rest[0]!]!, sysexEnd])
  }

  #modesOf(pin: number): number[] {
    const modes = pin < 2 ? [] : [mode.input, 1, mode.output, 1, mode.pullup, 1]
    if (pwmPins.has(pin)) modes.push(mode.pwm, 8)
    if (pin >= firstAnalog) modes.push(mode.analog, 10)
    return [...modes, 127]
  }

  #say(bytes: number[]): void {
    if (!this.isMute) this.#line.write(Buffer.from(bytes))
  }
}

function lengthOf(command: number): number {
  if (command === 0xf9 || command === 0xff) return 1
  return (command & 0xf0) === 0xc0 || (command & 0xf0) === 0xd0 ? 2 : 3
}
