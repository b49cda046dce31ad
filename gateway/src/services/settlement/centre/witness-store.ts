/** A witness on a database: its votes are on disk before they are told (P9). */
import { checker, type Static, Type } from '@azukari/protocol/contract'
import type { Clock } from '@azukari/protocol/ports'
import type { Database } from '../../../storage/database.ts'
import { migrate } from '../../../storage/migrate.ts'
import type { WitnessLink } from './centre.ts'
import { freshMemory, type Lease, leaseAfterRestart, type Memory, promise, stand } from './witness.ts'

const Stored = Type.Object({
  promised: Type.Optional(Type.Object({ epoch: Type.Integer(), centre: Type.String() })),
  standing: Type.Optional(
    Type.Object({ epoch: Type.Integer(), turn: Type.Integer(), leader: Type.String(), alone: Type.Boolean() }),
  ),
})
const checkStored = checker(Stored, 'witness')

const migrations = [
  {
    number: 1,
    name: 'votes',
    up: 'CREATE TABLE votes (id INTEGER PRIMARY KEY CHECK (id = 1), memory TEXT NOT NULL) STRICT',
  },
]

export interface Witness extends WitnessLink {
  /** What it has promised and recorded. */
  readonly memory: Memory
}

export async function openWitness(database: Database, clock: Clock): Promise<Witness> {
  await migrate(database, [{ set: 'witness', migrations }], clock.now())
  let memory = await load(database)
  let lease: Lease | undefined = leaseAfterRestart(memory, clock.monotonicMs())
  const keep = async (next: Memory) => {
    if (next === memory) return
    await database.transaction((sql) =>
      sql.run('INSERT OR REPLACE INTO votes (id, memory) VALUES (1, ?)', JSON.stringify(next)),
    )
    memory = next
  }
  return {
    get memory() {
      return memory
    },
    promise: async (request) => {
      const outcome = promise(memory, lease, request, clock.monotonicMs())
      await keep(outcome.memory)
      return outcome.reply
    },
    stand: async (request) => {
      const outcome = stand(memory, lease, request, clock.monotonicMs())
      await keep(outcome.memory)
      lease = outcome.lease
      return outcome.reply
    },
  }
}

async function load(database: Database): Promise<Memory> {
  const row = await database.get<{ memory: string }>('SELECT memory FROM votes WHERE id = 1')
  if (!row) return freshMemory
  const stored: Static<typeof Stored> = checkStored(JSON.parse(row.memory))
  return { promised: stored.promised, standing: stored.standing }
}
