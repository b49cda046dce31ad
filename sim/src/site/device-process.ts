/**
 * A camera board in a process of its own, so that tests can kill it (kill -9) at any moment. The card stays with the
 * person, outside: the reader here carries commands over IPC to whoever started this process, as a wire would, so that
 * a card outlives the device that was writing on it.
 *
 *   node device-process.ts FOLDER MQTT-URL CLAIM
 */
import { mkdirSync } from 'node:fs'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import {
  type Camera,
  type CardChannel,
  type CardEvent,
  type CardReader,
  Listeners,
  partProblem,
} from '@azukari/device/drivers'
import { Runtime } from '@azukari/device/runtime'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { SimulatedDisplay, SimulatedPanel } from '../testkit/boards/index.ts'
import { quietLog } from '../testkit/log.ts'
import { pictureOf } from './test-pictures.ts'

/** What the person does. `id` comes back in the answer. */
export type ToDevice =
  | { do: 'insert' | 'remove' }
  | { do: 'press'; id: number; seed: number; picture: number; pin: string }
  | { do: 'report'; id: number }
  | { do: 'answer'; id: number; bytes: Uint8Array }

export interface DeviceReport {
  link: string
  saves: { sha256: string; object: string; state: string; problem: string | undefined; servers: string[] }[]
  waitingActs: number
  /** Conditions on the card that is in; undefined without one. */
  conditions: number | undefined
  session: boolean
  spooled: number
}

export type FromDevice =
  | { say: 'ready'; device: string }
  | { say: 'reset' }
  | { say: 'apdu'; id: number; bytes: Uint8Array }
  | { say: 'pressed'; id: number; object?: string; problem?: string }
  | { say: 'report'; id: number; report: DeviceReport }

const say = (message: FromDevice) => void process.send?.(message, undefined, undefined, () => undefined)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

class WiredReader implements CardReader {
  readonly model = 'Azukari Simulated Reader, wired'
  readonly #listeners = new Listeners<CardEvent>()
  readonly #waiting = new Map<number, (answer: Uint8Array) => void>()
  #in = false
  #commands = 0

  set(isIn: boolean): void {
    if (isIn === this.#in) return
    this.#in = isIn
    if (!isIn) for (const id of [...this.#waiting.keys()]) this.answer(id, new Uint8Array())
    this.#listeners.emit({ type: isIn ? 'inserted' : 'removed', kind: 'contact' })
  }

  answer(id: number, bytes: Uint8Array): void {
    this.#waiting.get(id)?.(bytes)
    this.#waiting.delete(id)
  }

  onCard(listener: (event: CardEvent) => void): Disposable {
    return this.#listeners.add(listener)
  }

  cards() {
    return this.#in ? (['contact'] as const) : []
  }

  async connect(): Promise<CardChannel> {
    if (!this.#in) throw partProblem('reader', 'absent')
    say({ say: 'reset' })
    return {
      kind: 'contact',
      transmit: (apdu) => {
        if (!this.#in) throw partProblem('reader', 'removed')
        const id = ++this.#commands
        const { promise, resolve } = Promise.withResolvers<Uint8Array>()
        this.#waiting.set(id, resolve)
        say({ say: 'apdu', id, bytes: apdu })
        return promise
      },
      disconnect: async () => say({ say: 'reset' }),
    }
  }

  async close(): Promise<void> {}
}

/** Hands out bytes at once, of any content: the site keeps what it is given. */
class ByteCamera implements Camera {
  readonly model = 'Azukari byte generator'
  next: { seed: number; picture: number } | undefined

  async capture() {
    if (!this.next) throw partProblem('camera', 'failed', 'nothing to see')
    const bytes = pictureOf(this.next.seed, this.next.picture)
    return { bytes, mediaType: 'text/plain', takenAtMs: systemClock.now() }
  }

  async close(): Promise<void> {}
}

async function main(folder: string, url: string, claim: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const reader = new WiredReader()
  const camera = new ByteCamera()
  const board = {
    model: 'azukari-simulated-process',
    reader,
    camera,
    display: new SimulatedDisplay(),
    panel: new SimulatedPanel(),
  }
  const runtime = new Runtime(
    { site: 'site', roles: ['camera'], claim, model: board.model, version: '0.1.0', folder },
    {
      clock: systemClock,
      random: systemRandom,
      files: systemFiles(),
      database: await openDeviceDatabase(`${folder}/device.db`),
      transport: mqttTransport({ url }),
      log: quietLog,
    },
    board,
  )
  await runtime.start()

  async function press(id: number, seed: number, picture: number, pin: string): Promise<void> {
    camera.next = { seed, picture }
    try {
      say({ say: 'pressed', id, object: hex((await runtime.camera!.shutter(pin)).object) })
    } catch (error) {
      say({ say: 'pressed', id, problem: isProblem(error) ? error.code : String(error) })
    }
  }

  async function report(id: number): Promise<void> {
    const card = runtime.presence?.card
    say({
      say: 'report',
      id,
      report: {
        link: runtime.link.state,
        saves: (await runtime.saves.list(10_000)).map((save) => ({
          sha256: hex(save.sha256),
          object: hex(save.object),
          state: save.state,
          problem: save.problem,
          servers: save.receipt?.replicas.map(({ server }) => server) ?? [],
        })),
        waitingActs: (await runtime.outbox.waiting()).rows,
        conditions: card?.client.readConditions().length,
        session: card?.session !== undefined,
        spooled: (await systemFiles().list(`${folder}/spool`)).length,
      },
    })
  }

  process.on('message', (message: ToDevice) => {
    if (message.do === 'insert') reader.set(true)
    else if (message.do === 'remove') reader.set(false)
    else if (message.do === 'answer') reader.answer(message.id, message.bytes)
    else if (message.do === 'press') void press(message.id, message.seed, message.picture, message.pin)
    else if (message.do === 'report') void report(message.id)
  })
  process.once('disconnect', () => process.exit(0))
  say({ say: 'ready', device: runtime.identity.device })
}

if (process.argv[1] === import.meta.filename) {
  const [folder, url, claim] = process.argv.slice(2)
  if (!folder || !url || !claim) throw new Problem('config.invalid', 'FOLDER MQTT-URL CLAIM')
  await main(folder, url, claim)
}
