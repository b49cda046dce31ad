/**
 * Where the state of the slots is kept: two records that are written in turn, so that a torn or rotten one leaves the
 * other. Whoever changes it reads it anew first: launcher and runtime are two processes.
 */
import { createHash } from 'node:crypto'
import { decode, encodeDeterministic } from '../codec.ts'
import { Bytes, Count, checker, Type } from '../contract.ts'
import { makeDurableDirectory } from '../durable-directory.ts'
import type { Files } from '../ports.ts'
import { isProblem } from '../problem.ts'
import type { UpgradeProgram } from './manifest.ts'
import { noSlots, type SlotInput, type SlotName, Slots, step } from './slots.ts'

const checkRecord = checker(Type.Object({ count: Count, slots: Slots, digest: Bytes(32) }), 'state of the slots')
const recordMaxBytes = 4096

interface Kept {
  count: number
  slots: Slots
  /** The record that it came from; the next goes to the other. */
  record: 0 | 1
}

export class SlotStore {
  /** Folder of the slots. */
  readonly folder: string
  readonly files: Files
  /** Whose releases may lie in them. */
  readonly program: UpgradeProgram

  constructor(files: Files, folder: string, program: UpgradeProgram = 'device') {
    this.program = program
    this.files = files
    this.folder = folder
  }

  directoryOf(slot: SlotName): string {
    return `${this.folder}/${slot}`
  }

  async read(): Promise<Slots> {
    return (await this.#newest()).slots
  }

  /** Takes one step; when it resolves the step outlasts a power cut. @throws {Problem} `upgrade.busy`, `storage.*` */
  async step(input: SlotInput): Promise<Slots> {
    const { count, slots, record } = await this.#newest()
    const next = step(slots, input)
    if (next === slots) return slots
    await makeDurableDirectory(this.files, this.folder)
    const file = await this.files.open(`${this.folder}/state.${1 - record}`, 'create')
    try {
      const bytes = encodeDeterministic({ count: count + 1, slots: next, digest: digestOf(count + 1, next) })
      await file.write(0, bytes)
      await file.truncate(bytes.length)
      await file.sync()
    } finally {
      await file.close()
    }
    await this.files.syncDirectory(this.folder)
    return next
  }

  async #newest(): Promise<Kept> {
    const kept = [await this.#record(0), await this.#record(1)].filter((record) => record !== undefined)
    return kept.sort((a, b) => b.count - a.count)[0] ?? { count: 0, slots: noSlots, record: 1 }
  }

  /** One of the two records; undefined when it is absent, torn or rotten. */
  async #record(record: 0 | 1): Promise<Kept | undefined> {
    try {
      const file = await this.files.open(`${this.folder}/state.${record}`, 'read')
      try {
        const { count, slots, digest } = checkRecord(decode(await file.read(0, recordMaxBytes)))
        return Buffer.from(digest).equals(digestOf(count, slots)) ? { count, slots, record } : undefined
      } finally {
        await file.close()
      }
    } catch (error) {
      if (isProblem(error) && !error.code.startsWith('storage.')) return undefined
      throw error
    }
  }
}

function digestOf(count: number, slots: Slots): Uint8Array {
  return createHash('sha256')
    .update(encodeDeterministic([count, slots]))
    .digest()
}
