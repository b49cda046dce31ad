/** A camera board in a child process (`device-process.ts`), worked by hand from here, and killed. */
import { type ChildProcess, fork } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { leanEnvironment } from '@azukari/protocol/adapters/lean-memory'
import { Problem } from '@azukari/protocol/problem'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'
import { watchProgress } from '../testkit/progress.ts'
import type { DeviceReport, FromDevice, ToDevice } from './device-process.ts'

const entry = fileURLToPath(new URL('./device-process.ts', import.meta.url))
const readyMs = 20_000

export interface DeviceChildOptions {
  folder: string
  url: string
  claim: string
}

export class DeviceChild {
  readonly #options: DeviceChildOptions
  readonly #waiting = new Map<number, { resolve(answer: FromDevice): void; reject(problem: Problem): void }>()
  #child: ChildProcess | undefined
  #killing: ChildProcess | undefined
  /** Times that the process ended without being killed from here: it must never. */
  crashes = 0
  #card: VirtualCard | undefined
  #asked = 0

  constructor(options: DeviceChildOptions) {
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  async start(): Promise<void> {
    const { folder, url, claim } = this.#options
    const child = fork(entry, [folder, url, claim], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...leanEnvironment, NODE_COMPILE_CACHE: join(tmpdir(), 'azukari-compile-cache'), ...process.env },
    })
    this.#child = child
    await new Promise<void>((resolve, reject) => {
      const limit = watchProgress(child.pid!, readyMs, () => {
        child.kill('SIGKILL')
        reject(new Problem('service.unavailable', 'the device did not start'))
      })
      child.on('message', (message: FromDevice) => {
        if (this.#child !== child) return
        if (message.say === 'ready') {
          limit[Symbol.dispose]()
          resolve()
        } else this.#hear(message)
      })
      child.once('exit', () => {
        limit[Symbol.dispose]()
        if (this.#killing !== child) this.crashes++
        // The reader has no power any more: whatever the card was doing ends here.
        this.#card?.powerOff()
        if (this.#child === child) this.#child = undefined
        for (const { reject } of this.#waiting.values()) reject(new Problem('part.absent', 'the device is gone'))
        this.#waiting.clear()
        reject(new Problem('part.absent', 'the device is gone'))
      })
    })
    if (this.#card) this.#send({ do: 'insert' })
  }

  insert(card: VirtualCard): void {
    this.#card = card
    this.#send({ do: 'insert' })
  }

  remove(): void {
    this.#card?.powerOff()
    this.#card = undefined
    this.#send({ do: 'remove' })
  }

  /** Presses the shutter; resolves with the object's id when the device says that it is kept on it. @throws {Problem} `part.absent` when it died meanwhile */
  async press(seed: number, picture: number, pin: string): Promise<{ object?: string; problem?: string }> {
    const answer = await this.#ask((id) => ({ do: 'press', id, seed, picture, pin }))
    return answer.say === 'pressed' ? answer : {}
  }

  /** @throws {Problem} `part.absent` */
  async report(): Promise<DeviceReport> {
    const answer = await this.#ask((id) => ({ do: 'report', id }))
    if (answer.say !== 'report') throw new Problem('internal')
    return answer.report
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child) return
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    this.#killing = child
    child.kill('SIGKILL')
    await gone
  }

  #hear(message: FromDevice): void {
    if (message.say === 'reset') this.#card?.reset()
    else if (message.say === 'apdu')
      this.#send({ do: 'answer', id: message.id, bytes: this.#card?.transmit(message.bytes) ?? new Uint8Array() })
    else if (message.say !== 'ready') {
      this.#waiting.get(message.id)?.resolve(message)
      this.#waiting.delete(message.id)
    }
  }

  #ask(message: (id: number) => ToDevice): Promise<FromDevice> {
    const id = ++this.#asked
    return new Promise((resolve, reject) => {
      if (!this.#child) return reject(new Problem('part.absent', 'the device is gone'))
      this.#waiting.set(id, { resolve, reject })
      this.#send(message(id))
    })
  }

  #send(message: ToDevice): void {
    if (this.#child?.connected) this.#child.send(message, () => undefined)
  }
}
