/** Rigs by name: what stands at the far side of each part of a hardware map, and the suite that is run with it (D2). */

import type { PartKind } from '@azukari/device/drivers'
import { Problem } from '@azukari/protocol/problem'
import type { Rig } from './rigs/rig.ts'

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
