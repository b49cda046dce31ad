/** The gate before the bank (P9): a program of its own beside whatever sends files to the bank; it knows no site. */
import { readFileSync } from 'node:fs'
import type { Command } from '@azukari/protocol/adapters/command'
import { text } from '@azukari/protocol/adapters/command-line'
import { parseCoseKey } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../../../adapters/database.ts'
import { systemPorts } from '../../../adapters/system-ports.ts'
import { BankGate } from '../bank/release.ts'

export const gateCommands: Record<string, Command> = {
  'settlement gate': {
    what: 'Stands before the bank: lets a file with its note through once, and refuses one of an older epoch than it has seen.',
    positionals: 'FILE',
    options: {
      state: { type: 'string', what: 'what it has let through', required: true },
      key: { type: 'string', what: 'settlement’s public COSE_Key in hex', required: true },
    },
    async run(values, [file]) {
      if (!file) throw new Problem('config.invalid', 'which file?')
      const [content, note] = [readFileSync(file), readFileSync(`${file}.release`)]
      const database = openDatabase(text(values, 'state'))
      try {
        const key = parseCoseKey(new Uint8Array(Buffer.from(text(values, 'key'), 'hex')))
        const gate = await BankGate.open(database, key)
        const { name, kind, epoch } = await gate.admit(
          new Uint8Array(content),
          new Uint8Array(note),
          systemPorts.clock.now(),
        )
        return { json: { name, kind, epoch }, text: `${name} may go to the bank (epoch ${epoch})` }
      } finally {
        await database.close()
      }
    },
  },
}
