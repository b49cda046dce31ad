/**
 * Where blocks on their way to a device are read: at the data server that accepted the request, a few at a time; when it does
 * not answer any more, at whoever else holds them. Each block is checked by the host before it leaves.
 */
import { hex } from '@azukari/protocol/bytes'
import type { ReadContent } from '@azukari/protocol/download'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { blockPlainBytes } from '@azukari/protocol/transfer'
import type { ContentSource } from '../../service/offers.ts'
import type { ServiceStore } from '../../service/service.ts'
import type { DataServers } from './data-servers.ts'
import { contents, type DeliveryRow, deliveries, holders } from './store.ts'

/** Blocks that are read at once: memory per device that fetches. */
const aheadBlocks = 16
/** Deliveries whose blocks are counted at once: with the largest objects some 32 MB. */
const watchedMax = 1_000

export function contentSource({ sql }: Pick<ServiceStore, 'sql'>, servers: DataServers): ContentSource {
  const served = new ServedBlocks(sql)
  return async (_kind, id) => {
    const delivery = await deliveries.byId(sql, id)
    if (delivery?.state !== 'offered') return undefined
    const { size } = (await contents.version(sql, delivery.content, delivery.version)) ?? { size: 0 }
    const blocks = Math.ceil(size / blockPlainBytes)
    const ahead = aheadReader(sql, servers, delivery)
    const read: ReadContent = async (at, length) => {
      await served.note(id, Math.floor(at / blockPlainBytes), blocks)
      return ahead(at, length)
    }
    return read
  }
}

/** Reads a delivery's blocks, some ahead. @throws {Problem} `object.unavailable` when nobody has them now */
export function aheadReader(
  sql: ServiceStore['sql'],
  servers: DataServers,
  { root, server }: Pick<DeliveryRow, 'root' | 'server'>,
): ReadContent {
  let ahead: { from: number; blocks: Uint8Array[] } = { from: 0, blocks: [] }
  return async (at, length) => {
    const index = Math.floor(at / blockPlainBytes)
    const held = ahead.blocks[index - ahead.from]
    if (held) return held.subarray(0, length)
    const others = (await holders.of(sql, root)).map((holder) => holder.server).filter((other) => other !== server)
    const blocks = await readBlocks(servers, root, [server, ...others], index)
    ahead = { from: index, blocks }
    return blocks[0]?.subarray(0, length) ?? new Uint8Array(0)
  }
}

/** Which blocks of each delivery have left, until all have: then that is written down. */
class ServedBlocks {
  readonly #sql: ServiceStore['sql']
  readonly #left = new Map<string, Set<number>>()

  constructor(sql: ServiceStore['sql']) {
    this.#sql = sql
  }

  async note(id: Uint8Array, index: number, blocks: number): Promise<void> {
    const name = hex(id)
    const left = this.#left.get(name) ?? new Set()
    left.add(index)
    this.#left.delete(name)
    if (left.size >= blocks) return void (await deliveries.served(this.#sql, id))
    this.#left.set(name, left)
    // The one that was heard of least recently; if it goes on, it begins anew.
    if (this.#left.size > watchedMax) this.#left.delete(this.#left.keys().next().value ?? '')
  }
}

/** @throws {Problem} `object.unavailable` when nobody has them now */
async function readBlocks(
  servers: DataServers,
  root: Uint8Array,
  from: readonly string[],
  index: number,
): Promise<Uint8Array[]> {
  for (const id of from)
    try {
      const server = await servers.entry(id)
      const blocks: Uint8Array[] = []
      for await (const block of servers.of(server).read(servers.grant('read', root, id), index, aheadBlocks))
        blocks.push(block)
      if (blocks.length > 0) return blocks
    } catch (error) {
      if (!isProblem(error)) throw error
    }
  throw new Problem('object.unavailable', hex(root).slice(0, 16))
}
