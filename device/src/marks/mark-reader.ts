/** Reads the public mark of a picture away from the board's own work. */
import type { Plane } from '@azukari/protocol/marks/plane'

export interface MarkReader {
  /**
   * @param luma as `lumaAt` gives it at the size of marks; it is handed over and must not be used afterwards
   * @returns the work's id; undefined without a mark, and where it could not be read in time
   */
  read(luma: Plane): Promise<bigint | undefined>
  /** Nothing is to be read for now: gives back what it holds. */
  rest(): Promise<void>
}
