/**
 * `npm run demo`: the first whole way, once, on a real site, with every check computed from what really happened:
 * photos from the camera are kept in two places and come out of the printer with nothing but the member's card.
 */
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fetchObject } from '@azukari/device/apps/fetch'
import type { InputFile } from '@azukari/device/drivers'
import { decodeUpright } from '@azukari/device/picture'
import type { Save } from '@azukari/device/saves'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { hex } from '@azukari/protocol/bytes'
import type { SaveReceipt } from '@azukari/protocol/contracts/save'
import type { Log } from '@azukari/protocol/ports'
import { isProblem, type Problem } from '@azukari/protocol/problem'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'
import { Checks } from './checks.ts'
import { samePixels } from './independent-decoder.ts'
import { photosIn } from './photos.ts'
import { pin, SimulatedSite, type SiteBoard } from './site.ts'
import { until } from './wait.ts'

export interface DemoOptions {
  /** Folder of photos; without it the camera draws scenes. */
  photos?: string
  /** Scenes to draw when there are no photos. */
  scenes?: number
  /** Where the site and the printed pages go; a folder of its own by default. */
  folder?: string
  log: Log
  tell: (line: string) => void
}

interface PhotoResult {
  file: string
  sha256: string
  bytes: number
  replicas: {
    slot: number
    server: string
    region: string
    distanceKm: number
    algorithm: string
    sealedBytes: number
  }[]
  print: { page: string | null; pixelsEqual: boolean; problem: string | null }
}

export interface DemoReport {
  photos: PhotoResult[]
  checks: { id: string; what: string; ok: boolean; figure: string }[]
  folder: string
}

/** Runs the demo. The site's folder stays, so that pages can be looked at. */
export async function runDemo(options: DemoOptions): Promise<DemoReport> {
  const files = options.photos ? await photosIn(resolve(options.photos), options.tell) : undefined
  const folder = options.folder ? resolve(options.folder) : await mkdtemp(join(tmpdir(), 'azukari-demo-'))
  if (options.folder) await rm(`${folder}/pages`, { recursive: true, force: true })
  const site = new SimulatedSite({
    folder,
    log: options.log,
    tell: options.tell,
    ...(options.photos ? { photos: resolve(options.photos) } : {}),
  })
  try {
    await site.start()
    return await new Demo(site, options, files).run()
  } finally {
    options.tell('Stopping the site')
    await site.stop()
  }
}

class Demo {
  readonly #site: SimulatedSite
  readonly #options: DemoOptions
  readonly #files: readonly string[]
  readonly #checks = new Checks()
  readonly #camera: SiteBoard
  readonly #printer: SiteBoard
  readonly #receipts = new Map<string, SaveReceipt>()

  constructor(site: SimulatedSite, options: DemoOptions, files: readonly string[] | undefined) {
    this.#files = files ?? Array.from({ length: options.scenes ?? 3 }, (_, i) => `scene-${i + 1}.jpg`)
    this.#site = site
    this.#options = options
    this.#camera = site.boards.get('camera')!
    this.#printer = site.boards.get('printer')!
  }

  async run(): Promise<DemoReport> {
    const { tell } = this.#options
    const card = await this.#site.issueCard('Hanako')
    await this.#refusals()
    tell('Hanako puts her card into the camera')
    await this.#insert(this.#camera, card)
    const saved: { file: string; bytes: Uint8Array; save: Save }[] = []
    for (const file of this.#files) saved.push(await this.#photograph(file, saved.length === 0))
    await this.#offline(saved)
    const others = await this.#otherKinds()
    const messages = { ...this.#camera.tap.counts }
    this.#camera.board.reader.remove()
    await until('the card to leave the camera', () => !this.#camera.runtime.presence?.card)
    tell('Hanako takes her card to the printer in Osaka')
    await this.#insert(this.#printer, card)
    const photos: PhotoResult[] = []
    for (const { file, bytes, save } of saved) photos.push(await this.#print(file, bytes, save))
    await this.#judge(photos, saved, others, messages)
    return { photos, checks: this.#checks.list, folder: this.#site.folder }
  }

  async #insert(on: SiteBoard, card: VirtualCard): Promise<void> {
    on.board.reader.insert(card)
    await until('the member’s session', () => on.runtime.presence?.card?.session)
  }

  /** Presses the shutter and waits for the receipt. The first photo's first block is damaged on the way (S4). */
  async #photograph(file: string, damageOne: boolean): Promise<{ file: string; bytes: Uint8Array; save: Save }> {
    const { tap, runtime, board } = this.#camera
    const spied = pictureTaken(board.camera!)
    let damaged = 0
    let sent = 0
    tap.onBlock = () => sent++
    if (damageOne)
      tap.meddle = (topic, payload) => {
        if (damaged > 0 || !topic.includes('/up/')) return payload
        damaged++
        const bad = Uint8Array.from(payload)
        bad[bad.length >> 1]! ^= 1
        return bad
      }
    this.#options.tell(`Shutter: ${file}`)
    const save = await runtime.camera!.shutter(pin)
    const kept = await this.#kept(save)
    tap.meddle = undefined
    tap.onBlock = undefined
    if (damageOne) {
      const blocks = Math.ceil(save.sizeBytes / 65_536)
      this.#checks.add(
        'S4',
        'a block damaged on the way was asked for again',
        damaged === 1 && sent > blocks,
        `${blocks} blocks, ${damaged} damaged, ${sent} sent`,
      )
    }
    const bytes = await spied
    return { file, bytes, save: kept }
  }

  async #kept(save: Save): Promise<Save> {
    const kept = await until(
      `the receipt of ${save.name}`,
      async () =>
        (await this.#camera.runtime.saves.list(200)).find(
          (one) => hex(one.object) === hex(save.object) && one.state === 'kept',
        ),
      60_000,
    )
    this.#receipts.set(hex(save.object), kept.receipt!)
    this.#options.tell(
      `  kept in ${kept.receipt!.replicas.map((replica) => `${replica.server} (${replica.region}, ${replica.distanceKm} km, ${replica.algorithm})`).join(' and ')}`,
    )
    return kept
  }

