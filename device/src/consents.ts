/**
 * Whether members let the places of pictures be kept (D8), as the site last said it: remembered for hours without a line.
 * Of a member whom this board never met with a line, nothing is known, and that is no consent.
 */
import type { DeviceDatabase } from './database.ts'

const schema = `
CREATE TABLE IF NOT EXISTS location_consents (member BLOB PRIMARY KEY, allowed INTEGER NOT NULL);
`

export class Consents {
  readonly #database: DeviceDatabase

  private constructor(database: DeviceDatabase) {
    this.#database = database
  }

  static async open(database: DeviceDatabase): Promise<Consents> {
    await database.exec(schema)
    return new Consents(database)
  }

  async allowsLocation(member: Uint8Array): Promise<boolean> {
    const row = await this.#database.get<{ allowed: number }>(
      'SELECT allowed FROM location_consents WHERE member = ?',
      member,
    )
    return row?.allowed === 1
  }

  async remember(member: Uint8Array, allowed: boolean): Promise<void> {
    await this.#database.run(
      `INSERT INTO location_consents (member, allowed) VALUES (?, ?)
       ON CONFLICT (member) DO UPDATE SET allowed = excluded.allowed`,
      member,
      allowed ? 1 : 0,
    )
  }
}
