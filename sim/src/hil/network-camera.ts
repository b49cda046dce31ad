/**
 * A network camera: ffmpeg's moving test picture, served as MJPEG over HTTP and as H.264 over RTSP (RFC 2326, RTP
 * interleaved in the same connection), as such cameras do. It can be made to hang, to break off and to talk nonsense.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../site/wait.ts'

/** `hang`: takes the connection and says nothing. `break`: half a picture, then gone. `nonsense`: no pictures at all. */
export type CameraMood = 'well' | 'hang' | 'break' | 'nonsense'

const source = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25']
const startOfImage = Buffer.from([0xff, 0xd8])
const endOfImage = Buffer.from([0xff, 0xd9])

export class NetworkCamera {
  mood: CameraMood = 'well'
  readonly #folder: string
  readonly #programs: ChildProcess[] = []
  readonly #viewers = new Set<Socket>()
  readonly #rtp = createSocket('udp4')
  readonly #server: Server
  #latest = Buffer.alloc(0)
  #frames = 0
  #sdp = ''

  private constructor(folder: string) {
    this.#folder = folder
    this.#server = createServer((line) => this.#accept(line))
  }

  static async start(): Promise<NetworkCamera> {
    const camera = new NetworkCamera(await mkdtemp(join(tmpdir(), 'azukari-camera-')))
    await camera.#start()
    return camera
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.#port}/video`
  }

  get rtspUrl(): string {
    return `rtsp://127.0.0.1:${this.#port}/video`
  }

  async stop(): Promise<void> {
    for (const line of this.#viewers) line.destroy()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#rtp.close()
    for (const program of this.#programs)
      if (program.exitCode === null && program.signalCode === null) {
        const gone = new Promise<void>((resolve) => program.once('exit', () => resolve()))
        program.kill()
        await gone
      }
    await rm(this.#folder, { recursive: true, force: true })
  }

  get #port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async #start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    await bound(this.#rtp)
    const pictures = this.#run(['-c:v', 'mjpeg', '-q:v', '4', '-f', 'image2pipe', 'pipe:1'])
    let waiting = Buffer.alloc(0)
    pictures.stdout!.on('data', (part: Buffer) => {
      waiting = Buffer.concat([waiting, part])
      for (let end = waiting.indexOf(endOfImage); end >= 0; end = waiting.indexOf(endOfImage)) {
        const frame = waiting.subarray(waiting.indexOf(startOfImage), end + 2)
        waiting = waiting.subarray(end + 2)
        this.#latest = Buffer.from(frame)
        this.#frames++
      }
    })
    const sdp = join(this.#folder, 'stream.sdp')
    const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p', '-g', '10']
    // Parameter sets in the stream: whoever joins late can decode.
    const flags = ['-bsf:v', 'dump_extra', '-sdp_file', sdp, '-f', 'rtp']
    this.#run([...h264, ...flags, `rtp://127.0.0.1:${this.#rtp.address().port}?pkt_size=1200`])
    await until('pictures', async () => {
      this.#sdp = await readFile(sdp, 'utf8').catch(() => '')
      return this.#frames > 0 && this.#sdp.includes('m=video')
    })
  }

  #run(to: string[]): ChildProcess {
    const program = spawn('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-nostdin', ...source, ...to], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.#programs.push(program)
    return program
  }

  #accept(line: Socket): void {
    this.#viewers.add(line)
    line.on('error', () => undefined)
    line.on('close', () => this.#viewers.delete(line))
    if (this.mood === 'hang') return
    if (this.mood === 'nonsense') return void line.end(Buffer.alloc(4096, 'nonsense '))
    let asked = ''
    line.on('data', (text) => {
      asked += text.toString('latin1')
      for (let end = asked.indexOf('\r\n\r\n'); end >= 0; end = asked.indexOf('\r\n\r\n')) {
        const request = asked.slice(0, end)
        asked = asked.slice(end + 4)
        if (request.startsWith('GET ')) this.#pictures(line)
        else this.#rtsp(line, request)
      }
    })
  }

  /** `multipart/x-mixed-replace`, one picture after the other. */
  #pictures(line: Socket): void {
    line.write('HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n')
    let sent = 0
    const send = () => {
      if (sent === this.#frames) return
      sent = this.#frames
      const head = `--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${this.#latest.length}\r\n\r\n`
      line.write(head)
      if (this.mood === 'break') return void line.end(this.#latest.subarray(0, this.#latest.length >> 1))
      line.write(this.#latest)
      line.write('\r\n')
    }
    const sending = setInterval(send, 10)
    line.on('close', () => clearInterval(sending))
  }

  #rtsp(line: Socket, request: string): void {
    const sequence = /CSeq: *(\d+)/i.exec(request)?.[1] ?? '0'
    const answer = (headers: string, body = '') =>
      line.write(
        `RTSP/1.0 200 OK\r\nCSeq: ${sequence}\r\n${headers}${body ? `Content-Length: ${body.length}\r\n` : ''}\r\n${body}`,
      )
    switch (request.slice(0, request.indexOf(' '))) {
      case 'DESCRIBE':
        return void answer('Content-Type: application/sdp\r\n', this.#sdp.replace(/^SDP:\s*/, ''))
      case 'SETUP':
        return void answer('Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n')
      case 'PLAY': {
        answer('Session: 1\r\n')
        const forward = (packet: Buffer) => {
          const head = Buffer.from([0x24, 0, packet.length >> 8, packet.length & 0xff])
          if (this.mood === 'break') return void line.end(Buffer.concat([head, packet.subarray(0, packet.length >> 1)]))
          line.write(Buffer.concat([head, packet]))
        }
        this.#rtp.on('message', forward)
        line.on('close', () => this.#rtp.off('message', forward))
        return
      }
      default:
        answer('Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n')
    }
  }
}

function bound(socket: Datagrams): Promise<void> {
  return new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve))
}