  /** D5: a photo taken without a network is kept here, shown so, and delivered once when the line is back. */
  async #offline(saved: { file: string; bytes: Uint8Array; save: Save }[]): Promise<void> {
    const { tap, runtime, board } = this.#camera
    this.#options.tell('The network is cut; the shutter is pressed all the same')
    tap.cut()
    await until('the line to be down', () => !runtime.link.up)
    const spied = pictureTaken(board.camera!)
    const save = await runtime.camera!.shutter(pin)
    const bytes = await spied
    const before = (await runtime.saves.list(200)).find((one) => hex(one.object) === hex(save.object))?.state
    this.#options.tell('The network is back')
    tap.join()
    const kept = await this.#kept(save)
    const times = (await runtime.saves.list(200)).filter((one) => hex(one.object) === hex(save.object)).length
    this.#checks.add(
      'D5',
      'a photo taken without a network was delivered later, once',
      before === 'here' && times === 1,
      `state before: ${before}; after: kept, ${times} time`,
    )
    saved.push({ file: this.#options.photos ? `offline:${save.name}` : `offline-${save.name}`, bytes, save: kept })
  }

  /** S14: text, audio and video by way of the PC link. */
  async #otherKinds(): Promise<{ name: string; bytes: Uint8Array; save: Save }[]> {
    const kinds = [
      {
        name: 'letter.txt',
        mediaType: 'text/plain',
        bytes: new TextEncoder().encode('預かり: 大切なものを二か所に。\n'.repeat(50)),
      },
      { name: 'voice.wav', mediaType: 'audio/wav', bytes: wave(2) },
      { name: 'clip.mp4', mediaType: 'video/mp4', bytes: pattern(1_500_000) },
    ]
    const kept = []
    for (const { name, mediaType, bytes } of kinds) {
      this.#options.tell(`From the PC link: ${name}`)
      const save = await this.#camera.runtime.camera!.keepFile(inputFile(name, mediaType, bytes), pin)
      kept.push({ name, bytes, save: await this.#kept(save) })
    }
    return kept
  }

  async #print(file: string, original: Uint8Array, save: Save): Promise<PhotoResult> {
    const { runtime, board } = this.#printer
    const before = board.printer!.pages.length
    let problem: Problem | undefined
    try {
      await runtime.printer!.print(save.object, { pin })
    } catch (error) {
      if (!isProblem(error)) throw error
      problem = error
    }
    const printed = board.printer!.pages.length > before
    const pages = printed
      ? (await readdir(`${this.#site.folder}/pages`)).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
      : []
    const page = pages.length > 0 ? join(this.#site.folder, 'pages', pages.at(-1)!) : null
    const pixelsEqual = page !== null && (await samePixels(await readFile(page), original))
    this.#options.tell(
      problem
        ? `Not printed: ${file}: ${problem.code}`
        : `Printed: ${file}${pixelsEqual ? ', every pixel equal' : ', PIXELS DIFFER'}`,
    )
    return {
      file,
      sha256: sha256(original),
      bytes: original.length,
      replicas: this.#receipts
        .get(hex(save.object))!
        .replicas.map(({ slot, server, region, distanceKm, algorithm, sealedBytes }) => ({
          slot,
          server,
          region,
          distanceKm,
          algorithm,
          sealedBytes,
        })),
      print: { page, pixelsEqual, problem: problem?.code ?? null },
    }
  }

  /** S2, S3: cards that must be turned away, each with its own cause. */
  async #refusals(): Promise<void> {
    const { board, runtime } = this.#camera
    const problems: string[] = []
    const stop = runtime.presence!.onNews((news) => {
      if (news.type === 'problem') problems.push(news.problem.code)
    })
    const turnedAway = async (card: VirtualCard, code: string) => {
      board.reader.insert(card)
      await until(code, () => problems.includes(code))
      const refused = await runtime.camera!.shutter(pin).then(
        () => undefined,
        (error) => (isProblem(error) ? error.code : 'internal'),
      )
      board.reader.remove()
      await until('the card to leave', () => !runtime.presence?.card)
      return refused === code
    }
    this.#options.tell('A stranger’s card, and one whose level is not what it says')
    const unknown = await turnedAway(await this.#site.issueCard('Stranger', { register: false }), 'card.unknown')
    this.#checks.add(
      'S2',
      'a card that is not registered was turned away, and could not save',
      unknown,
      problems.join(', '),
    )
    const level = await turnedAway(
      await this.#site.issueCard('Pretender', { level: 3, registeredLevel: 1 }),
      'level.mismatch',
    )
    this.#checks.add('S3', 'a card with another level than the register was turned away', level, problems.join(', '))
    stop()
  }

  async #judge(
    photos: PhotoResult[],
    saved: { save: Save; bytes: Uint8Array }[],
    others: { bytes: Uint8Array; save: Save }[],
    messages: { messages: number; blocks: number; foreign: number },
  ): Promise<void> {
    const checks = this.#checks
    const card = this.#printer.runtime.presence!.require()
    const session = card.session!
    checks.add(
      'S1',
      'a session opened on camera and printer',
      session.expiresMs > Date.now(),
      `for ${session.name}, level ${session.level}`,
    )
    const receipts = [...this.#receipts.values()]
    const pairs = receipts.map(({ replicas }) => replicas)
    checks.add(
      'S5',
      'every second replica is outside the home region and the asking region, far from the first',
      pairs.every(([a, b]) => a!.region !== b!.region && b!.region !== 'JP-13'),
      `${pairs.length} saves, regions ${[...new Set(pairs.flat().map((replica) => replica.region))].join(' ')}`,
    )
    const shelf = await this.#printer.runtime.printer!.list(pin)
    const keys = shelf.flatMap((item) => item.replicas.map((replica) => hex(replica.dataKey)))
    checks.add(
      'S6',
      'every replica has its own key, and the two of a pair different ciphers',
      new Set(keys).size === keys.length && pairs.every(([a, b]) => a!.algorithm !== b!.algorithm),
      `${keys.length} keys, ${new Set(pairs.flat().map((replica) => replica.algorithm)).size} ciphers`,
    )
    checks.add(
      'S7',
      'placement signed a receipt for every save, with two servers each',
      receipts.length === saved.length + others.length && pairs.every((pair) => pair.length === 2),
      `${receipts.length} receipts`,
    )
    const known = new Set(shelf.map((item) => hex(item.object)))
    const newest = [...saved, ...others].slice(-16)
    checks.add(
      'S8',
      'the card holds the conditions of what was saved (the latest 16)',
      newest.every(({ save }) => known.has(hex(save.object))),
      `${shelf.length} on the card`,
    )
    const sound = photos.filter((photo) => photo.print.problem !== 'photo.corrupt')
    checks.add(
      'S10',
      'every sound photo was printed, pixel for pixel',
      sound.length > 0 && sound.every((photo) => photo.print.pixelsEqual),
      `${sound.length} pages`,
    )
    await this.#otherReplica(saved)
    await this.#readBack(photos, saved, others)
    checks.add(
      'S15',
      'the card was personalised by our command and its files read back',
      card.facts.member.name === 'Hanako' && card.facts.level.home === 'JP-13',
      `${card.facts.kind}, member ${card.facts.member.number}`,
    )
    checks.add(
      'S17',
      'camera, reader, memory, display, panel and printer were driven through their contracts',
      this.#camera.board.camera!.shots >= photos.length && this.#printer.board.printer!.pages.length === sound.length,
      `${this.#camera.board.camera!.shots} shots, ${this.#printer.board.printer!.pages.length} pages`,
    )
    const left = await this.#camera.board.memory.list()
    checks.add(
      'S4',
      'the camera deleted its own copies after the receipts',
      left.length === 0,
      `${left.length} files left`,
    )
    checks.add(
      'D3',
      'devices said nothing but CBOR and blocks over MQTT',
      messages.messages > 0 && messages.foreign === 0,
      `${messages.messages} messages, ${messages.blocks} blocks`,
    )
    const waiting = await this.#camera.runtime.outbox.waiting()
    checks.add('D5', 'the outbox is empty', waiting.rows === 0, `${waiting.rows} acts wait`)
    checks.add(
      'D2',
      'the boards are simulators behind the driver contracts',
      this.#camera.board.model.includes('simulated'),
      this.#camera.board.model,
    )
    checks.add(
      'D4',
      'gateway and data servers ran as processes of their own',
      this.#site.servers.size >= 2,
      `gateway ${this.#site.gateway?.pid}, ${this.#site.servers.size} data servers`,
    )
  }

  /** S10: the first server is killed; the other replica serves. */
  async #otherReplica(saved: { save: Save; bytes: Uint8Array }[]): Promise<void> {
    const photo = saved.find(({ bytes }) => decodes(bytes))
    if (!photo) return
    const first = this.#receipts.get(hex(photo.save.object))!.replicas.find((replica) => replica.slot === 1)!
    const server = this.#site.servers.get(first.server)!
    this.#options.tell(`The data server ${first.server} is killed; the other replica must serve`)
    await server.process!.kill()
    const printed = await this.#printer.runtime
      .printer!.print(photo.save.object, { pin })
      .catch((error) => (isProblem(error) ? error.code : String(error)))
    const served = typeof printed === 'string' ? printed : `slot ${printed.slot} of ${printed.server}`
    this.#checks.add(
      'S10',
      'with the first data server killed, the second served',
      typeof printed !== 'string' && printed.slot === 2,
      served,
    )
    await this.#site.startServer(server.place)
    this.#printer.board.printer!.pages.pop()
  }

  /** What is kept is kept byte for byte, also what cannot be printed. */
  async #readBack(
    photos: PhotoResult[],
    saved: { save: Save; bytes: Uint8Array }[],
    others: { bytes: Uint8Array; save: Save }[],
  ): Promise<void> {
    const { runtime } = this.#printer
    const card = runtime.presence!.require()
    const shelf = await runtime.printer!.list(pin)
    const ports = { link: runtime.link, device: runtime.identity.device, log: this.#options.log, ...sitePorts }
    let equal = 0
    for (const { save, bytes } of others) {
      const conditions = shelf.find((item) => hex(item.object) === hex(save.object))
      if (conditions && sha256((await fetchObject(ports, card, conditions)).bytes) === sha256(bytes)) equal++
    }
    this.#checks.add(
      'S14',
      'text, audio and video came back byte for byte',
      equal === others.length,
      `${equal} of ${others.length}`,
    )
    for (const [i, photo] of photos.entries()) {
      if (photo.print.problem !== 'photo.corrupt') continue
      const conditions = shelf.find((item) => hex(item.object) === hex(saved[i]!.save.object))
      const same =
        conditions !== undefined && sha256((await fetchObject(ports, card, conditions)).bytes) === photo.sha256
      this.#checks.add(
        'S10',
        `${photo.file} is damaged: kept byte for byte, its print refused`,
        same && photo.print.page === null,
        photo.print.problem,
      )
    }
  }
}

