/** Clock, chance and files of the machine. */
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'

export const systemPorts = { clock: systemClock, random: systemRandom, files: systemFiles() }
