/** Work's tables. Forward only; a number is never reused. */
import type { Migration } from '../../storage/migrate.ts'
import { bookingTables, licenceTables, workTables } from './tables.ts'

export const workMigrations: readonly Migration[] = [
  { number: 1, name: 'owners, jobs, units, points', up: workTables },
  { number: 2, name: 'bookings', up: bookingTables },
  { number: 3, name: 'apps and licences', up: licenceTables },
]
