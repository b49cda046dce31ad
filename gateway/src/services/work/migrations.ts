/** Work's tables. Forward only; a number is never reused. */
import type { Migration } from '../../storage/migrate.ts'
import { workTables } from './tables.ts'

export const workMigrations: readonly Migration[] = [{ number: 1, name: 'owners, jobs, units, points', up: workTables }]
