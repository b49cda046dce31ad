import { createHash } from 'node:crypto'
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import { systemRandom as random } from '@azukari/protocol/adapters/random'
import { signerOf } from '@azukari/protocol/cose'
import { generateKey, publicOf } from '@azukari/protocol/keys'
import t from 'tap'
import { consoleLog } from './adapters/console-log.ts'
import { openDeviceDatabase } from './adapters/database.ts'
import { CameraApp, type CameraAppOptions } from './apps/camera.ts'
import type { Presence } from './apps/presence.ts'
import { testPage } from './conformance/printer.ts'
import type { Camera, InputFile } from './drivers.ts'
import type { Link } from './link.ts'
import type { Outbox } from './outbox.ts'
import { encodeJpeg } from './picture.ts'
import { jpegWithoutPlace } from './place/jpeg.ts'
import { jpegsWithPlace, pdfWithPlace } from './place/test-files.ts'
import { sourceOf, withoutPlace } from './place/without-place.ts'
import { Saves } from './saves.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const picture = encodeJpeg(testPage(24, 16))
const [, jpeg] = Object.entries(jpegsWithPlace(picture))[0]!
const pdf = pdfWithPlace(picture, { width: 24, height: 16 })

/** A board without a line, and a card whose member lets places be kept or does not. */
async function standing(allowsLocation: boolean, dialogue?: CameraAppOptions['dialogue']) {
  const database = await openDeviceDatabase(':memory:')
  const agreement = publicOf(generateKey('x25519', random))
  const log = consoleLog('test', 'silent')
  const saves = await Saves.open({
    database,
    spool: {
      write: async (_, pieces) => {
        for await (const _piece of pieces);
      },
      read: async () => new Uint8Array(),
      remove: async () => {},
      list: async () => [],
    },
    link: { onEvent: () => {} } as unknown as Link,
    outbox: { onOutcome: () => {} } as unknown as Outbox,
    clock,
    now: () => clock.now(),
    random,
    log,
    keys: { recipient: async () => ({ audience: random.bytes(32), agreement }) } as never,
  })
  const card = {
    facts: { member: { id: random.bytes(16) }, level: { level: 1 } },
    signal: new AbortController().signal,
    requirePin: async () => {},
    allowsLocation: async () => allowsLocation,
    client: { signAct: () => signerOf(generateKey('ed25519', random)) },
    use: (work: () => Promise<unknown>) => work(),
  }
  const camera: Camera = {
    model: 'eye',
    capture: async () => ({ bytes: jpeg, mediaType: 'image/jpeg', takenAtMs: clock.now() }),
    close: async () => {},
  }
  const presence = { require: () => card } as unknown as Presence
  const app = new CameraApp({ presence, saves, camera, clock, log, dialogue, online: () => false })
  return { app, close: () => database.close() }
}

/** As the scanner's and the PC's folders give files. */
const fileOf = (name: string, mediaType: string, bytes: Uint8Array): InputFile => ({
  name,
  mediaType,
  sizeBytes: bytes.length,
  read: async (at, length) => bytes.subarray(at, at + length),
  done: async () => {},
})

async function rebuilt(bytes: Uint8Array): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const piece of (await withoutPlace(sourceOf(bytes))).pieces) parts.push(Uint8Array.from(piece))
  return sha256(Buffer.concat(parts))
}

t.test(
  'D8 S14: without consent neither camera, scanner nor PC keeps the place; with it they keep the file',
  async (t) => {
    for (const allows of [false, true]) {
      const { app, close } = await standing(allows)
      const kept = async (name: string, type: string, bytes: Uint8Array) =>
        Buffer.from((await app.keepFile(fileOf(name, type, bytes))).sha256).toString('hex')
      t.equal(await kept('scan.jpg', 'image/jpeg', jpeg), allows ? sha256(jpeg) : sha256(jpegWithoutPlace(jpeg)))
      t.equal(await kept('paper.pdf', 'application/pdf', pdf), allows ? sha256(pdf) : await rebuilt(pdf))
      const taken = Buffer.from((await app.shutter()).sha256).toString('hex')
      t.equal(taken, allows ? sha256(jpeg) : sha256(jpegWithoutPlace(jpeg)))
      const unknown = app.keepFile(fileOf('a.doc', 'application/msword', Uint8Array.of(0xd0, 0xcf, 0x11, 0xe0)))
      if (allows) t.ok(await unknown)
      else await t.rejects(unknown, { code: 'place.not-removable' })
      await close()
    }
    t.not(sha256(jpeg), sha256(jpegWithoutPlace(jpeg)), 'the file had a place')
  },
)

t.test(
  'D8 S14: what may hold a place that cannot be taken out is kept when its member says so, and once',
  async (t) => {
    const bytes = Uint8Array.of(0xd0, 0xcf, 0x11, 0xe0)
    const file = () => fileOf('a.doc', 'application/msword', bytes)
    const asked: string[] = []
    for (const answer of [0, 1]) {
      const { app, close } = await standing(false, {
        entry: new Set(['choice'] as const),
        choose: async (prompt, choices) => {
          asked.push(prompt)
          return choices[answer]!
        },
      })
      if (answer === 0) await t.rejects(app.keepFile(file()), { code: 'place.not-removable' }, 'No comes first')
      else t.equal(Buffer.from((await app.keepFile(file())).sha256).toString('hex'), sha256(bytes), 'as it is')
      const taken = Buffer.from((await app.shutter()).sha256).toString('hex')
      t.equal(taken, sha256(jpegWithoutPlace(jpeg)), 'what was said of one thing counts for no other')
      await close()
    }
    t.equal(asked.length, 2)
    t.match(asked[0], /a\.doc may say where it was made/)
  },
)
