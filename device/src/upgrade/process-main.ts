/** The launcher on a real board (D6): where its slots lie, and whose releases it believes. */
import { systemFiles } from '@azukari/protocol/adapters/files'
import { launchProcess, type ProcessSettings } from '@azukari/protocol/adapters/launch-process'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { SlotStore } from '@azukari/protocol/upgrade/slot-store'
import { loadIdentity } from '../identity.ts'

export interface BoardSettings extends Pick<ProcessSettings, 'builtIn' | 'words' | 'healthMs' | 'log'> {
  /** The device's folder. */
  folder: string
}

/** Where the slots of a device lie. */
export function slotsOf(folder: string): SlotStore {
  return new SlotStore(systemFiles(), `${folder}/slots`)
}

/** Runs runtimes until one ends by itself or `signal` says so. @throws {Problem} `storage.*` */
export async function launchBoard({ folder, ...settings }: BoardSettings, signal: AbortSignal): Promise<void> {
  const releaseKey = async () =>
    (await loadIdentity(systemFiles(), `${folder}/identity.cose`, systemRandom)).trust?.releaseKey
  await launchProcess({ ...settings, store: slotsOf(folder), releaseKey }, signal)
}
