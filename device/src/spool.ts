/**
 * Where a device keeps what it has not yet handed over (S17 removable memory, D5). What lies here is already encrypted
 * for placement, so a lost memory card tells nothing.
 */
export interface Spool {
  /** Writes one file; when this resolves it survives a power cut. @throws {Problem} `memory.*` */
  write(name: string, pieces: AsyncIterable<Uint8Array>): Promise<void>
  /**
   * Bytes `at` … `at + length`; shorter only at the end. @throws {Problem} `memory.absent`, `object.unknown`
   * @param into memory that may be used for what is returned
   */
  read(name: string, at: number, length: number, into?: Uint8Array): Promise<Uint8Array>
  /** Absent is not an error. */
  remove(name: string): Promise<void>
  list(): Promise<string[]>
}
