/**
 * The risk of every data server as it is now, and who is told when it changes (S9). Choosing and moving know only this;
 * where a risk comes from is the business of what stands behind it.
 */
import type { Sql } from '../../../storage/database.ts'
import type { Risk } from './risk.ts'

export interface RiskChange {
  /** Servers whose risk is another now. */
  servers: readonly string[]
  atMs: number
  /** For logs and for the member: what happened. */
  reason: string
}

export interface RiskBoard {
  /** A server that is not known counts as certain loss: nothing is placed there. */
  of(server: string, sql?: Sql): Promise<Risk>
  /** Hears of every change; returns a function that stops it. */
  onChange(listener: (change: RiskChange) => void): () => void
  /** Servers were added or their rates changed. */
  reload?(): Promise<void>
}
