/** Rigs by name: what stands at the far side of each part of a hardware map, and the suite that is run with it (D2). */
import type { AnyPart } from '@azukari/boards/definitions'
import type { PartKind } from '@azukari/device/drivers'
import { Problem } from '@azukari/protocol/problem'
import type { Test } from 'tap'

export interface Rig {
  /** What the driver must be told of this rig. */
  options: Readonly<Record<string, unknown>>
  /** Runs the contract's conformance suite. */
  run(t: Test, make: () => Promise<AnyPart>): Promise<void>
  stop(): Promise<void>
}

type Maker = (kind: PartKind) => Promise<Rig>

/** Loaded by need: a person before a real board needs none of the programs. */
const makers: Readonly<Record<string, Maker>> = {
  person: async (kind) => (await import('./rigs/person.ts')).personRig(kind),
  simulated: async (kind) => (await import('./rigs/simulated.ts')).simulatedRig(kind),
  'network-camera': async () => (await import('./rigs/stack.ts')).networkCameraRig(),
  'reference-printer': async () => (await import('./rigs/stack.ts')).referencePrinterRig(),
  'virtual-reader': async () => (await import('./rigs/stack.ts')).virtualReaderRig(),
  'firmata-pty': async () => (await import('./rigs/stack.ts')).firmataRig(),
  'sane-test': async () => (await import('./rigs/stack.ts')).scannerRig(),
  directory: async () => (await import('./rigs/stack.ts')).directoryRig(),
}

/** @throws {Problem} `config.invalid` for a rig that there is not, or not for that contract */
export async function startRig(name: string, kind: PartKind): Promise<Rig> {
  const maker = Object.hasOwn(makers, name) ? makers[name] : undefined
  if (!maker) throw new Problem('config.invalid', `no rig ${name}; there are ${Object.keys(makers).join(', ')}`)
  return maker(kind)
}
