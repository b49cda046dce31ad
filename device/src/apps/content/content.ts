/**
 * Content at a board (C2–C4, C13, C14): what is offered, and getting one of it. What comes is read as a stream that was checked block by
 * block; nothing of it is written down here.
 */
import { browseContent, type ContentItem, contentPicture, getContent } from '@azukari/protocol/contracts/content'
import type { Clock, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { DownloadStream } from '../../downloads/stream.ts'
import type { Link } from '../../link.ts'
import type { PresentCard } from '../presence.ts'

export interface ContentPorts {
  link: Link
  clock: Clock
  random: Random
}

export interface ContentPage {
  items: ContentItem[]
  /** Where the next page begins; undefined on the last one. */
  next: string | undefined
}

/** Largest picture that is shown or printed: it must fit in memory here. */
const pictureMaxBytes = 64 * 1024 * 1024

/** @throws {Problem} `session.*`, `link.*` */
export async function browse(
  card: PresentCard,
  { words, after }: { words?: string | undefined; after?: string | undefined },
  limit: number,
): Promise<ContentPage> {
  const request: Parameters<typeof browseContent.checkRequest>[0] = {
    ...(words !== undefined && { words }),
    ...(after !== undefined && { after }),
    limit,
  }
  const { items, next } = await card.askService(browseContent, browseContent.checkRequest(request))
  return { items, next }
}

/** The picture of an item in the list. @throws {Problem} `content.*`, `session.*`, `link.*` */
export async function listPicture(card: PresentCard, content: Uint8Array): Promise<Uint8Array> {
  return (await card.askService(contentPicture, { content })).picture
}

/** Content on its way here. */
export class ArrivingContent {
  readonly item: ContentItem
  /** Whether it was charged as held by others, or as held for this member already. */
  readonly fee: 'purchase' | 'reference'
  /** The data server that delivers, and the one that it had it from. */
  readonly server: string
  readonly from: string
  /** Of what arrives: the list's is about right where each buyer gets a copy of their own. */
  readonly sizeBytes: number
  readonly #stream: DownloadStream
  #isEnded = false
  #isUsed = false

  constructor(
    item: ContentItem,
    reply: Awaited<ReturnType<typeof requestContent>>,
    ports: ContentPorts,
    signal: AbortSignal,
  ) {
    this.item = item
    this.fee = reply.fee
    this.server = reply.server
    this.from = reply.from
    this.sizeBytes = reply.offer.sizeBytes
    this.#stream = new DownloadStream(ports, reply.offer, signal)
  }

  /** A person has seen or heard some of it: whatever ends it now, it was delivered. */
  used(): void {
    this.#isUsed = true
  }

  /** Up to `length` bytes from any place on; none behind the end. @throws {Problem} `transfer.*`, `link.*` */
  read(at: number, length: number): Promise<Uint8Array> {
    return this.#stream.read(at, length)
  }

  /** All of it, in memory. @throws {Problem} `transfer.too-large`, `transfer.*`, `link.*` */
  async whole(onProgress: (part: number) => void = () => {}): Promise<Uint8Array> {
    const { sizeBytes } = this
    if (sizeBytes > pictureMaxBytes) throw new Problem('transfer.too-large', `more than ${pictureMaxBytes} bytes`)
    const bytes = new Uint8Array(sizeBytes)
    for (let at = 0; at < sizeBytes; ) {
      const part = await this.read(at, sizeBytes - at)
      bytes.set(part, at)
      at += part.length
      onProgress(at / sizeBytes)
    }
    return bytes
  }

  /** @param problem why it could not be used: then its charge is reversed, unless it was used */
  async end(problem?: string): Promise<void> {
    if (this.#isEnded) return
    this.#isEnded = true
    await this.#stream.end(this.#isUsed ? undefined : problem).catch((error: unknown) => {
      // The site reverses by itself what nobody fetched.
      if (!isProblem(error)) throw error
    })
  }
}

/**
 * Asks for one item, at the price that was shown.
 * @throws {Problem} `content.*`, `session.*`, `link.*`
 */
export async function requestArriving(
  ports: ContentPorts,
  card: PresentCard,
  item: ContentItem,
): Promise<ArrivingContent> {
  return new ArrivingContent(item, await requestContent(ports, card, item), ports, card.signal)
}

async function requestContent({ random }: ContentPorts, card: PresentCard, item: ContentItem) {
  const { content, version, serviceMinor, contentMinor, currency } = item
  const asked = { content, version, serviceMinor, contentMinor, currency }
  const delivery = random.bytes(16)
  try {
    return await card.askService(getContent, { ...asked, delivery })
  } catch (error) {
    if (!isProblem(error, 'link.timeout') && !isProblem(error, 'server.unreachable')) throw error
    // The answer was lost, or the nearest server was: the same again finds it out; if that server is gone, another is asked anew.
    const again = isProblem(error, 'link.timeout') ? delivery : random.bytes(16)
    return card.askService(getContent, { ...asked, delivery: again })
  }
}
