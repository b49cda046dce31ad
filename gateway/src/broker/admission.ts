/** Who connects, and what they may do. */

/**
 * What a connection may do: an enrolled device everything of its own, one whose token is late only greet, a claimant only
 * enrol, a reader only read telemetry.
 */
export type Standing = 'device' | 'late' | 'claim' | 'reader'

/** What was found of a CONNECT. */
export interface Admission {
  standing: Standing
  /** When the token was made, by the device's clock; absent where there is none. */
  issuedMs?: number
}

export interface Credentials {
  clientId: string
  username: string
  password: Uint8Array
}
