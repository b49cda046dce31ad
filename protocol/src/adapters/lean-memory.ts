/**
 * The memory of blocks (B1). Blocks and segments lie outside V8's heap and are given back only when the young generation is
 * collected. Node lets that grow until it hardly ever is: a save then costs twice the processor time, in pages that are
 * faulted in anew and in collections of the whole heap.
 */
import { setFlagsFromString } from 'node:v8'

/** The young generation stays as large as it is now; first thing in a process, that is 1 MB a half. */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
