/**
 * Whether members let the places of pictures be kept (D8), as the site last said it: remembered for hours without a line.
 * Of a member whom this board never met with a line, nothing is known, and that is no consent. A withdrawal holds from
 * the moment when it is written down, whatever the site still says before it has heard of it.
 */
import type { DeviceDatabase } from './database.ts'

const schema = `
CREATE TABLE IF NOT EXISTS location_consents (member BLOB PRIMARY KEY, allowed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS location_withdrawals (member BLOB PRIMARY KEY, act BLOB NOT NULL);
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

  /** From now on, and until the site has answered the act that says so. */
  async withdraw(member: Uint8Array, act: Uint8Array): Promise<void> {
    await this.#database.run(
      `INSERT INTO location_withdrawals (member, act) VALUES (?, ?)
       ON CONFLICT (member) DO UPDATE SET act = excluded.act`,
      member,
      act,
    )
    await this.#set(member, false)
  }

  /** The member has said otherwise since: what the site says next counts again. */
  async restore(member: Uint8Array): Promise<void> {
    await this.#database.run('DELETE FROM location_withdrawals WHERE member = ?', member)
  }

  /** The site has answered: what it says next counts again. */
  async settle(act: Uint8Array): Promise<void> {
    await this.#database.run('DELETE FROM location_withdrawals WHERE act = ?', act)
  }

  /** What the site says. @returns what holds on this board */
  async remember(member: Uint8Array, allowed: boolean): Promise<boolean> {
    const waiting = await this.#database.get('SELECT 1 FROM location_withdrawals WHERE member = ?', member)
    const holds = allowed && waiting === undefined
    await this.#set(member, holds)
    return holds
  }

  async #set(member: Uint8Array, allowed: boolean): Promise<void> {
    await this.#database.run(
      `INSERT INTO location_consents (member, allowed) VALUES (?, ?)
       ON CONFLICT (member) DO UPDATE SET allowed = excluded.allowed`,
      member,
      allowed ? 1 : 0,
    )
  }
}
