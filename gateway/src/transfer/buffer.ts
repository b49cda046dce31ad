/**
 * The receive buffer (S4): where devices' transfers rest, encrypted for the service that they are for, until it has taken
 * them. Announced, quota kept, resumable after any break of line or gateway, released by the service, else expired.
 */
import { hex } from '@azukari/protocol/bytes'
import type { Static } from '@azukari/protocol/contract'
import type { finishTransfer, Have, initTransfer } from '@azukari/protocol/contracts/transfer'
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import { Incoming, type IncomingPorts, type TransferFacts, windowMostBlocks } from '@azukari/protocol/incoming'
import { rootOfLeafHashes } from '@azukari/protocol/merkle'
import type { Clock, Files, Log, Timer } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { inlineLeavesMaxBytes } from '@azukari/protocol/transfer'
import { Budgets } from '../budgets/budgets.ts'
import { type Pool, Reservation } from '../budgets/pool.ts'
import type { ReceiveBuffer } from '../service/service.ts'
import type { Database } from '../storage/database.ts'
import type { CommitGroup } from '../storage/group.ts'
import { type ReservationLimits, TransferReservations } from './reservations.ts'
import { type TransferRow, transferStore } from './store.ts'

export type TransferInit = Static<typeof initTransfer.request>
type Finished = Static<typeof finishTransfer.reply>

export interface BufferLimits extends ReservationLimits {
  /** Bytes of one transfer. */
  transferBytes: number
  /** Free bytes that the disk keeps for everything else. */
  spareBytes: number
  /** Bytes between arrival and disk, over all transfers. */
  memoryBytes: number
  /** Longest life of a transfer that is not whole, and of one that is whole and that no service has taken. */
  lifeMs: number
  wholeLifeMs: number
  /** Open transfers; the one that was used least recently is closed and opened again when it goes on. */
  open: number
}

const bufferLimits: BufferLimits = {
  totalBytes: 64 * 2 ** 30,
  deviceBytes: 16 * 2 ** 30,
  transfers: 100_000,
  deviceTransfers: 64,
  unsentMs: 3_600_000,
  idleMs: 3 * 86_400_000,
  transferBytes: 16 * 2 ** 30,
  spareBytes: 64 * 2 ** 20,
  memoryBytes: 64 * 2 ** 20,
  lifeMs: 14 * 86_400_000,
  wholeLifeMs: 90 * 86_400_000,
  open: 256,
}

export interface TransferBufferOptions {
  files: Files
  directory: string
  database: Database
  commits: CommitGroup
  clock: Clock
  log: Log
  /** Tells a device how far a transfer is. */
  onProgress: (device: string, have: Have, bad: readonly number[]) => void
  limits?: Partial<BufferLimits>
  /** Where it shows what is in use. */
  budgets?: Budgets
}

/** How often what has expired is looked for, and a full disk looked at again. */
const sweepMs = 60_000
const retryDiskMs = 5_000
/** Ranges that fit into one message; a sender that leaves more holes learns the rest later. */
const maxRanges = 1_024

export class TransferBuffer {
  readonly #options: TransferBufferOptions
  readonly #limits: BufferLimits
  readonly #open = new Map<string, Promise<Incoming<TransferRow>>>()
  readonly #ready = new Map<string, Incoming<TransferRow>>()
  readonly #reserved: TransferReservations
  readonly #memory: Pool
  #full = false
  #timers: Timer[] = []
  #stopped = false

  constructor(options: TransferBufferOptions) {
    this.#options = options
    this.#limits = { ...bufferLimits, ...options.limits }
    const budgets = options.budgets ?? new Budgets()
    this.#reserved = new TransferReservations(budgets, this.#limits)
    const { memoryBytes } = this.#limits
    this.#memory = budgets.pool('buffer_memory', { device: { all: memoryBytes, each: memoryBytes >> 2 } })
  }

