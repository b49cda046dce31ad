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
import { bytesOf } from './made-copies.ts'
import { type DeliveryRow, deliveries, holders } from './store.ts'

/** Blocks that are read at once: memory per device that fetches. */
const aheadBlocks = 16
/** Deliveries whose blocks are counted at once: a few hundred bytes each. */
const watchedMax = 1_000

export function contentSource(
  { sql }: Pick<ServiceStore, 'sql'>,
  servers: DataServers,
): { source: ContentSource; flush: () => Promise<void> } {
  const served = new ServedBlocks(sql)
  const source: ContentSource = async (_kind, id) => {
    const delivery = await deliveries.byId(sql, id)
    if (delivery?.state !== 'offered') return undefined
    const { size } = (await bytesOf(sql, delivery)) ?? { size: 0 }
    const blocks = Math.ceil(size / blockPlainBytes)
    const ahead = aheadReader(sql, servers, delivery)
    const read: ReadContent = async (at, length) => {
      await served.note(id, Math.floor(at / blockPlainBytes), blocks)
      return ahead(at, length)
    }
    return read
  }
  return { source, flush: () => served.flush() }
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

/**
 * Which blocks of each delivery have left, until all have. It is written down while they leave, and no block waits for it: a crash forgets
 * what left in its last moment, which may not have arrived either.
 */
class ServedBlocks {
  readonly #sql: ServiceStore['sql']
  readonly #left = new Map<string, Leaving>()

  constructor(sql: ServiceStore['sql']) {
    this.#sql = sql
  }

  async note(id: Uint8Array, index: number, blocks: number): Promise<void> {
    const name = hex(id)
    const leaving = this.#left.get(name) ?? (await this.#known(id, blocks))
    setBit(leaving.bits, index)
    this.#left.delete(name)
    this.#left.set(name, leaving)
    if (countOf(leaving.bits) >= blocks) {
      await leaving.written
      await deliveries.served(this.#sql, id)
      return void this.#left.delete(name)
    }
    this.#write(id, leaving)
    // The one that was heard of least recently; what has left of it is written down.
    if (this.#left.size > watchedMax) this.#left.delete(this.#left.keys().next().value ?? '')
  }

  /** What was being written when the service ends. */
  async flush(): Promise<void> {
    await Promise.all([...this.#left.values()].map(({ written }) => written))
  }

  async #known(id: Uint8Array, blocks: number): Promise<Leaving> {
    const row = await deliveries.byId(this.#sql, id)
    const bits = row?.blocks_left ? new Uint8Array(row.blocks_left) : new Uint8Array(Math.ceil(blocks / 8))
    // Another block of it may have asked meanwhile.
    const leaving = this.#left.get(hex(id)) ?? { bits, isChanged: false, written: Promise.resolve() }
    this.#left.set(hex(id), leaving)
    return leaving
  }

  /** One write at a time for each delivery; the next one has all that left meanwhile. */
  #write(id: Uint8Array, leaving: Leaving): void {
    if (leaving.isChanged) return
    leaving.isChanged = true
    leaving.written = leaving.written.then(async () => {
      leaving.isChanged = false
      // A store that cannot write is told of by whatever needs it to; these bits come again with the next block.
      await deliveries.leaving(this.#sql, id, leaving.bits.slice()).catch(() => undefined)
    })
  }
}

interface Leaving {
  bits: Uint8Array
  /** A write that has not begun yet will take everything. */
  isChanged: boolean
  written: Promise<void>
}

function setBit(bits: Uint8Array, index: number): void {
  const at = index >> 3
  bits[at] = (bits[at] ?? 0) | (1 << (index & 7))
}

function countOf(bits: Uint8Array): number {
  let count = 0
  for (const byte of bits) for (let rest = byte; rest > 0; rest &= rest - 1) count++
  return count
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
