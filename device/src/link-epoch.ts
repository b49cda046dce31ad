/** The number of a device's connection, by which the gateway knows the latest of two. */
import type { DeviceDatabase } from './database.ts'

/** One more than ever before, also across power cuts, and at least what the gateway asks for. */
export async function nextEpoch(database: DeviceDatabase, atLeast: number): Promise<number> {
  await database.run(
    `INSERT INTO counters (name, value) VALUES ('epoch', max(1, ?)) ON CONFLICT (name) DO UPDATE SET value = max(value + 1, ?)`,
    atLeast,
    atLeast,
  )
  const row = await database.get<{ value: number }>(`SELECT value FROM counters WHERE name = 'epoch'`)
  return row!.value
}
