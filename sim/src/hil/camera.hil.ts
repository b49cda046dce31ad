/** Cameras in the loop: the programs that take pictures, against ffmpeg's moving test picture. */
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CommandCamera,
  libcameraCamera,
  networkCamera,
  streamCamera,
  tetheredCamera,
  v4l2Camera,
} from '@azukari/boards/command-camera'
import { WatchedFolderCamera } from '@azukari/boards/watched-folder-camera'
import { cameraConforms } from '@azukari/device/conformance/camera'
import { fails, limit } from '@azukari/device/conformance/suite'
import { decodePicture } from '@azukari/device/picture'
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import type { Clock } from '@azukari/protocol/ports'
import t from 'tap'
import { type CameraMood, NetworkCamera } from './network-camera.ts'

t.setTimeout(180_000)
const folder = await mkdtemp(join(tmpdir(), 'azukari-photos-'))
const far = await NetworkCamera.start()
t.teardown(async () => {
  await far.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Runs ffmpeg over its test picture from a moment on. */
function record(...args: string[]): void {
  const { status, stderr } = spawnSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-nostdin', '-y', ...args])
  if (status !== 0) throw new Error(String(stderr))
}

const stalled = async (clock: Clock) => new CommandCamera({ model: 'hanging', command: ['sleep', '600'], clock })

for (const [what, url] of [
  ['MJPEG over HTTP', () => far.httpUrl],
  ['H.264 over RTSP', () => far.rtspUrl],
] as const) {
  t.test(`S17: ${what}`, (t) => cameraConforms(t, { make: async () => networkCamera(clock, url()), stalled }))

  t.test(`S17: ${what}: the picture that is there now, at its full size`, async (t) => {
    const camera = networkCamera(clock, url())
    const { bytes } = await camera.capture(limit())
    const { width, height, rgba } = decodePicture(bytes)
    t.same([width, height], [640, 360])
    t.ok(new Set(rgba).size > 100, 'it is a picture, and no grey')
  })

  t.test(`S17: ${what}: a camera that hangs, breaks off, talks nonsense is told, and works when it does`, async (t) => {
    const camera = networkCamera(clock, url(), { limitMs: 2_500 })
    for (const [mood, code] of [
      ['hang', 'camera.offline'],
      ['break', undefined],
      ['nonsense', undefined],
    ] as [CameraMood, 'camera.offline' | undefined][]) {
      far.mood = mood
      await fails(t, 'camera', camera.capture(limit()), code)
    }
    far.mood = 'well'
    t.ok((await networkCamera(clock, url()).capture(limit())).bytes.length > 1000)
  })
}

t.test('S17: a recorded stream', async (t) => {
  const path = join(folder, 'recorded.mp4')
  record('-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=10:duration=2', '-pix_fmt', 'yuv420p', path)
  const camera = streamCamera(clock, ['-ss', '1', '-i', path])
  t.same(decodePicture((await camera.capture(limit())).bytes).width, 320)
})

t.test('S17: a camera that writes files, into a watched folder', async (t) => {
  let directory = ''
  let shots = 0
  const shoot = async () => {
    const at = (++shots / 5).toFixed(1)
    record(
      '-f',
      'lavfi',
      '-ss',
      at,
      '-i',
      'testsrc2=size=640x480:rate=10',
      '-frames:v',
      '1',
      '-update',
      '1',
      `${directory}/IMG_${shots}.jpg`,
    )
  }
  await cameraConforms(t, {
    make: async () => {
      directory = join(folder, `camera-${++shots}`)
      await mkdir(directory)
      return new WatchedFolderCamera({ files: systemFiles(), clock, directory, lookMs: 20 })
    },
    stalled: undefined,
    shoot,
    unplug: () => rm(directory, { recursive: true }),
  })
})

t.test('S17: cameras that are not there, programs that are not installed, a program that hangs', async (t) => {
  await fails(t, 'camera', v4l2Camera(clock, '/dev/video99').capture(limit()), 'camera.offline')
  await fails(t, 'camera', networkCamera(clock, 'http://127.0.0.1:9/video').capture(limit()), 'camera.offline')
  await fails(t, 'camera', tetheredCamera(clock).capture(limit()), 'camera.offline')
  await fails(t, 'camera', libcameraCamera(clock).capture(limit()), 'part.unsupported')
  // It does not end when asked to, either.
  const hanging = new CommandCamera({
    model: 'hanging',
    command: ['bash', '-c', 'trap "" TERM; while :; do sleep 0.1; done'],
    clock,
    limitMs: 300,
  })
  await fails(t, 'camera', hanging.capture(limit()), 'camera.offline')
  const leaving = new AbortController()
  const left = hanging.capture(leaving.signal)
  leaving.abort(new Error('the person left'))
  await t.rejects(left, /the person left/)
})
