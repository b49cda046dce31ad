/**
 * Every hazard that feeds have told of, and what a bulletin changes in that. Nothing ends a warning but what names that
 * same warning: its cancel, its successor if that can be used, or its own end.
 */
import { type Bulletin, type Cancellation, type Hazard, type Hold, limits } from './hazard.ts'
import { combined, supersede } from './supersede.ts'

/** One row that is kept. Neither hazard nor hold: taken back, and an older telling does not bring it to life again. */
export interface KnownRow {
  feed: string
  /** Id of the hazard, with a word after a blank: the kind of report that told it, or `held`. */
  row: string
  issuedMs: number
  untilMs: number
  hazard?: Hazard | undefined
  hold?: Hold | undefined
}

/** What a bulletin changed. */
export interface Taken {
  added: number
  changed: number
  cancelled: number
  /** Older than what is known, over, or the same again. */
  ignored: number
}

/** Hazards kept in all, over all feeds. */
const maxRows = 20_000
/** Tellings of one part of a message that count beside each other; a further one replaces the first. */
const maxTellings = 8
/** How long the end of a message that never came is remembered. */
const rememberMs = 7 * 86_400_000

export class KnownHazards {
  readonly #rows = new Map<string, KnownRow>()
  /** Keys of the rows that hold others. */
  readonly #holds = new Set<string>()
  /** Keys of all rows of one message, by feed and id. */
  readonly #families = new Map<string, Set<string>>()

  put(row: KnownRow): void {
    const key = keyOf(row.feed, row.row)
    this.#rows.set(key, row)
    if (row.hold) this.#holds.add(key)
    else this.#holds.delete(key)
    const family = familyOf(row.feed, row.row)
    const keys = this.#families.get(family)
    if (keys) keys.add(key)
    else this.#families.set(family, new Set([key]))
  }

  /** Forgets what ended before that. */
  forget(beforeMs: number): void {
    for (const [key, { feed, row, untilMs }] of this.#rows) {
      if (untilMs >= beforeMs) continue
      this.#rows.delete(key)
      this.#holds.delete(key)
      const family = familyOf(feed, row)
      const keys = this.#families.get(family)
      keys?.delete(key)
      if (keys?.size === 0) this.#families.delete(family)
    }
  }

  /** Every hazard, one per id: what several kinds of report tell of it is put together. */
  hazards(): { feed: string; hazard: Hazard }[] {
    const byId = new Map<string, { feed: string; tellings: Hazard[] }>()
    for (const { feed, hazard } of this.#rows.values()) {
      if (!hazard) continue
      const key = keyOf(feed, hazard.id)
      const known = byId.get(key)
      if (known) known.tellings.push(hazard)
      else byId.set(key, { feed, tellings: [hazard] })
    }
    return [...byId.values()].map(({ feed, tellings }) => ({ feed, hazard: combined(tellings) }))
  }

  /** Takes a bulletin over. @returns the rows to keep, what was changed, and words for people */
  take(feed: string, bulletin: Bulletin, nowMs: number): { rows: KnownRow[]; taken: Taken; titles: string[] } {
    const turn: Turn = {
      feed,
      nowMs,
      rows: new Map(),
      titles: [],
      taken: { added: 0, changed: 0, cancelled: 0, ignored: 0 },
    }
    for (const hold of bulletin.held) this.#hold(turn, hold)
    for (const cancellation of bulletin.cancelled) this.#end(turn, cancellation)
    for (const told of bulletin.hazards) this.#tell(turn, told)
    return { rows: [...turn.rows.values()], taken: turn.taken, titles: turn.titles }
  }

