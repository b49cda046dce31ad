/** Works that this board met, in its database until they are told: each once for a day and for what it was met in (R4). */
import type { Sighting } from '@azukari/protocol/contracts/rights-boards'
import type { DeviceDatabase } from '../database.ts'

/** So many are noted in a day; further ones are dropped. */
export const sightingsPerDay = 200
/** Told ones are known for so many more, so that none is told twice. */
const keptRows = 1_000

interface Row {
  work: string
  content: Uint8Array
  day: string
}

const schema = `
CREATE TABLE IF NOT EXISTS mark_sightings (
  work TEXT NOT NULL, content BLOB NOT NULL, day TEXT NOT NULL, act BLOB, told INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (work, content, day)
)`
const none = new Uint8Array(0)

export class SightingRecord {
  readonly #database: DeviceDatabase

  private constructor(database: DeviceDatabase) {
    this.#database = database
  }

  static async open(database: DeviceDatabase): Promise<SightingRecord> {
    await database.exec(schema)
    return new SightingRecord(database)
  }

  /** @returns false when it was noted before, or the day has enough */
  async note({ work, content = none, day }: Sighting): Promise<boolean> {
    const { changes } = await this.#database.run(
      `INSERT INTO mark_sightings (work, content, day)
       SELECT ?, ?, ? WHERE (SELECT count(*) FROM mark_sightings WHERE day = ?) < ?
       ON CONFLICT (work, content, day) DO NOTHING`,
      work,
      content,
      day,
      day,
      sightingsPerDay,
    )
    return changes > 0
  }

  /** Gives up to `count` that no message has an id, so that they are told in it, also after a power cut. */
  async gather(act: Uint8Array, count: number): Promise<void> {
    await this.#database.run(
      `UPDATE mark_sightings SET act = ?
       WHERE rowid IN (SELECT rowid FROM mark_sightings WHERE act IS NULL ORDER BY rowid LIMIT ?)`,
      act,
      count,
    )
  }

  /** The message that is to be told next; undefined when none is. */
  async next(): Promise<{ act: Uint8Array; sightings: Sighting[] } | undefined> {
    const first = await this.#database.get<{ act: Uint8Array }>(
      'SELECT act FROM mark_sightings WHERE act IS NOT NULL AND told = 0 ORDER BY rowid LIMIT 1',
    )
    if (!first) return undefined
    const rows = await this.#database.all<Row>(
      'SELECT work, content, day FROM mark_sightings WHERE act = ? ORDER BY rowid',
      first.act,
    )
    return { act: first.act, sightings: rows.map(sightingOf) }
  }

  async told(act: Uint8Array): Promise<void> {
    await this.#database.run('UPDATE mark_sightings SET told = 1 WHERE act = ?', act)
    await this.#database.run(
      'DELETE FROM mark_sightings WHERE told = 1 AND rowid <= (SELECT max(rowid) FROM mark_sightings) - ?',
      keptRows,
    )
  }

  /** What no message has yet is not told any more. */
  async forget(): Promise<void> {
    await this.#database.run('DELETE FROM mark_sightings WHERE act IS NULL')
  }
}

function sightingOf({ work, content, day }: Row): Sighting {
  return content.length === 0 ? { work, day } : { work, content, day }
}
