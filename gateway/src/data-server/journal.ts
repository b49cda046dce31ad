/**
 * Journals that other services keep here (placement's own, sealed by it): appended once, in order, durable before the
 * answer. Every chunk lies in two files, on two disks where there are two; one makes good what the other lost.
 *
 * Record: magic, total length, first number, SHA-256 over what follows it, CBOR of the entries. One append is one
 * record, so what a power cut tears is never something that was acknowledged.
 */
import { createHash } from 'node:crypto'
import { hex, sameBytes } from '@azukari/protocol/bytes'
import { decode, encode } from '@azukari/protocol/codec'
import type { Files, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Disk } from './disk.ts'
import { KeyedMutex } from './keyed-mutex.ts'

const magic = 0x415a4a31
const headerBytes = 4 + 4 + 8 + 32
const recordMaxBytes = 1 << 20
const chunkMaxBytes = 4 << 20
const journalEntriesMax = 256

interface Chunk {
  first: number
  bytes: number
}

interface Stream {
  folders: { disk: Disk; folder: string; copy: 'a' | 'b' }[]
  chunks: Chunk[]
  next: number
}

interface JournalRecord {
  seq: number
  entries: Uint8Array[]
  bytes: number
}

export class Journals {
  readonly #files: Files
  readonly #disks: readonly Disk[]
  readonly #log: Log
  readonly #mutex = new KeyedMutex()
  readonly #streams = new Map<string, Stream>()

  constructor(files: Files, disks: readonly Disk[], log: Log) {
    this.#files = files
    this.#disks = disks
    this.#log = log
  }

  /** @throws {Problem} `act.gap` with `data.want`, `act.conflict`, `storage.*` */
  append(name: Uint8Array, seq: number, entries: readonly Uint8Array[]): Promise<number> {
    return this.#mutex.take(hex(name), async () => {
      if (entries.length === 0 || entries.length > journalEntriesMax)
        throw new Problem('message.invalid', 'entries are 1 to 256')
      const stream = await this.#stream(name)
      if (seq > stream.next) throw new Problem('act.gap', `number ${seq}`, { data: { want: stream.next } })
      // What is held already may come again, also with more behind it: the answer was lost and the batch grew meanwhile.
      const again = Math.min(entries.length, stream.next - seq)
      await this.#checkHeld(stream, seq, entries.slice(0, again))
      if (again === entries.length) return stream.next
      const record = encodeRecord(stream.next, entries.slice(again))
      let chunk = stream.chunks.at(-1)
      if (!chunk || chunk.bytes + record.length > chunkMaxBytes) {
        chunk = { first: stream.next, bytes: 0 }
        stream.chunks.push(chunk)
      }
      const { first, bytes: at } = chunk
      try {
        await Promise.all(
          stream.folders.map(({ disk, folder }) =>
            disk.writing(() => this.#write(chunkPath(folder, first), folder, at, record, at === 0)),
          ),
        )
      } catch (error) {
        // How far it came is not known: look again before the next append.
        this.#streams.delete(hex(name))
        throw error
      }
      for (const { disk } of stream.folders) disk.usedBytes += record.length
      chunk.bytes += record.length
      stream.next = seq + entries.length
      return stream.next
    })
  }

  /** Up to `count` entries from number `from` on, as many as fit in one answer. */
  read(name: Uint8Array, from: number, count: number): Promise<{ next: number; entries: Uint8Array[] }> {
    return this.#mutex.take(hex(name), async () => {
      const stream = await this.#stream(name, false)
      return { next: stream.next, entries: await this.#read(stream, from, count) }
    })
  }

  /** Makes both copies of every chunk equal. @returns bytes read */
  async scrub(): Promise<number> {
    let readBytes = 0
    const names = new Set<string>()
    for (const disk of this.#disks)
      if (disk.works) for (const name of await this.#files.list(`${disk.path}/journal`)) names.add(name)
    for (const name of names) {
      await this.#mutex.take(name, async () => {
        const stream = await this.#stream(new Uint8Array(Buffer.from(name, 'hex')))
        for (const chunk of stream.chunks) {
          await this.#records(stream, chunk.first)
          readBytes += chunk.bytes * stream.folders.length
        }
      })
    }
    return readBytes
  }

  /** @throws {Problem} `act.conflict` when other entries stand there */
  async #checkHeld(stream: Stream, seq: number, entries: readonly Uint8Array[]): Promise<void> {
    for (let at = 0; at < entries.length; ) {
      // As many as fit in one answer, so perhaps in several goes.
      const held = await this.#read(stream, seq + at, entries.length - at)
      if (held.length === 0 || held.some((entry, i) => !sameBytes(entry, entries[at + i]!)))
        throw new Problem('act.conflict', `other entries stand at ${seq + at}`)
      at += held.length
    }
  }

  async #read(stream: Stream, from: number, count: number): Promise<Uint8Array[]> {
    const found: Uint8Array[] = []
    let bytes = 0
    for (const [at, chunk] of stream.chunks.entries()) {
      const end = stream.chunks[at + 1]?.first ?? stream.next
      if (end <= from) continue
      for (const record of (await this.#records(stream, chunk.first)).records) {
        for (const [offset, entry] of record.entries.entries()) {
          if (record.seq + offset < from) continue
          bytes += entry.length
          if (found.length >= count || (found.length > 0 && bytes > recordMaxBytes / 2)) return found
          found.push(entry)
        }
      }
    }
    return found
  }

  /** @param make whether a stream that is new is given its folders */
  async #stream(name: Uint8Array, make = true): Promise<Stream> {
    const key = hex(name)
    const known = this.#streams.get(key)
    if (known) return known
    const working = this.#disks.filter((disk) => disk.works)
    const folders: Stream['folders'] = []
    for (const disk of working) {
      const folder = `${disk.path}/journal/${key}`
      for (const copy of ['a', 'b'] as const)
        if (await this.#files.stat(`${folder}/${copy}`)) folders.push({ disk, folder: `${folder}/${copy}`, copy })
    }
    if (folders.length === 0 && !make) return { folders, chunks: [], next: 1 }
    // A lost copy is replaced on another disk where there is one.
    for (const copy of ['a', 'b'] as const) {
      if (folders.some((each) => each.copy === copy)) continue
      const disk = working.find((each) => !folders.some((other) => other.disk === each)) ?? working[0]
      if (!disk) throw new Problem('storage.failed', 'no disk works')
      const folder = `${disk.path}/journal/${key}/${copy}`
      await disk.writing(async () => {
        await this.#files.makeDirectory(folder)
        await this.#files.syncDirectory(`${disk.path}/journal/${key}`)
        await this.#files.syncDirectory(`${disk.path}/journal`)
      })
      folders.push({ disk, folder, copy })
    }
    const stream: Stream = { folders, chunks: [], next: 1 }
    const firsts = new Set<number>()
    for (const { folder } of folders)
      for (const file of await this.#files.list(folder)) if (/^[0-9]{16}$/.test(file)) firsts.add(Number(file))
    const sorted = [...firsts].sort((a, b) => a - b)
    for (const first of sorted) {
      const { records, bytes } = await this.#records(stream, first)
      if (first !== stream.next) throw new Problem('storage.failed', `journal ${key} has a hole before ${first}`)
      const last = records.at(-1)
      if (!last) continue
      stream.chunks.push({ first, bytes })
      stream.next = last.seq + last.entries.length
    }
    this.#streams.set(key, stream)
    return stream
  }

  /** All records of a chunk, each from whichever copy has it; then both copies are made equal. */
  async #records(stream: Stream, first: number): Promise<{ records: JournalRecord[]; bytes: number }> {
    const copies = await Promise.all(stream.folders.map(({ folder }) => this.#whole(chunkPath(folder, first))))
    const records: JournalRecord[] = []
    let at = 0
    let seq = first
    for (;;) {
      const sound = copies.map((bytes) => decodeRecord(bytes, at)).find((record) => record?.seq === seq)
      if (!sound) break
      records.push(sound)
      at += sound.bytes
      seq += sound.entries.length
    }
    // The torn end of an append that was never acknowledged may be cut off; what is followed by a sound record may not.
    for (const bytes of copies)
      for (let look = at + 1; look + headerBytes <= bytes.length; look++)
        if (viewOf(bytes).getUint32(look) === magic && (decodeRecord(bytes, look)?.seq ?? 0) > seq)
          throw new Problem('storage.failed', `a journal is damaged in both copies at ${seq}`)
    const whole = Buffer.concat(records.map((record) => encodeRecord(record.seq, record.entries)))
    for (const [index, { disk, folder }] of stream.folders.entries()) {
      if (sameBytes(copies[index]!, whole)) continue
      this.#log.warn('a journal’s copy is restored', { disk: disk.number })
      await disk.writing(async () => {
        const path = chunkPath(folder, first)
        await this.#write(path, folder, 0, whole, true)
        const handle = await this.#files.open(path, 'write')
        try {
          await handle.truncate(whole.length)
          await handle.sync()
        } finally {
          await handle.close()
        }
      })
    }
    return { records, bytes: whole.length }
  }

  async #whole(path: string): Promise<Uint8Array> {
    try {
      const handle = await this.#files.open(path, 'read')
      try {
        return await handle.read(0, Math.min(await handle.size(), chunkMaxBytes + recordMaxBytes))
      } finally {
        await handle.close()
      }
    } catch (error) {
      if (isProblem(error, 'object.unknown') || isProblem(error, 'storage.failed')) return new Uint8Array(0)
      throw error
    }
  }

  async #write(path: string, folder: string, at: number, bytes: Uint8Array, made: boolean): Promise<void> {
    const handle = await this.#files.open(path, 'create')
    try {
      await handle.write(at, bytes)
      await handle.sync()
      if (made) await this.#files.syncDirectory(folder)
    } finally {
      await handle.close()
    }
  }
}

