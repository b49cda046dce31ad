/**
 * Export of all that a member has (D8): sealed objects open only with the card, so it happens here, onto removable memory.
 * Objects as they were saved, their history, and a manifest with a hash of every file. It can be broken off at any point
 * and goes on where it stopped; the manifest is written last, so that where there is one, all that it names is there.
 */
import { createHash } from 'node:crypto'
import { hex } from '@azukari/protocol/bytes'
import { type HistoryItem, readHistory, readHistoryBySession } from '@azukari/protocol/contracts/member-request'
import type { Conditions } from '@azukari/protocol/contracts/save'
import { isProblem } from '@azukari/protocol/problem'
import type { RemovableMemory } from '../drivers.ts'
import type { SiteKeys } from '../site-keys.ts'
import { type FetchPorts, fetchObject } from './fetch.ts'
import type { PresentCard } from './presence.ts'
import { readWholeShelf } from './shelf.ts'

export const manifestName = 'azukari-manifest.json'
export const historyName = 'azukari-history.json'

export interface ExportedFile {
  object: string
  version: number
  name: string
  mediaType: string
  takenMs: number
  file: string
  sizeBytes: number
  sha256: string
}

export interface ExportManifest {
  format: 'azukari-export/1'
  member: string
  exportedMs: number
  files: ExportedFile[]
  history: { file: string; sha256: string; objects: number }
  /** What could not be exported, and the problem's code. */
  missing: { object: string; name: string; problem: string }[]
}

export interface ExportProgress {
  done: number
  of: number
  name: string
  /** It was there already, whole. */
  known: boolean
}

export interface ExportPorts extends FetchPorts {
  memory: RemovableMemory
  now: () => number
  keys: Pick<SiteKeys, 'keysOf'>
}

const perPage = 8
const readBytes = 1 << 20

/**
 * Exports everything. Needs the PIN, and a session for the history.
 * @throws {Problem} `memory.*`, `card.*`, `session.*`, `link.*`; an object that cannot be had is in `missing` instead
 */
export async function exportAll(
  ports: ExportPorts,
  card: PresentCard,
  onProgress: (progress: ExportProgress) => void = () => {},
): Promise<ExportManifest> {
  const { memory, now } = ports
  const { signal } = card
  const history = await wholeHistory(card)
  const shelf = await readWholeShelf(ports, card)
  // What placement keeps no more, the card may still list.
  const kept = new Set(history.map(({ object }) => hex(object)))
  const wanted = shelf.filter(({ object }) => kept.has(hex(object)))
  await memory.remove(manifestName)
  const files: ExportedFile[] = []
  const missing: ExportManifest['missing'] = []
  for (const item of wanted) {
    const file = fileName(item)
    const sha256 = hex(item.sha256)
    try {
      const known = (await hashOf(memory, file, item.sizeBytes)) === sha256
      if (!known) await memory.put(file, (await fetchObject(ports, card, item)).bytes, signal)
      const { object, version, name, mediaType, takenMs, sizeBytes } = item
      files.push({ object: hex(object), version, name, mediaType, takenMs, file, sizeBytes, sha256 })
      onProgress({ done: files.length + missing.length, of: wanted.length, name, known })
    } catch (error) {
      // Without the memory, the card or the line nothing more can be done now; a single object does not stop the others.
      if (!isProblem(error) || signal.aborted || /^(memory|card|link)\./.test(error.code)) throw error
      missing.push({ object: hex(item.object), name: item.name, problem: error.code })
    }
  }
  const listed = new Set(wanted.map(({ object }) => hex(object)))
  for (const { object, name } of history)
    if (!listed.has(hex(object))) missing.push({ object: hex(object), name, problem: 'object.unknown' })
  const told = jsonOf(historyJson(history, ports.keys))
  await memory.put(historyName, told, signal)
  const manifest: ExportManifest = {
    format: 'azukari-export/1',
    member: hex(card.facts.member.id),
    exportedMs: now(),
    files,
    history: { file: historyName, sha256: sha256Of(told), objects: history.length },
    missing,
  }
  await memory.put(manifestName, jsonOf(manifest), signal)
  return manifest
}

/**
 * One object onto removable memory; needs the PIN.
 * @returns the file's name there
 * @throws {Problem} `memory.*`, `card.*`, `link.*`, `server.*`, `replica.*`
 */
export async function exportOne(
  { memory, ...ports }: FetchPorts & Pick<ExportPorts, 'memory'>,
  card: PresentCard,
  item: Conditions,
): Promise<string> {
  const file = fileName(item)
  const known = (await hashOf(memory, file, item.sizeBytes)) === hex(item.sha256)
  if (!known) await memory.put(file, (await fetchObject(ports, card, item)).bytes, card.signal)
  return file
}

async function wholeHistory(card: PresentCard): Promise<HistoryItem[]> {
  const items: HistoryItem[] = []
  for (let after: Uint8Array | undefined; ; ) {
    const page = await card.ask(readHistory, readHistoryBySession, { limit: perPage, ...(after && { after }) })
    items.push(...page.items)
    after = page.items.at(-1)?.object
    if (page.items.length < perPage) return items
  }
}

/** With what checks the receipts: the keys that placement has signed with, and when. `placementKey` is the present one. */
function historyJson(items: readonly HistoryItem[], keys: ExportPorts['keys']) {
  const signed = keys.keysOf(readHistory.service, 'sign')
  const present = signed.findLast(({ untilMs }) => untilMs === undefined)
  return {
    placementKey: present ? base64(present.key) : null,
    placementKeys: signed.map(({ key, fromMs, untilMs }) => ({ key: base64(key), fromMs, untilMs })),
    objects: items.map(({ object, receipt, ...rest }) => ({ object: hex(object), ...rest, receipt: base64(receipt) })),
  }
}

/** Unique by the object, readable by its ending; the name that people gave it stands in the manifest. */
function fileName({ object, name }: Conditions): string {
  const ending = /\.[A-Za-z0-9]{1,8}$/.exec(name)?.[0] ?? ''
  return `azukari-${hex(object)}${ending}`
}

/** The hash of a file on the memory; undefined when it is not there in that size. */
async function hashOf(memory: RemovableMemory, name: string, sizeBytes: number): Promise<string | undefined> {
  const entry = (await memory.list()).find((one) => one.name === name)
  if (entry?.sizeBytes !== sizeBytes) return undefined
  const file = await memory.open(name)
  try {
    const hash = createHash('sha256')
    for (let at = 0; at < sizeBytes; ) {
      const part = await file.read(at, Math.min(readBytes, sizeBytes - at))
      if (part.length === 0) return undefined
      hash.update(part)
      at += part.length
    }
    return hash.digest('hex')
  } finally {
    await file.close()
  }
}

function jsonOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
