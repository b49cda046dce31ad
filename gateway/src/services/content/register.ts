/** The register of what providers offer (C5): a file's bytes go to a data server, its origin, before anybody is told of it. */
import { hex } from '@azukari/protocol/bytes'
import { contentPictureMaxBytes } from '@azukari/protocol/contracts/content'
import { objectMaxBytes } from '@azukari/protocol/delivery'
import { hashBytes } from '@azukari/protocol/download'
import type { Currency } from '@azukari/protocol/money'
import type { Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { blockPlainBytes } from '@azukari/protocol/transfer'
import type { ServiceStore } from '../../service/service.ts'
import type { ServerEntry } from '../../site-folder.ts'
import type { DataServers } from './data-servers.ts'
import { beginsLike, mediaTypeOf } from './media-types.ts'
import { searchText } from './search-words.ts'
import { type ContentRow, contents, holders, type ListedRow } from './store.ts'

/** For how long an origin counts as a holder until it is looked at, ms. */
const leaseMs = 300_000

export interface NewContent {
  name: string
  bytes: Uint8Array
  provider: string
  title: string
  price: number
  terms: string
  type: string | undefined
  picture: { name: string; bytes: Uint8Array } | undefined
  origin: string | undefined
  /** Of which content it is a new version. */
  replaces: Uint8Array | undefined
}

export interface RegisterOptions {
  store: ServiceStore
  servers: DataServers
  random: Random
  currency: Currency
}

export class Register {
  readonly #o: RegisterOptions

  constructor(options: RegisterOptions) {
    this.#o = options
  }

  /**
   * Offers a file, or a new version of one.
   * @throws {Problem} `content.unsuitable`, `content.unknown`, `content.withdrawn`, `config.invalid`, `server.*`, `storage.*`
   */
  async add(given: NewContent): Promise<ListedRow> {
    const { store, random, currency } = this.#o
    const { bytes, replaces } = given
    if (bytes.length === 0 || bytes.length > objectMaxBytes)
      throw new Problem('content.unsuitable', `${given.name}: ${bytes.length} bytes`)
    if (given.title.trim() === '') throw new Problem('content.unsuitable', `${given.name}: its title is empty`)
    const media = given.type ?? mediaTypeOf(given.name)
    checkForm(given.name, media, bytes)
    const picture = pictureOf(given)
    const before = replaces && (await this.#offered(replaces, given.provider))
    const { root, leaves } = hashBytes(bytes)
    const origin = await this.#keep(root, leaves, bytes, given.origin)
    const id = before?.id ?? random.bytes(16)
    await store.transaction(async ({ sql, nowMs }) => {
      const now = before && (await contents.byId(sql, id))
      if (now?.state === 'withdrawn') throw new Problem('content.withdrawn', hex(id))
      const row: ContentRow = {
        id,
        provider: given.provider,
        title: given.title,
        search: searchText(given.title),
        media,
        terms: given.terms,
        state: 'offered',
        version: (now?.version ?? 0) + 1,
        price: given.price,
        currency,
        origin,
        at: nowMs,
        made_of: null,
      }
      if (now) {
        await contents.replace(sql, row)
        if (picture) await contents.setPicture(sql, id, picture.bytes, picture.media)
      } else await contents.add(sql, { ...row, picture: picture?.bytes ?? null, picture_media: picture?.media ?? null })
      const name = given.name.slice(given.name.lastIndexOf('/') + 1).slice(0, 128)
      const { version } = row
      await contents.addVersion(sql, { content: id, version, root, size: bytes.length, leaves, name, at: nowMs })
      await holders.put(sql, { root, server: origin, pinned: 1, until: nowMs + leaseMs })
    })
    return this.#listed(id)
  }

  /** Ends the offer. @throws {Problem} `content.unknown` */
  async withdraw(id: Uint8Array): Promise<void> {
    await this.#o.store.transaction(async ({ sql }) => {
      if (!(await contents.byId(sql, id))) throw new Problem('content.unknown', hex(id))
      await contents.withdraw(sql, id)
    })
  }

  /** @throws {Problem} `content.unknown`, `content.withdrawn` */
  async #offered(id: Uint8Array, provider: string): Promise<ContentRow> {
    const row = await contents.byId(this.#o.store.sql, id)
    if (!row || row.provider !== provider) throw new Problem('content.unknown', `none of ${provider}: ${hex(id)}`)
    if (row.state === 'withdrawn') throw new Problem('content.withdrawn', hex(id))
    if (row.made_of !== null) throw new Problem('content.unsuitable', `${hex(id)} is made for each buyer`)
    return row
  }

  async #listed(id: Uint8Array): Promise<ListedRow> {
    const { sql } = this.#o.store
    const row = await contents.byId(sql, id)
    const version = row && (await contents.version(sql, id, row.version))
    if (!row || !version) throw new Problem('content.unknown', hex(id))
    return { ...row, size: version.size, has_picture: (await contents.picture(sql, id))?.picture ? 1 : 0 }
  }

  /** @returns the data server that is its origin from now on */
  async #keep(root: Uint8Array, leaves: Uint8Array, bytes: Uint8Array, wanted: string | undefined): Promise<string> {
    const { servers } = this.#o
    const candidates = wanted === undefined ? await this.#roomiestFirst() : [await this.#named(wanted)]
    let last: unknown = new Problem('config.invalid', 'the site has no data server yet: azukari-gateway servers add')
    for (const server of candidates)
      try {
        const grant = servers.grant('keep', root, server.id)
        await servers.of(server).keep({ grant, sizeBytes: bytes.length, leaves }, blocksOf(bytes))
        return server.id
      } catch (error) {
        if (!isProblem(error)) throw error
        servers.noteAway(server.id)
        last = error
      }
    throw last
  }

  /** @throws {Problem} `command.invalid` */
  async #named(id: string): Promise<ServerEntry> {
    const all = await this.#o.servers.all()
    const found = all.find((server) => server.id === id)
    if (!found)
      throw new Problem('command.invalid', `no data server ${id}; there are ${all.map((one) => one.id).join(', ')}`)
    return found
  }

  async #roomiestFirst(): Promise<ServerEntry[]> {
    return [...(await this.#o.servers.all())].sort(
      (a, b) => b.capacityBytes - a.capacityBytes || (a.id < b.id ? -1 : 1),
    )
  }
}

function pictureOf({ picture }: NewContent): { bytes: Uint8Array; media: string } | undefined {
  if (!picture) return undefined
  const media = mediaTypeOf(picture.name)
  const { length } = picture.bytes
  if (!media.startsWith('image/') || length === 0 || length > contentPictureMaxBytes)
    throw new Problem('content.unsuitable', `${picture.name}: ${media}, ${length} bytes`)
  checkForm(picture.name, media, picture.bytes)
  return { bytes: picture.bytes, media }
}

/** Members pay before they see it: what says it is a picture begins like one. @throws {Problem} `content.unsuitable` */
function checkForm(name: string, media: string, bytes: Uint8Array): void {
  if (!beginsLike(media, bytes)) throw new Problem('content.unsuitable', `${name} is no ${media}`)
}

/** As data servers take them. */
export async function* blocksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += blockPlainBytes) yield bytes.subarray(at, at + blockPlainBytes)
}