  /** Bytes announced, and transfers, for metrics. */
  get usage(): { bytes: number; transfers: number; full: boolean } {
    return { ...this.#reserved.usage, full: this.#full }
  }

  async start(): Promise<void> {
    const { files, directory, database } = this.#options
    await makeDurableDirectory(files, directory)
    for (const row of await transferStore.held(database)) await this.#adopt(row)
    // Files of which no row tells: a crash between the two.
    for (const name of await files.list(directory)) {
      if (!this.#reserved.has(name.split('.')[0]!)) await files.remove(`${directory}/${name}`)
    }
    this.#sweepLater()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) timer.cancel()
    for (const opening of this.#open.values()) {
      const incoming = await opening.catch(() => undefined)
      await incoming?.settle()
      await incoming?.close()
    }
    this.#open.clear()
    this.#ready.clear()
  }

  /** Announces a transfer, or asks how far it is. @throws {Problem} `transfer.quota`, `transfer.too-large`, `storage.full`, `act.conflict`, `transfer.bad-root` */
  async init(device: string, init: TransferInit): Promise<Have> {
    const known = await this.#find(init.transfer)
    if (known) {
      if (known.device !== device) throw new Problem('transfer.unknown')
      if (!sameTransfer(known, init)) throw new Problem('act.conflict', 'another transfer under the same id')
      return this.#have(await this.#incoming(known))
    }
    const row = this.#judge(device, init)
    const { files, directory, commits, clock } = this.#options
    const name = hex(init.transfer)
    if (this.#reserved.has(name)) throw new Problem('act.conflict', 'announced twice at once')
    // Reserved before anything is waited for: of many that come at once, each counts those before it.
    this.#reserved.announce(device, name, row.size_bytes, clock.monotonicMs())
    try {
      if ((await files.freeBytes(directory)) - this.#limits.spareBytes < this.#reserved.unsentBytes)
        throw new Problem('storage.full', 'no room for this transfer')
      await commits.run(async (sql) => {
        if (await transferStore.find(sql, init.transfer)) throw new Problem('act.conflict', 'announced twice at once')
        await transferStore.insert(sql, row)
      })
    } catch (error) {
      this.#reserved.release(name)
      throw error
    }
    return this.#have(await this.#incoming(row))
  }

  /** @throws {Problem} `transfer.unknown` also for another device's, `transfer.expired` */
  async have(device: string, transfer: Uint8Array): Promise<Have> {
    return this.#have(await this.#incoming(await this.#own(device, transfer)))
  }

  /** @throws {Problem} `transfer.unknown`, `transfer.incomplete` */
  async finish(device: string, transfer: Uint8Array): Promise<Finished> {
    const row = await this.#own(device, transfer)
    const incoming = await this.#incoming(row)
    await incoming.settle()
    if (incoming.failure) throw incoming.failure
    // Every block was checked against the root, so all blocks are the whole.
    if (!incoming.whole) throw new Problem('transfer.incomplete')
    if (!row.complete) {
      await this.#options.files.syncDirectory(this.#options.directory)
      await this.#options.commits.run((sql) =>
        transferStore.complete(sql, transfer, this.#options.clock.now() + this.#limits.wholeLifeMs),
      )
      row.complete = 1
      incoming.row.complete = 1
      this.#reserved.completed(hex(transfer))
    }
    return { transfer, root: row.root, sizeBytes: row.size_bytes }
  }

  /** A block from a device. What does not belong is dropped: the sender asks `have` when it hears nothing. */
  block(device: string, transfer: string, index: number, payload: Uint8Array): Promise<void> | undefined {
    const incoming = this.#ready.get(transfer)
    if (!incoming) return this.#lateBlock(device, transfer)
    if (incoming.row.device !== device || incoming.row.complete || this.#full) return undefined
    return incoming.take(index, payload)
  }

  /** What a service may do with what is for it. */
  bufferFor(service: string): ReceiveBuffer {
    const mine = async (transfer: Uint8Array): Promise<TransferRow | undefined> => {
      const row = await this.#find(transfer)
      return row?.service === service ? row : undefined
    }
    return {
      describe: async (transfer) => {
        const row = await mine(transfer)
        return (
          row && {
            device: row.device,
            sizeBytes: row.size_bytes,
            blockBytes: row.block_bytes,
            blocks: row.blocks,
            root: row.root,
            complete: row.complete === 1,
          }
        )
      },
      read: async (transfer, from, count) => {
        const row = await mine(transfer)
        if (!row) throw new Problem('transfer.unknown')
        if (!row.complete) throw new Problem('transfer.incomplete')
        return (await this.#incoming(row)).read(from, Math.min(count, 16))
      },
      release: async (transfer) => {
        if (await mine(transfer)) await this.#remove(transfer)
      },
    }
  }

  /** Devices that have something here. */
  devices(): Set<string> {
    return this.#reserved.devices()
  }

  /**
   * A device was revoked: what it has not finished is given back at once. What is whole may be on its way into a service,
   * so that stays, but not longer than an unfinished one would.
   */
  async revoked(device: string): Promise<void> {
    const { commits, clock } = this.#options
    const untilMs = clock.now() + this.#limits.lifeMs
    for (const { name, complete } of this.#reserved.of(device)) {
      const row = await this.#find(idOf(name))
      if (!complete) await this.#remove(idOf(name))
      else if (row && row.expires_ms > untilMs) await commits.run((sql) => transferStore.complete(sql, row.id, untilMs))
    }
  }

  /** Removes what has expired, and what was announced and does not come. */
  async sweep(): Promise<void> {
    for (const name of this.#reserved.idle(this.#options.clock.monotonicMs())) await this.#remove(idOf(name))
    for (const transfer of await transferStore.expired(this.#options.database, this.#options.clock.now()))
      await this.#remove(transfer)
    for (const [name, incoming] of this.#ready) {
      if (this.#ready.size <= this.#limits.open) break
      this.#forget(name)
      await incoming.settle()
      await incoming.close()
    }
  }

  #judge(device: string, init: TransferInit): TransferRow {
    const { sizeBytes, blockBytes, blocks, leaves, root, expiresMs } = init
    const { clock } = this.#options
    if (sizeBytes === 0 || blocks !== Math.ceil(sizeBytes / blockBytes))
      throw new Problem('message.invalid', `${blocks} blocks of ${blockBytes} are not ${sizeBytes} bytes`)
    if (sizeBytes > this.#limits.transferBytes || blocks > 9_999_999)
      throw new Problem('transfer.too-large', `at most ${this.#limits.transferBytes} bytes`)
    if (leaves && leaves.length !== blocks) throw new Problem('message.invalid', 'one leaf per block')
    if (leaves && !Buffer.from(rootOfLeafHashes(leaves)).equals(root)) throw new Problem('transfer.bad-root')
    if (leaves && sizeBytes > inlineLeavesMaxBytes + blocks * 64)
      throw new Problem('message.invalid', 'leaves travel with their blocks above 8 MiB')
    if (expiresMs <= clock.now()) throw new Problem('transfer.expired')
    if (this.#full) throw new Problem('storage.full')
    return {
      id: init.transfer,
      device,
      service: init.to,
      size_bytes: sizeBytes,
      block_bytes: blockBytes,
      blocks,
      root,
      leaves: leaves ? new Uint8Array(Buffer.concat(leaves)) : null,
      expires_ms: Math.min(expiresMs, clock.now() + this.#limits.lifeMs),
      complete: 0,
    }
  }

  async #find(transfer: Uint8Array): Promise<TransferRow | undefined> {
    return this.#ready.get(hex(transfer))?.row ?? (await transferStore.find(this.#options.database, transfer))
  }

  async #own(device: string, transfer: Uint8Array): Promise<TransferRow> {
    const row = await this.#find(transfer)
    if (!row || row.device !== device) throw new Problem('transfer.unknown')
    if (!row.complete && row.expires_ms <= this.#options.clock.now()) throw new Problem('transfer.expired')
    return row
  }

  #incoming(row: TransferRow): Promise<Incoming<TransferRow>> {
    const name = hex(row.id)
    this.#reserved.used(name, this.#options.clock.monotonicMs())
    let opening = this.#open.get(name)
    if (!opening) {
      opening = this.#openFiles(name, row)
      this.#open.set(name, opening)
      opening.catch(() => this.#forget(name))
    }
    return opening
  }

  async #openFiles(name: string, row: TransferRow): Promise<Incoming<TransferRow>> {
    if (this.#stopped) throw new Problem('service.unavailable', 'the gateway stops')
    const { files, clock, directory, log } = this.#options
    const ports: IncomingPorts<TransferRow> = {
      files,
      clock,
      syncBlocks: () => Math.max(1, this.#window(row) >> 1),
      reserve: ({ row: { device } }, bytes) => {
        const taken = this.#memory.take('device', device, bytes)
        return taken instanceof Reservation ? taken : undefined
      },
      onProgress: (of, bad) => {
        this.#reserved.used(name, clock.monotonicMs(), of.receivedBytes)
        if (bad.length > 0)
          log.info('blocks that do not match were asked for again', {
            device: of.row.device,
            transfer: name,
            blocks: bad.length,
          })
        this.#options.onProgress(of.row.device, this.#have(of), bad)
      },
      onProblem: (of, problem) => this.#onProblem(of, problem),
    }
    const incoming = await Incoming.open(row, factsOf(row), `${directory}/${name}`, ports, row.complete === 1)
    this.#ready.set(name, incoming)
    this.#reserved.used(name, clock.monotonicMs(), incoming.receivedBytes)
    if (this.#ready.size > this.#limits.open) void this.sweep()
    return incoming
  }

  /** A block of a transfer that is not open, as after a restart: open it, so that the next ones are taken. */
  async #lateBlock(device: string, name: string): Promise<void> {
    if (this.#stopped || this.#open.has(name)) return undefined
    const row = await transferStore.find(this.#options.database, idOf(name))
    if (row?.device !== device || row.complete) return undefined
    return this.#incoming(row).then(
      (incoming) => this.#options.onProgress(device, this.#have(incoming), []),
      () => undefined,
    )
  }

  #have(incoming: Incoming<TransferRow>): Have {
    const { row } = incoming
    return {
      transfer: row.id,
      ranges: incoming.ranges.slice(0, maxRanges),
      windowBlocks: this.#window(row),
      complete: incoming.whole,
    }
  }

  /** Blocks that one sender may have under way: a fair share of what memory may hold; none while the disk is full. */
  #window(row: TransferRow): number {
    if (this.#full) return 0
    const share = Math.floor(this.#limits.memoryBytes / row.block_bytes / Math.max(1, this.#ready.size))
    return Math.max(2, Math.min(windowMostBlocks, share))
  }

  #onProblem(incoming: Incoming<TransferRow>, problem: Problem): void {
    const { log, clock } = this.#options
    log.error('the receive buffer cannot write', { code: problem.code, device: incoming.row.device })
    incoming.resume()
    if (!this.#full) {
      this.#full = true
      this.#timers.push(clock.timer(retryDiskMs, () => void this.#lookAgain()))
    }
    this.#options.onProgress(incoming.row.device, this.#have(incoming), [])
  }

  async #lookAgain(): Promise<void> {
    const { files, directory, clock, log } = this.#options
    if (this.#stopped) return
    const free = await files.freeBytes(directory).catch(() => 0)
    if (free < this.#limits.spareBytes) {
      this.#timers.push(clock.timer(retryDiskMs, () => void this.#lookAgain()))
      return
    }
    this.#full = false
    log.info('the receive buffer takes blocks again', { freeBytes: free })
    for (const incoming of this.#ready.values())
      if (!incoming.row.complete) this.#options.onProgress(incoming.row.device, this.#have(incoming), [])
  }

  async #remove(transfer: Uint8Array): Promise<void> {
    const { files, directory, commits } = this.#options
    const name = hex(transfer)
    const row = await this.#find(transfer)
    const opening = this.#open.get(name)
    this.#forget(name)
    if (opening) await opening.then((incoming) => incoming.close()).catch(() => undefined)
    // The row goes first: files without a row are removed at the next start, a row without files would be a loss.
    await commits.run((sql) => transferStore.remove(sql, transfer))
    this.#reserved.release(name)
    await files.remove(`${directory}/${name}.blocks`)
    if (!row?.leaves) await files.remove(`${directory}/${name}.leaves`)
  }

  #forget(name: string): void {
    this.#open.delete(name)
    this.#ready.delete(name)
  }

  async #adopt({
    id,
    device,
    size_bytes: sizeBytes,
    complete,
  }: Awaited<ReturnType<typeof transferStore.held>>[number]) {
    const { files, directory, clock } = this.#options
    const name = hex(id)
    // Until it is opened and its blocks are checked: about what came of it.
    const file = complete ? undefined : await files.stat(`${directory}/${name}.blocks`)
    const receivedBytes = complete ? sizeBytes : Math.min(sizeBytes, file?.sizeBytes ?? 0)
    this.#reserved.adopt(name, { device, sizeBytes, receivedBytes, complete: complete === 1 }, clock.monotonicMs())
  }

  #sweepLater(): void {
    if (this.#stopped) return
    const { clock, log } = this.#options
    this.#timers = [
      clock.timer(sweepMs, () => {
        void this.sweep()
          .catch((error) =>
            log.error('expired transfers could not be removed', { code: isProblem(error) ? error.code : 'internal' }),
          )
          .finally(() => this.#sweepLater())
      }),
    ]
  }
}

function idOf(name: string): Uint8Array {
  return new Uint8Array(Buffer.from(name, 'hex'))
}

function factsOf(row: TransferRow): TransferFacts {
  return {
    sizeBytes: row.size_bytes,
    blockBytes: row.block_bytes,
    blocks: row.blocks,
    root: row.root,
    leaves: row.leaves ?? undefined,
  }
}

function sameTransfer(row: TransferRow, init: TransferInit): boolean {
  return (
    row.size_bytes === init.sizeBytes &&
    row.block_bytes === init.blockBytes &&
    row.blocks === init.blocks &&
    Buffer.from(row.root).equals(init.root) &&
    row.service === init.to
  )
}
