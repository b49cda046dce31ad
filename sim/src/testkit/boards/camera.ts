/** A simulated camera: draws a scene and writes it as a camera does, or hands out the photos of a folder in order (S17, D2). */
import { type Camera, type Captured, partProblem } from '@azukari/device/drivers'
import { encodeJpeg, readExif, rotate, takenMsOf } from '@azukari/device/picture'
import type { Clock, Files, Random } from '@azukari/protocol/ports'
import { withExif } from './exif-writer.ts'
import { Faults } from './fault.ts'
import { drawScene } from './scene.ts'

export interface SimulatedCameraOptions {
  clock: Clock
  random: Random
  model?: string
  width?: number
  height?: number
  /** TIFF orientation 1 to 8; varied when absent. */
  orientation?: number
  /** How the camera's clock stands to UTC; 540 (Japan) by default. */
  offsetMinutes?: number
  position?: { latitude: number; longitude: number }
  /** How long a shot takes; at once by default. */
  delayMs?: number
  /** Photos of this folder instead of scenes, by name, over and over. */
  photos?: { files: Files; directory: string }
}

export class SimulatedCamera implements Camera {
  readonly model: string
  readonly faults = new Faults('camera')
  readonly #options: SimulatedCameraOptions
  #shots = 0
  #busy = false
  #closed = false

  constructor(options: SimulatedCameraOptions) {
    this.#options = options
    this.model = options.model ?? 'Azukari Simulated Camera'
  }

  /** Shots taken. */
  get shots(): number {
    return this.#shots
  }

  async capture(signal: AbortSignal): Promise<Captured> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('camera', 'absent', 'closed')
    if (this.#busy) throw partProblem('camera', 'busy')
    this.faults.check()
    this.#busy = true
    try {
      if (this.#options.delayMs) await this.#options.clock.sleep(this.#options.delayMs, signal)
      const captured = this.#options.photos ? await this.#fromFolder(this.#options.photos) : this.#draw()
      this.#shots++
      return captured
    } finally {
      this.#busy = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #draw(): Captured {
    const { clock, random, width = 640, height = 480, offsetMinutes = 540, position } = this.#options
    const orientation = this.#options.orientation ?? 1 + Math.floor(random.float() * 8)
    const scene = drawScene(random, width, height)
    // Stored so that turning it as the orientation says gives the scene: 6 and 8 undo each other, the others themselves.
    const stored = rotate(scene, orientation === 6 ? 8 : orientation === 8 ? 6 : orientation)
    // Full seconds: EXIF knows no finer.
    const takenAtMs = Math.floor(clock.now() / 1000) * 1000
    const facts = {
      orientation,
      takenAtMs,
      offsetMinutes,
      make: 'Azukari',
      model: this.model,
      ...(position ? { position } : {}),
    }
    return { bytes: withExif(encodeJpeg(stored), facts), mediaType: 'image/jpeg', takenAtMs }
  }

  async #fromFolder({ files, directory }: { files: Files; directory: string }): Promise<Captured> {
    const names: string[] = []
    for (const name of await files.list(directory))
      if (/\.jpe?g$/i.test(name) && !(await files.stat(`${directory}/${name}`))?.directory) names.push(name)
    const name = names[this.#shots % Math.max(1, names.length)]
    if (name === undefined) throw partProblem('camera', 'failed', 'the folder has no photos')
    const handle = await files.open(`${directory}/${name}`, 'read')
    try {
      const bytes = await handle.read(0, await handle.size())
      return { bytes, mediaType: 'image/jpeg', takenAtMs: takenMsOf(readExif(bytes)) ?? this.#options.clock.now() }
    } finally {
      await handle.close()
    }
  }
}
