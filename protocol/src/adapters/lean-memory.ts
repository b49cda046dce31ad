/**
 * The memory of blocks (B1). Blocks and segments lie outside V8's heap and are given back only when the young generation is
 * collected. Node lets that grow until it hardly ever is: a save then wants 40 to 100 MB more in each process and a tenth
 * more processor time (twice as much on a busy machine), in pages that are faulted in anew and collections of the whole heap.
 */
import { setFlagsFromString } from 'node:v8'

/** The young generation stays as large as it is now; first thing in a process, that is 1 MB a half. */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}

/**
 * For the environment of every process of ours, before it starts. glibc gives the memory of freed blocks back to the kernel and
 * has it faulted in again: ciphers over blocks of 64 KiB take two to three times the processor time without this. Other
 * C libraries take no notice.
 */
export const leanEnvironment = {
  GLIBC_TUNABLES: 'glibc.malloc.trim_threshold=67108864:glibc.malloc.top_pad=1048576',
} as const
