import type { Camera } from '../drivers.ts'
import { readExif } from '../picture/exif.ts'
import { readStructure } from '../picture/structure.ts'
import { aborted, type Checks, caught, fails, limit, type Stalled, stalledEnds } from './suite.ts'

export interface CameraHarness {
  make(): Promise<Camera>
  /** A camera that gives no picture. */
  stalled: Stalled<Camera>
  /** Something happens that a picture comes of; none when capture itself takes it. */
  shoot?(): Promise<void>
  /** The camera is unplugged. */
  unplug?(camera: Camera): Promise<void>
}

/** S17: what every camera driver does. */
export async function cameraConforms(t: Checks, fixture: CameraHarness): Promise<void> {
  await t.test('S17: a capture is one whole picture with a time', {}, async (t) => {
    const camera = await fixture.make()
    const [captured] = await Promise.all([camera.capture(limit()), fixture.shoot?.()])
    t.equal(captured.mediaType, 'image/jpeg')
    t.ok(readStructure(captured.bytes).width > 0, 'the JPEG is whole')
    t.ok(readExif(captured.bytes).orientation >= 1)
    t.ok(Number.isInteger(captured.takenAtMs) && captured.takenAtMs > 0)
    await camera.close()
  })
  await t.test('S17: two captures are two pictures', {}, async (t) => {
    const camera = await fixture.make()
    const [first] = await Promise.all([camera.capture(limit()), fixture.shoot?.()])
    const [second] = await Promise.all([camera.capture(limit()), fixture.shoot?.()])
    t.ok(Buffer.compare(first.bytes, second.bytes) !== 0, 'no picture comes twice')
    await camera.close()
  })
  await t.test('S17: an aborted capture throws the reason and leaves the camera usable', {}, async (t) => {
    const camera = await fixture.make()
    const { signal, reason } = aborted()
    t.equal(await caught(camera.capture(signal)), reason)
    const [captured] = await Promise.all([camera.capture(limit()), fixture.shoot?.()])
    t.ok(captured.bytes.length > 0)
    await camera.close()
  })
  await t.test('S17: one capture at a time', {}, async (t) => {
    const camera = await fixture.make()
    const first = camera.capture(limit())
    const second = caught(camera.capture(limit()))
    await fixture.shoot?.()
    await first
    const error = await second
    if (error) await fails(t, 'camera', Promise.reject(error), 'part.busy')
    await camera.close()
  })
  if (fixture.unplug)
    await t.test('S17: an unplugged camera says so', {}, async (t) => {
      const camera = await fixture.make()
      await fixture.unplug!(camera)
      await fails(t, 'camera', camera.capture(limit()), 'camera.offline')
      await camera.close()
    })
  await stalledEnds(t, 'camera', fixture.stalled, (camera, signal) => camera.capture(signal))
  await t.test('S17: closing twice is harmless, and then there is no camera', {}, async (t) => {
    const camera = await fixture.make()
    await camera.close()
    await camera.close()
    await fails(t, 'camera', camera.capture(limit()))
  })
}
