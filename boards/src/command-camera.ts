/**
 * Cameras that a program of the system takes pictures with (S17): libcamera and V4L2 through their own tools, tethered
 * cameras through gphoto2, streams through ffmpeg. The program writes one JPEG to its standard output.
 */
import { type Camera, type Captured, partProblem } from '@azukari/device/drivers'
import type { Clock } from '@azukari/protocol/ports'
import { CommandError, runCommand } from './adapters/commands.ts'
import { whyNotOpen } from './adapters/device-nodes.ts'

export interface CommandCameraOptions {
  model: string
  /** Program and arguments. */
  command: readonly [string, ...string[]]
  clock: Clock
  limitMs?: number
  /** Device node that is there, and may be opened, as long as the camera is plugged in. */
  node?: string
}

/** The Raspberry Pi's own cameras. */
export function libcameraCamera(clock: Clock, { width = 4056, height = 3040 } = {}): CommandCamera {
  const size = ['--width', String(width), '--height', String(height)]
  return new CommandCamera({
    model: 'libcamera',
    command: ['rpicam-still', '--nopreview', '--immediate', '--encoding', 'jpg', ...size, '--output', '-'],
    clock,
  })
}

/** A USB camera. @param device `/dev/video0` */
export function v4l2Camera(clock: Clock, device: string): CommandCamera {
  return streamCamera(clock, ['-f', 'v4l2', '-i', device], { model: `V4L2 ${device}`, node: device })
}

/** A network camera. @param url `rtsp://…`, `http://…/mjpeg` */
export function networkCamera(clock: Clock, url: string, more: Partial<StreamOptions> = {}): CommandCamera {
  const transport = url.startsWith('rtsp:') ? ['-rtsp_transport', 'tcp'] : []
  return streamCamera(clock, [...transport, '-i', url], { model: 'network camera', ...more })
}

export interface StreamOptions {
  model: string
  limitMs: number
  node: string
}

/** Anything ffmpeg can read: one frame of it as a JPEG. */
export function streamCamera(
  clock: Clock,
  input: readonly string[],
  { model = 'stream', limitMs = 20_000, node }: Partial<StreamOptions> = {},
): CommandCamera {
  // A frame of which a part is missing is none: without this it would be a picture that is half grey.
  const whole = ['-xerror', '-err_detect', 'explode']
  const frame = ['-frames:v', '1', '-c:v', 'mjpeg', '-q:v', '2', '-f', 'image2pipe', 'pipe:1']
  return new CommandCamera({
    model,
    command: ['ffmpeg', '-hide_banner', '-loglevel', 'error', '-nostdin', ...whole, ...input, ...frame],
    clock,
    limitMs,
    ...(node ? { node } : {}),
  })
}

/** A tethered camera. @param port as `gphoto2 --auto-detect` says; the only one by default */
export function tetheredCamera(clock: Clock, port?: string): CommandCamera {
  const which = port ? ['--port', port] : []
  return new CommandCamera({
    model: 'gphoto2',
    command: ['gphoto2', '--quiet', ...which, '--capture-image-and-download', '--force-overwrite', '--stdout'],
    clock,
    limitMs: 60_000,
  })
}

const pictureMaxBytes = 64 * 1024 * 1024

export class CommandCamera implements Camera {
  readonly model: string
  readonly #o: CommandCameraOptions
  #busy = false
  #closed = false

  constructor(options: CommandCameraOptions) {
    this.model = options.model
    this.#o = options
  }

  /** Of a network or tethered camera nobody knows before it is used. */
  get isReady(): boolean | undefined {
    return this.#o.node === undefined ? undefined : whyNotOpen(this.#o.node) === undefined
  }

  async capture(signal: AbortSignal): Promise<Captured> {
    signal.throwIfAborted()
    if (this.#closed) throw partProblem('camera', 'absent', 'closed')
    if (this.#busy) throw partProblem('camera', 'busy')
    this.#busy = true
    try {
      return await this.#capture(signal)
    } finally {
      this.#busy = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  async #capture(signal: AbortSignal): Promise<Captured> {
    const { command, clock, limitMs = 20_000 } = this.#o
    const [name, ...args] = command
    const limits = { clock, signal, limitMs, outputMaxBytes: pictureMaxBytes }
    const result = await runCommand(name, args, limits).catch((error) => {
      if (!(error instanceof CommandError)) throw error
      // A camera that hangs is ended, and can be asked again.
      const kind = error.failure === 'missing' ? 'unsupported' : error.failure === 'timeout' ? 'timeout' : 'failed'
      throw partProblem('camera', kind, error.message, { cause: error })
    })
    if (result.code !== 0) throw partProblem('camera', kindOf(result.said), `${name}: ${result.said.trim()}`)
    const { output } = result
    if (output.length < 4 || output[0] !== 0xff || output[1] !== 0xd8)
      throw partProblem('camera', 'failed', `${name} gave ${output.length} bytes that are no JPEG`)
    return { bytes: output, mediaType: 'image/jpeg', takenAtMs: clock.now() }
  }
}

/** What the programs say when there is no camera; everything else is a failure of one that is there. */
function kindOf(said: string): 'absent' | 'busy' | 'failed' {
  if (
    /no such (file|device)|no cameras? (available|found)|connection refused|could not (detect|find)|not found|No route/i.test(
      said,
    )
  )
    return 'absent'
  return /resource busy|in use|could not claim/i.test(said) ? 'busy' : 'failed'
}
