/** Every fuzz target by name; a new one is a module beside this and a line here. */
import { bankTarget } from './bank-target.ts'
import { capTarget } from './cap-target.ts'
import { moduleTarget } from './module-target.ts'
import type { FuzzTarget } from './target.ts'

export const targets: Readonly<Record<string, FuzzTarget>> = {
  cap: capTarget,
  bank: bankTarget,
  module: moduleTarget,
}
