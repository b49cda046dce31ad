/**
 * The camera app (S4, S17, D5): shutter → picture → kept here → kept in two places. It also takes text, audio, video and
 * any other file from a scanner, a PC or a memory (S14). What it shows is what is true: "kept" only after the receipt.
 */
import type { Language } from '@azukari/protocol/finding-text'
import { localStamp } from '@azukari/protocol/local-time'
import type { Clock, Log } from '@azukari/protocol/ports'
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import type { Camera, Display, InputFile, Raster, Shown } from '../drivers.ts'
import { decodePicture, readExif, rotate, shrink, takenMsOf } from '../picture.ts'
import { sourceOf } from '../place/without-place.ts'
import type { Author, Save, Saves, UploadSource } from '../saves.ts'
import type { Dialogue } from './dialogue.ts'
import type { Presence, PresentCard } from './presence.ts'
import { problemShown, wordsOf } from './words.ts'

export interface CameraAppOptions {
  presence: Presence
  saves: Saves
  camera?: Camera | undefined
  display?: Display | undefined
  clock: Clock
  log: Log
  /** Whether there is a line to the site now. */
  online: () => boolean
  /** Where people can be asked. Without it nothing is kept that may hold a place which was not allowed. */
  dialogue?: Pick<Dialogue, 'entry' | 'choose'> | undefined
  /** What the board speaks now; English without it. */
  language?: () => Language
}

export class CameraApp {
  readonly #o: CameraAppOptions
  #pictures = 0

  constructor(options: CameraAppOptions) {
    this.#o = options
    options.saves.onChange((save) => void this.#onSave(save))
  }

  /**
   * Takes a picture and keeps it for the member whose card is in.
   * @param pin only where there is no panel to ask on
   * @param leave the person does not want it any more
   * @throws {Problem} `card.*`, `camera.*`, `memory.*`, `place.not-removable`
   */
  async shutter(pin?: string, leave?: AbortSignal): Promise<Save> {
    const { camera, presence, clock } = this.#o
    if (!camera) throw new Problem('camera.offline', 'this board has no camera')
    const card = presence.require()
    await card.requirePin(pin)
    const { waitsFor } = camera
    if (waitsFor)
      await this.show({ lines: [this.#words.takePicture, this.#words.waitsForPicture(waitsFor)], tone: 'busy' })
    const picture = await camera.capture(leave ? AbortSignal.any([card.signal, leave]) : card.signal)
    const exif = readExif(picture.bytes)
    const takenMs = takenMsOf(exif) ?? picture.takenAtMs ?? clock.now()
    const name = `${localStamp(takenMs)}-${++this.#pictures}.jpg`
    return this.#keep(
      { source: sourceOf(picture.bytes), name, mediaType: picture.mediaType, takenMs },
      pin,
      thumbnailOf(picture.bytes),
    )
  }

  /** Keeps a file of any kind (S14). */
  async keepFile(file: InputFile, pin?: string): Promise<Save> {
    const save = await this.#keep(
      { source: file, name: file.name, mediaType: file.mediaType, takenMs: this.#o.clock.now() },
      pin,
    )
    await file.done()
    return save
  }

  async show(shown: Shown): Promise<void> {
    await this.#o.display
      ?.show(shown)
      .catch((error) => this.#o.log.warn('the display failed', { error: String(error) }))
  }

  async showProblem(error: unknown): Promise<void> {
    await this.show(problemShown(error, this.#o.language))
  }

  async #keep(source: UploadSource, pin?: string, picture?: Raster): Promise<Save> {
    const card = this.#o.presence.require()
    await card.requirePin(pin)
    const author: Author = {
      member: card.facts.member.id,
      signer: lockedSigner(card),
      level: card.facts.level.level,
      allowsLocation: await card.allowsLocation(),
    }
    const save = await this.#keepAsAllowed(source, author, card)
    const words = this.#words
    await this.show({
      lines: [
        words.here(save.name),
        this.#o.online() ? words.onItsWay : words.withoutLine,
        ...(save.leftOut ? [words.withoutPlace] : []),
        ...[...(save.leftOut ?? [])].map((what) => words.leftOut[what]),
      ],
      tone: 'busy',
      ...(picture ? { picture } : {}),
    })
    return save
  }

  /** D8: what may hold a place that cannot be taken out is kept when the member says so, of this very thing. */
  async #keepAsAllowed(source: UploadSource, author: Author, card: PresentCard): Promise<Save> {
    const { saves, dialogue } = this.#o
    try {
      return await saves.keep(source, author)
    } catch (error) {
      if (!isProblem(error, 'place.not-removable') || !dialogue?.entry.has('choice')) throw error
      const { placeMayBeIn, keepNot, keepAsItIs } = this.#words
      const choices = [
        { label: keepNot, isKept: false },
        { label: keepAsItIs, isKept: true },
      ]
      const { isKept } = await dialogue.choose(placeMayBeIn(source.name), choices, card.signal)
      if (!isKept) throw error
      return await saves.keep(source, { ...author, allowsLocation: true })
    }
  }

  async #onSave(save: Save): Promise<void> {
    const words = this.#words
    if (save.state === 'kept' && save.receipt) {
      await this.show({ lines: [words.kept(save.name), words.places(save.receipt.replicas)], tone: 'good' })
    } else if (save.state === 'refused' && save.problem) {
      const { title, todo } = describe(save.problem, this.#o.language?.() ?? 'en')
      await this.show({ lines: [`${save.name}: ${title}`, todo], tone: 'problem' })
    } else if (save.state === 'buffered') {
      const why = save.problem ? this.#waitsFor(save.problem) : words.beingKept
      await this.show({ lines: [words.received(save.name), why], tone: 'busy' })
    } else if (save.state === 'here' && save.problem) {
      await this.show({ lines: [words.here(save.name), this.#waitsFor(save.problem)], tone: 'busy' })
    }
  }

  /** Nothing is lost and nothing need be done, but the person may know why it takes long. */
  #waitsFor(code: string): string {
    return this.#words.waits(describe(code, this.#o.language?.() ?? 'en').title)
  }

  get #words() {
    return wordsOf(this.#o.language)
  }
}

/** The card's key for acts, used under the card's lock. */
function lockedSigner(card: ReturnType<Presence['require']>): Author['signer'] {
  const signer = card.client.signAct(card.signal)
  return {
    algorithm: signer.algorithm,
    kid: signer.kid,
    sign: (toBeSigned) => card.use(async () => signer.sign(toBeSigned)),
  }
}

function thumbnailOf(bytes: Uint8Array): Raster | undefined {
  try {
    return rotate(shrink(decodePicture(bytes), 160), readExif(bytes).orientation)
  } catch {
    // A picture that does not decode is kept byte for byte all the same (the printer will say so).
    return undefined
  }
}
