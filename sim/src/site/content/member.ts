/** A member who gets content at a simulated board, as the board's menu does it. */
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { type ArrivingContent, browse, type ContentPage, requestArriving } from '@azukari/device/apps/content/content'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import type { ContentItem } from '@azukari/protocol/contracts/content'
import { pin, type SiteBoard } from '../site.ts'
import { until } from '../wait.ts'

export interface Got {
  bytes: Uint8Array
  fee: 'purchase' | 'reference'
  /** The data server that delivered, and the one that it had it from. */
  server: string
  from: string
}

export interface BoardMember {
  find(words: string): Promise<ContentItem>
  browse(words: string | undefined, after: string | undefined, limit: number): Promise<ContentPage>
  ask(item: ContentItem): Promise<ArrivingContent>
  get(item: ContentItem): Promise<Got>
  /** Asks, and takes none of it. */
  refuse(item: ContentItem): Promise<void>
}

/** The member whose card is in, once there is a session; the PIN is entered. */
export async function memberAt({ runtime }: SiteBoard): Promise<BoardMember> {
  const card = await until('the card and its session', () =>
    runtime.presence?.card?.session ? runtime.presence.card : undefined,
  )
  await card.requirePin(pin)
  const ports = { link: runtime.link, clock: systemClock, random: systemRandom }
  return {
    find: async (words) => {
      const { items } = await browse(card, { words }, 10)
      return until(words, () => items[0])
    },
    browse: (words, after, limit) => browse(card, { words, after }, limit),
    ask: (item) => requestArriving(ports, card, item),
    get: async (item) => {
      const arriving = await requestArriving(ports, card, item)
      const bytes = await arriving.whole()
      await arriving.end()
      return { bytes, fee: arriving.fee, server: arriving.server, from: arriving.from }
    },
    refuse: async (item) => (await requestArriving(ports, card, item)).end('card.absent'),
  }
}

export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Files below a folder that hold these bytes. */
export async function filesWith(folder: string, part: Uint8Array): Promise<string[]> {
  const found: string[] = []
  for (const name of await readdir(folder, { recursive: true })) {
    const path = `${folder}/${name}`
    if ((await stat(path)).isFile() && (await readFile(path)).includes(Buffer.from(part))) found.push(path)
  }
  return found
}
