/** The rights service's tables. Forward only; a number is never reused. */
import { registerKeysTables } from '../../service/service-keys.ts'
import type { Migration } from '../../storage/migrate.ts'
import { boardSightingTables, caseTables, fingerprintTables, purchaseColumns, workTables } from './tables.ts'

export const rightsMigrations: readonly Migration[] = [
  { number: 1, name: 'works and sales', up: workTables },
  { number: 2, name: 'the keys that the register belongs to', up: registerKeysTables },
  { number: 3, name: 'sightings and cases', up: caseTables },
  { number: 4, name: 'what boards met in normal use', up: boardSightingTables },
  { number: 5, name: 'fingerprints of works', up: fingerprintTables },
  { number: 6, name: 'purchases by members', up: purchaseColumns },
]
