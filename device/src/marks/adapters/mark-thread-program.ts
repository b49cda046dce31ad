/** The thread of `mark-thread.ts`: a plane of brightness in, the id of a work or nothing out. */
import { parentPort } from 'node:worker_threads'
import type { Plane } from '@azukari/protocol/marks/plane'
import { readMarkOf } from '@azukari/protocol/marks/read'

parentPort?.on('message', (luma: Plane) => parentPort?.postMessage(readMarkOf(luma)?.work))
