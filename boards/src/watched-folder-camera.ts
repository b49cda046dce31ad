/** Any camera that writes files: tethering software, a card synced by the camera, gphoto2. A capture is the next new picture. */
import { type Camera, type Captured, partProblem } from '@azukari/device/drivers'
import type { Clock, Files } from '@azukari/protocol/ports'
import { FolderIntake } from './folder-intake.ts'

export interface WatchedFolderCameraOptions {
  files: Files
  clock: Clock
  directory: string
  model?: string
  /** How long a capture waits for a picture; 60 s by default. */
  timeoutMs?: number
  lookMs?: number
}

/** Larger files are no photos. */
const photoMaxBytes = 128 * 1024 * 1024

export class WatchedFolderCamera implements Camera {
  readonly model: string
  readonly waitsFor: string
  readonly #options: WatchedFolderCameraOptions
  readonly #intake: FolderIntake
  #busy = false
  #closed = false

  constructor(options: WatchedFolderCameraOptions) {
    this.#options = options
    this.model = options.model ?? 'watched folder'
    this.waitsFor = options.directory
    this.#intake = new FolderIntake({ ...options, accepts: (name) => /\.jpe?g$/i.test(name) })
  }

  async capture(signal: AbortSignal): Promise<Captured> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('camera', 'absent', 'closed')
    if (this.#busy) throw partProblem('camera', 'busy')
    this.#busy = true
    const limit = new AbortController()
    using _ = this.#options.clock.timer(this.#options.timeoutMs ?? 60_000, () =>
      limit.abort(partProblem('camera', 'timeout', 'no picture came')),
    )
    try {
      if (!(await this.#intake.present())) throw partProblem('camera', 'absent', 'the folder is not there')
      const file = await this.#intake.next(AbortSignal.any([signal, limit.signal]))
      if (file.sizeBytes > photoMaxBytes)
        throw partProblem('camera', 'failed', `${file.name} has ${file.sizeBytes} bytes`)
      const bytes = await this.#intake.read(file, 0, file.sizeBytes)
      await this.#intake.take(file)
      return { bytes, mediaType: 'image/jpeg', takenAtMs: this.#options.clock.now() }
    } finally {
      this.#busy = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }
}
