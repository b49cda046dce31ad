/** What is on a serial line: each driver that could be is tried on it in turn, until one gets an answer (S17). */
import type { PartKind } from '@azukari/device/drivers'
import type { Clock, Files, Log, Random } from '@azukari/protocol/ports'
import { buildPart, type PartDefinition } from './definitions.ts'

/** USB ids of microcontroller boards that are used as panels. */
export const panelNames: ReadonlyMap<string, string> = new Map([
  ['2341:0043', 'Arduino Uno'],
  ['2341:0042', 'Arduino Mega'],
  ['2341:8036', 'Arduino Leonardo'],
  ['1a86:7523', 'CH340 serial'],
])

/** A board that is reset by being opened needs two seconds before it says anything. */
const answerMs = 6_000

const candidates: readonly { contract: PartKind; driver: string; fact: string }[] = [
  { contract: 'panel', driver: 'firmata', fact: 'a panel answers (Firmata)' },
  { contract: 'reader', driver: 'pn532', fact: 'an NFC reader answers (PN532)' },
  { contract: 'printer', driver: 'escpos', fact: 'a receipt printer answers (ESC/POS)' },
]

export interface IdentifyPorts {
  clock: Clock
  files: Files
  log: Log
  random: Random
  signal: AbortSignal
}

/** @param stable the name that goes into the board's file; undefined when nothing that we know answers */
export async function identifyLine(
  path: string,
  stable: string,
  ports: IdentifyPorts,
): Promise<{ contract: PartKind; fact: string; definition: PartDefinition } | undefined> {
  const { clock, signal } = ports
  for (const { contract, driver, fact } of candidates) {
    const part = await buildPart(contract, contract, { driver, path }, { ...ports, directory: '/' })
    try {
      const endMs = clock.monotonicMs() + answerMs
      while (clock.monotonicMs() < endMs) {
        signal.throwIfAborted()
        // A printer's line is open in any case: it must answer.
        const answers =
          'attributes' in part ? await part.attributes(signal).then(printerAnswers, () => false) : part.isReady
        if (answers) return { contract, fact, definition: { driver, path: stable } }
        await clock.sleep(100, signal)
      }
    } finally {
      await part.close()
    }
  }
  return undefined
}

function printerAnswers({ reason }: { reason?: string }): boolean {
  return reason !== 'absent' && reason !== 'timeout' && reason !== 'removed'
}
