/**
 * Ports: everything that differs between a real site and the simulation. Code takes these; only `adapters/` folders
 * and the simulation implement them (ARCHITECTURE §11).
 */

/** A pending timer; `cancel` is idempotent. */
export interface Timer extends Disposable {
  cancel(): void
}

export interface Clock {
  /** Wall clock, integer ms since the epoch (UTC). May jump; never use it for limits on waits. */
  now(): number
  /** Monotonic ms; for durations and limits. */
  monotonicMs(): number
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  timer(ms: number, fire: () => void): Timer
}

export interface Random {
  /** `n` unpredictable bytes. */
  bytes(n: number): Uint8Array
  /** Uniform in [0, 1); for jitter and choices that need no secrecy. */
  float(): number
}

export interface FileHandle {
  /**
   * Up to `length` bytes from `at`; shorter only at the end of the file.
   * @param into memory of at least `length` bytes that may be used for what is returned; who gives it knows that nobody
   * reads its old content any more
   */
  read(at: number, length: number, into?: Uint8Array): Promise<Uint8Array>
  write(at: number, bytes: Uint8Array): Promise<void>
  truncate(size: number): Promise<void>
  size(): Promise<number>
  /** Resolves when everything written so far survives a power cut (fsync). */
  sync(): Promise<void>
  close(): Promise<void>
}

/** Files with the durability rules of POSIX: data lasts after `sync`, names last after `syncDirectory`. */
export interface Files {
  /** @throws {Problem} `object.unknown` when absent and not to be created, `storage.full`, `storage.failed` */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<FileHandle>
  rename(from: string, to: string): Promise<void>
  /** Absent is not an error. */
  remove(path: string): Promise<void>
  /** Names in a directory, sorted; an absent directory is empty. */
  list(directory: string): Promise<string[]>
  makeDirectory(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  /** `mode`: POSIX permission bits; absent where the medium knows none. */
  stat(path: string): Promise<{ sizeBytes: number; directory: boolean; mode?: number } | undefined>
  /** Free bytes on the medium that holds `path`. */
  freeBytes(path: string): Promise<number>
}

/** One line of the structured log; `fields` never hold secrets or personal data. */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
  child(fields: Record<string, unknown>): Log
}