function chunkPath(folder: string, first: number): string {
  return `${folder}/${String(first).padStart(16, '0')}`
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function encodeRecord(seq: number, entries: readonly Uint8Array[]): Uint8Array {
  const body = encode([...entries])
  const record = new Uint8Array(headerBytes + body.length)
  if (record.length > recordMaxBytes) throw new Problem('message.too-large', 'a journal’s record')
  const view = viewOf(record)
  view.setUint32(0, magic)
  view.setUint32(4, record.length)
  view.setBigUint64(8, BigInt(seq))
  record.set(body, headerBytes)
  record.set(checkOf(record), 16)
  return record
}

function decodeRecord(bytes: Uint8Array, at: number): JournalRecord | undefined {
  if (at + headerBytes > bytes.length) return undefined
  const view = viewOf(bytes)
  const length = view.getUint32(at + 4)
  if (view.getUint32(at) !== magic || length < headerBytes || length > recordMaxBytes || at + length > bytes.length)
    return undefined
  const record = bytes.subarray(at, at + length)
  if (!sameBytes(record.subarray(16, headerBytes), checkOf(record))) return undefined
  const entries = decode(record.subarray(headerBytes), { maxBytes: recordMaxBytes }) as Uint8Array[]
  return {
    seq: Number(view.getBigUint64(at + 8)),
    entries: entries.map((entry) => Uint8Array.from(entry)),
    bytes: length,
  }
}

function checkOf(record: Uint8Array): Uint8Array {
  return createHash('sha256').update(record.subarray(4, 16)).update(record.subarray(headerBytes)).digest()
}
