/** What every telegram of the JMA begins with. */

/** What every report has at its head. */
export interface JmaHead {
  title: string
  /** Ids of the hazards that it tells of: one, or several events that one warning is for. */
  ids: readonly string[]
  telegram: string
  issuedMs: number
  text: string
}