  #keep(turn: Turn, row: KnownRow): void {
    this.put(row)
    turn.rows.set(row.row, row)
  }

  #family(feed: string, id: string): KnownRow[] {
    return [...(this.#families.get(familyOf(feed, id)) ?? [])].map((key) => this.#rows.get(key)!)
  }

  /** Ends a message, or one kind's telling of it; what was held for a message ends with it. */
  #end(turn: Turn, cancellation: Cancellation): void {
    const open = [cancellation]
    // What is ended holds nothing any more, so this comes to an end however messages name each other.
    for (let next = open.pop(); next; next = open.pop()) {
      const { atMs } = next
      for (const { hold } of this.#endOne(turn, next))
        for (const id of hold?.predecessors ?? []) open.push({ id, atMs })
    }
  }

  /** @returns the rows that came to an end */
  #endOne({ feed, nowMs, taken, titles, rows }: Turn, { id, atMs, telegram }: Cancellation): KnownRow[] {
    const own = telegram === undefined ? id : `${id} ${telegram}`
    const known = this.#rows.get(keyOf(feed, own))
    if (known && (known.issuedMs > atMs || (!known.hazard && known.issuedMs === atMs))) {
      taken.ignored++
      return []
    }
    const members = telegram === undefined ? this.#family(feed, id) : known ? [known] : []
    const ended = members.filter((row) => row.issuedMs <= atMs && (row.hazard || row.hold))
    if (ended.some(({ hazard }) => hazard)) taken.cancelled++
    titles.push(`${id} cancelled`)
    // Also what was never heard of: an alert may arrive after its own cancellation.
    const marks = new Map([[own, known?.untilMs ?? nowMs + rememberMs]])
    for (const { row, untilMs } of ended) marks.set(row, untilMs)
    for (const [row, untilMs] of marks) {
      const mark: KnownRow = { feed, row, issuedMs: atMs, untilMs }
      this.put(mark)
      rows.set(row, mark)
    }
    return ended
  }

  /** A successor that could not be used: what it replaces counts on until its own end at least. */
  #hold(turn: Turn, hold: Hold): void {
    const { feed, taken, titles } = turn
    const { id, predecessors, atMs, untilMs } = hold
    const ended = this.#rows.get(keyOf(feed, id))
    if (ended && !ended.hazard && ended.issuedMs >= atMs) {
      for (const predecessor of predecessors) this.#end(turn, { id: predecessor, atMs: ended.issuedMs })
      return
    }
    const row = `${id} held`
    const known = this.#rows.get(keyOf(feed, row))
    if (known && known.issuedMs >= atMs) return void taken.ignored++
    this.#keep(turn, { feed, row, issuedMs: atMs, untilMs, hold })
    for (const predecessor of this.#heldBy(feed, id))
      for (const { hazard } of this.#family(feed, predecessor)) {
        if (!hazard || hazard.untilMs >= untilMs) continue
        this.#keep(turn, rowOf(feed, { ...hazard, untilMs }))
        taken.changed++
        titles.push(hazard.title)
      }
  }

  /** Messages that are held for one, and those that were held for them. */
  #heldBy(feed: string, id: string): Set<string> {
    const found = new Set<string>()
    const open = [id]
    for (let next = open.pop(); next !== undefined; next = open.pop())
      for (const predecessor of this.#rows.get(keyOf(feed, `${next} held`))?.hold?.predecessors ?? [])
        if (!found.has(predecessor)) {
          found.add(predecessor)
          open.push(predecessor)
        }
    return found
  }

  #tell(turn: Turn, said: Hazard): void {
    const { feed, nowMs, taken, titles } = turn
    const told = this.#extended(feed, this.#besideOthers(feed, said))
    const own = rowOf(feed, told)
    const known = this.#rows.get(keyOf(feed, own.row))
    const whole = this.#rows.get(keyOf(feed, messageOf(said.id)))
    const over = (row: KnownRow | undefined) => row && !row.hazard && told.issuedMs <= row.issuedMs
    if (told.untilMs < nowMs || over(known) || over(whole)) return void taken.ignored++
    const next = known?.hazard ? supersede(known.hazard, told) : told
    if (next === known?.hazard) return void taken.ignored++
    if (!known && this.#rows.size >= maxRows) return void taken.ignored++
    const before = this.#family(feed, said.id).some(({ hazard }) => hazard?.id === said.id)
    if (before) taken.changed++
    else taken.added++
    this.#keep(turn, rowOf(feed, next))
    titles.push(next.title)
  }

  /**
   * An alert that comes again under its id and says something else ends nothing: it names no predecessor. Both count, at each
   * place the worse one, until one ends them.
   */
  #besideOthers(feed: string, said: Hazard): Hazard {
    if (said.shape.kind !== 'area') return said
    const content = contentOf(said)
    const ids = [said.id, ...Array.from({ length: maxTellings - 1 }, (_, i) => againId(said.id, i + 1))]
    const free = ids.find((id) => {
      const hazard = this.#rows.get(keyOf(feed, id))?.hazard
      return !hazard || contentOf(hazard) === content
    })
    return free === undefined || free === said.id ? said : { ...said, id: free }
  }

  /** A hazard that is told only after the successor which holds it. */
  #extended(feed: string, told: Hazard): Hazard {
    const message = messageOf(told.id)
    let { untilMs } = told
    for (const key of this.#holds) {
      const { feed: of, hold } = this.#rows.get(key)!
      if (!hold || of !== feed || hold.untilMs <= untilMs) continue
      if (this.#heldBy(feed, hold.id).has(message)) untilMs = hold.untilMs
    }
    untilMs = Math.min(untilMs, Math.max(told.untilMs, told.fromMs + limits.forecastMs))
    return untilMs === told.untilMs ? told : { ...told, untilMs }
  }
}

/** One bulletin on its way in. */
interface Turn {
  feed: string
  nowMs: number
  rows: Map<string, KnownRow>
  titles: string[]
  taken: Taken
}

function rowOf(feed: string, hazard: Hazard): KnownRow {
  const { id, telegram, issuedMs, untilMs } = hazard
  return { feed, row: telegram === undefined ? id : `${id} ${telegram}`, issuedMs, untilMs, hazard }
}

function keyOf(feed: string, row: string): string {
  return `${feed} ${row}`
}

/** What an alert says, without its words and times. */
function contentOf({ peril, certainty, shape }: Hazard): string {
  return JSON.stringify([peril, certainty, shape])
}

/** A part of the same message still: `messageOf`. */
function againId(id: string, time: number): string {
  return `${id}${id.includes('#') ? '' : '#'}~${time}`
}

/** The message that a hazard is a part of. */
function messageOf(id: string): string {
  return id.split('#', 1)[0]!
}

function familyOf(feed: string, row: string): string {
  return keyOf(feed, messageOf(row.split(' ', 1)[0]!))
}
