/**
 * A history of hazards, as it is replayed: every telling of every hazard that the documents of a file or folder hold, in
 * the order in which a site would have heard of them.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import type { Hazard } from '@azukari/gateway/services/placement/hazards/hazard'
import { limits } from '@azukari/gateway/services/placement/hazards/hazard'
import { formatOf, readBulletin } from '@azukari/gateway/services/placement/hazards/read'
import { standardRules } from '@azukari/gateway/services/placement/hazards/rules'
import { isProblem, Problem } from '@azukari/protocol/problem'

/** One telling, at the time when it is heard. */
export interface Told {
  atMs: number
  /** The agency's format stands in for the feed. */
  feed: string
  hazard: Hazard | undefined
  /** Taken back. */
  cancelled?: string
}

export interface History {
  told: Told[]
  documents: number
  /** Entries that are no danger to data. */
  passed: number
  /** Documents and entries that could not be used, and why. */
  unread: { file: string; problem: string }[]
}

/** Feeds keep only the last telling of an earthquake, hours later; its first one comes about this long after it. */
const quakeToldAfterMs = 5 * 60_000
const documentsMax = 20_000
/** Documents are read as from afar, so that none is dated in the future. */
const afterAllMs = Date.UTC(2200, 0, 1)

/** @throws {Problem} `config.invalid` when there is nothing to be read at `path` */
export function readHistory(path: string): History {
  const history: History = { told: [], documents: 0, passed: 0, unread: [] }
  for (const file of filesAt(path)) {
    history.documents++
    try {
      read(file, history)
    } catch (error) {
      if (!isProblem(error)) throw error
      history.unread.push({ file, problem: error.message })
    }
  }
  const [unread] = history.unread
  if (history.told.length === 0 && unread)
    throw new Problem('config.invalid', `${path} tells of no hazard; ${unread.file}: ${unread.problem}`)
  if (history.told.length === 0)
    throw new Problem('config.invalid', `${path} tells of no hazard (${history.documents} documents)`)
  history.told.sort((a, b) => a.atMs - b.atMs || (a.hazard?.id ?? '').localeCompare(b.hazard?.id ?? ''))
  return history
}

function read(file: string, history: History): void {
  if (statSync(file).size > limits.bulletinBytes) throw new Problem('feed.too-large', file)
  const bytes = readFileSync(file)
  const feed = formatOf(bytes)
  const bulletin = readBulletin(bytes, feed, { nowMs: afterAllMs, rules: standardRules })
  for (const hazard of bulletin.hazards) {
    const atMs =
      hazard.shape.kind === 'quake' ? Math.min(hazard.issuedMs, hazard.fromMs + quakeToldAfterMs) : hazard.issuedMs
    history.told.push({ atMs, feed, hazard: { ...hazard, issuedMs: atMs } })
  }
  for (const { id, atMs } of bulletin.cancelled) history.told.push({ atMs, feed, hazard: undefined, cancelled: id })
  for (const problem of bulletin.problems) history.unread.push({ file, problem: problem.message })
  history.passed += bulletin.passed
}

function filesAt(path: string): string[] {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) throw new Problem('config.invalid', `${path} is not there`)
  if (found.isFile()) return [path]
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(xml|json|geojson|cap|rss)$/i.test(name))
    .sort()
    .map((name) => `${path}/${name}`)
    .filter((name) => statSync(name).isFile())
  if (files.length > documentsMax) throw new Problem('feed.too-large', `${files.length} documents in ${path}`)
  return files
}
