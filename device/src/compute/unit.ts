/** A unit of work as a device runs it, and what comes of it (W4). */

/** What one unit may use; all are limits of the whole unit, over all its steps. */
export interface UnitLimits {
  readonly fuel: number
  /** A module whose memory may grow beyond this is refused. */
  readonly memoryMaxBytes: number
  /** Time during which it is not paused. */
  readonly wallMs: number
  readonly outputMaxBytes: number
  readonly stateMaxBytes: number
}

/** Where a unit stands; a unit that begins here gives the same output and fuel as one that was never stopped. */
export interface Checkpoint {
  readonly state: Uint8Array
  readonly output: Uint8Array
  readonly fuelUsed: number
  readonly memoryPeakBytes: number
  readonly checkpoints: number
}

export const beginning: Checkpoint = {
  state: new Uint8Array(),
  output: new Uint8Array(),
  fuelUsed: 0,
  memoryPeakBytes: 0,
  checkpoints: 0,
}

export interface Unit {
  /** As its author built it. */
  readonly module: Uint8Array
  readonly input: Uint8Array
  readonly from: Checkpoint
  readonly limits: UnitLimits
}

export interface UnitResult {
  readonly output: Uint8Array
  readonly fuelUsed: number
  readonly memoryPeakBytes: number
  readonly checkpoints: number
  /** Time of this run, without pauses. */
  readonly wallMs: number
}

export interface UnitRun {
  /** @throws {Problem} `work.*` */
  readonly result: Promise<UnitResult>
  /** Stops the process where it is; it keeps its memory and uses no processor. */
  pause(): void
  resume(): void
  /** Ends it; `result` rejects with `work.stopped`. What was done since the last checkpoint is lost. */
  stop(): void
}
