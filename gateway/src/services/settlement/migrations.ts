/** Settlement's tables. Forward only; a number is never reused. */
import { registerKeysTables } from '../../service/service-keys.ts'
import type { Migration } from '../../storage/migrate.ts'
import { bankReleaseTables } from './bank/release.ts'
import { bankEntryTables } from './bank/tables.ts'
import { debitOrderTables } from './billing/debit-orders.ts'
import { billingTables, cardTables, priceTables, windowTables } from './billing/tables.ts'
import { centreTables } from './centre/tables.ts'
import { pageTables } from './documents/pages.ts'
import { operationChainTables } from './ledger/operations.ts'
import { ledgerTables } from './ledger/tables.ts'
import { mailTables } from './mails/tables.ts'
import { inStepTables, sentWordsTables } from './members/register-sync.ts'
import { heldBackTables } from './payments/payouts.ts'
import { shopEventTables } from './payments/webhooks/events.ts'
import { registerTables, usedCodeTables } from './tables.ts'

export const settlementMigrations: readonly Migration[] = [
  { number: 1, name: 'the ledger', up: ledgerTables },
  { number: 2, name: 'registers, orders, stored value, documents', up: registerTables },
  { number: 3, name: 'statements and objections', up: billingTables },
  { number: 4, name: 'the pair of centres', up: centreTables },
  { number: 5, name: 'statements paid by credit card', up: cardTables },
  { number: 6, name: 'placement’s register in step', up: inStepTables },
  { number: 7, name: 'files leave for the bank once', up: bankReleaseTables },
  { number: 8, name: 'statements’ pages for devices', up: pageTables },
  { number: 9, name: 'the clerks’ log is chained', up: operationChainTables },
  { number: 10, name: 'words on cards are sent by the host', up: sentWordsTables },
  { number: 11, name: 'the keys that the register belongs to', up: registerKeysTables },
  { number: 12, name: 'entries of bank files', up: bankEntryTables },
  { number: 13, name: 'debits one by one', up: debitOrderTables },
  { number: 14, name: 'what statements were priced by', up: priceTables },
  { number: 15, name: 'the moments between periods', up: windowTables },
  { number: 16, name: 'registration codes after their use', up: usedCodeTables },
  { number: 17, name: 'payouts held back by a dispute', up: heldBackTables },
  { number: 18, name: 'shops hear of their orders', up: shopEventTables },
  { number: 19, name: 'letters to members', up: mailTables },
]