const sitePorts = { clock: systemClock, random: systemRandom }

/** The bytes of the next picture that the camera hands out. */
export function pictureTaken(camera: {
  capture(signal: AbortSignal): Promise<{ bytes: Uint8Array; mediaType: string; takenAtMs: number }>
}): Promise<Uint8Array> {
  const real = camera.capture.bind(camera)
  return new Promise((resolvePicture) => {
    camera.capture = async (signal) => {
      camera.capture = real
      const picture = await real(signal)
      resolvePicture(Uint8Array.from(picture.bytes))
      return picture
    }
  })
}

function inputFile(name: string, mediaType: string, bytes: Uint8Array): InputFile {
  return {
    name,
    mediaType,
    sizeBytes: bytes.length,
    read: async (at, length) => bytes.subarray(at, at + length),
    done: async () => undefined,
  }
}

function decodes(bytes: Uint8Array): boolean {
  try {
    return decodeUpright(bytes).width > 0
  } catch {
    return false
  }
}

function wave(seconds: number): Uint8Array {
  const samples = 8_000 * seconds
  const bytes = Buffer.alloc(44 + samples)
  bytes.write('RIFF', 0)
  bytes.writeUInt32LE(36 + samples, 4)
  bytes.write('WAVEfmt ', 8)
  bytes.writeUInt32LE(16, 16)
  bytes.writeUInt16LE(1, 20)
  bytes.writeUInt16LE(1, 22)
  bytes.writeUInt32LE(8_000, 24)
  bytes.writeUInt32LE(8_000, 28)
  bytes.writeUInt16LE(1, 32)
  bytes.writeUInt16LE(8, 34)
  bytes.write('data', 36)
  bytes.writeUInt32LE(samples, 40)
  for (let i = 0; i < samples; i++) bytes[44 + i] = 128 + Math.round(60 * Math.sin((i * 2 * Math.PI * 440) / 8_000))
  return bytes
}

function pattern(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 31 + (i >> 8)) & 255)
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
