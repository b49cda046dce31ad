/** Settlement opened for one command of a clerk (P1, P5), beside a running gateway or without one. */
import { type Command, text } from '@azukari/protocol/adapters/command-line'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../../adapters/database.ts'
import { systemPorts } from '../../adapters/system-ports.ts'
import { accountFacts } from '../../services/placement/account-facts.ts'
import { openSettlement } from '../../services/settlement/main.ts'
import type { Settlement } from '../../services/settlement/service.ts'
import { SiteFolder } from '../../site-folder.ts'

export const clerk = { type: 'string', what: 'who does it; it goes into the operation log', required: true } as const
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

export async function withSettlement<T>(
  values: Parameters<Command['run']>[0],
  work: (settlement: Settlement) => Promise<T> | T,
): Promise<T> {
  const path = text(values, 'folder')
  const place = new SiteFolder(path, text(values, 'site'), systemPorts)
  const placement = openDatabase(`${path}/placement/placement.db`)
  try {
    const settlement = await openSettlement(place, systemPorts, {
      placement: { account: async (question) => accountFacts(placement, question, systemPorts.clock.now()) },
      log: silent,
      passphrase: process.env['AZUKARI_PASSPHRASE'],
      clerk: true,
    })
    return await work(settlement)
  } finally {
    await placement.close()
  }
}

export const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** An id of 32 hexadecimal digits. @throws {Problem} `config.invalid` */
export function idOf(given: string | undefined, what: string): Uint8Array {
  if (!given || !/^[0-9a-f]{32}$/.test(given))
    throw new Problem('config.invalid', `which ${what}? 32 hexadecimal digits`)
  return new Uint8Array(Buffer.from(given, 'hex'))
}
