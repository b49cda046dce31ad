/**
 * The compute child (ARCHITECTURE §10): takes one unit from standard input, runs it step by step, says where it stands
 * after each on standard output, and ends. It may read this folder and do nothing else.
 */
import { readSync, writeSync } from 'node:fs'
import { type Frame, FrameReader, frameOf, type ReplyHead, type RunHead } from './frames.ts'
import { compile, runStep } from './step.ts'

/** What the supervisor sends is its own: a module, an input and a state. */
const unitMaxBytes = 2 ** 31 - 1

function received(): Frame<RunHead> {
  const reader = new FrameReader<RunHead>(unitMaxBytes)
  const buffer = new Uint8Array(1024 * 1024)
  for (;;) {
    const length = readSync(0, buffer)
    if (length === 0) process.exit(0)
    for (const frame of reader.take(buffer.slice(0, length))) return frame
  }
}

function reply(head: ReplyHead, ...blobs: Uint8Array[]): void {
  for (const piece of frameOf(head, blobs)) for (let done = 0; done < piece.length; ) done += writeSync(1, piece, done)
}

function work({ head: limits, blobs }: Frame<RunHead>): void {
  const [module, input, state] = blobs as [Uint8Array, Uint8Array, Uint8Array]
  let standing = { fuelUsed: limits.fuelUsed, outputBytes: limits.outputBytes, state }
  const compiled = compile(module)
  if (typeof compiled === 'string')
    return reply({
      kind: 'fault',
      code: 'work.module-refused',
      detail: compiled.slice(0, 500),
      fuelUsed: standing.fuelUsed,
      memoryBytes: 0,
    })
  for (;;) {
    const end = runStep(compiled, input, standing, limits)
    const { fuelUsed, memoryBytes } = end
    if (end.kind === 'fault')
      return reply({ kind: end.kind, code: end.code, detail: end.detail.slice(0, 500), fuelUsed, memoryBytes })
    if (end.kind === 'done') return reply({ kind: end.kind, fuelUsed, memoryBytes }, end.output)
    reply({ kind: end.kind, fuelUsed, memoryBytes }, end.output, end.state)
    standing = { fuelUsed, outputBytes: standing.outputBytes + end.output.length, state: end.state }
  }
}

work(received())
