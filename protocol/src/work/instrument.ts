/**
 * Makes a unit's module safe to run (W4, docs/jobs.md): reads it by the rules and writes one that counts its fuel, has a
 * stack of known size and canonical NaNs, and exports nothing but `run`, `memory`, `fuel` and `stack`. The result is the
 * same for the same module everywhere. Whoever compiles it has the engine check its types.
 */
import { instrumentedExports, pageBytes, stackSlots } from './abi.ts'
import { type Added, chargeBody, rewriteBody } from './function-body.ts'
import { type Entries, readModule, type WorkModule } from './module.ts'
import { joined, name, positive, section, u32 } from './writer.ts'

export interface Instrumented {
  readonly module: Uint8Array
  /** What its memory may grow to. */
  readonly memoryMaxBytes: number
}

/** @throws {Problem} `work.module-refused`, naming what and where */
export function instrument(bytes: Uint8Array): Instrumented {
  const module = readModule(bytes)
  const types = new AddedTypes(module.types.length)
  const charge = types.index([0x7f], [0x7f])
  const added: Added = {
    fuel: module.globals,
    stack: module.globals + 1,
    chargeBytes: module.functions.length,
    chargePages: module.functions.length + 1,
    blockType: (results) => types.blockType(results),
  }
  const bodies = module.bodies.map((body, at) => {
    const type = module.types[module.functions[module.imports + at]!]!
    return rewriteBody(module, type, body, added)
  })
  bodies.push(chargeBody(added.fuel, 'byte'), chargeBody(added.fuel, { pagesMax: module.memory.maxPages }))
  const { minPages, maxPages } = module.memory
  const functions = [...module.functions.slice(module.imports), charge, charge]
  const parts = [
    [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    copied(1, module.typeEntries, types.entries),
    copied(2, module.importEntries),
    section(3, [u32(functions.length), ...functions.map(u32)]),
    copied(4, module.tableEntries),
    section(5, [[1, 1], u32(minPages), u32(maxPages)]),
    copied(6, module.globalEntries, [
      [0x7e, 1, 0x42, 0, 0x0b],
      [0x7f, 1, 0x41, ...positive(stackSlots), 0x0b],
    ]),
    exportSection(module, added),
    copied(9, module.elementEntries),
    module.dataCount === undefined ? [] : section(12, [u32(module.dataCount)]),
    section(10, [u32(bodies.length), ...bodies]),
    copied(11, module.dataEntries),
  ]
  return { module: joined(parts), memoryMaxBytes: maxPages * pageBytes }
}

function copied(id: number, { count, bytes }: Entries, more: readonly (readonly number[])[] = []): Uint8Array {
  if (count + more.length === 0) return new Uint8Array()
  return section(id, [u32(count + more.length), bytes, ...more])
}

function exportSection({ run }: WorkModule, { fuel, stack }: Added): Uint8Array {
  const { run: runName, memory, fuel: fuelName, stack: stackName } = instrumentedExports
  return section(7, [
    [4],
    [...name(runName), 0, ...u32(run)],
    [...name(memory), 2, 0],
    [...name(fuelName), 3, ...u32(fuel)],
    [...name(stackName), 3, ...u32(stack)],
  ])
}

/** Function types behind those that the module has. */
class AddedTypes {
  readonly entries: number[][] = []
  readonly #first: number

  constructor(first: number) {
    this.#first = first
  }

  index(params: readonly number[], results: readonly number[]): number {
    const entry = [0x60, ...u32(params.length), ...params, ...u32(results.length), ...results]
    const text = entry.join()
    const at = this.entries.findIndex((known) => known.join() === text)
    return this.#first + (at === -1 ? this.entries.push(entry) - 1 : at)
  }

  blockType(results: readonly number[]): readonly number[] {
    if (results.length === 0) return [0x40]
    if (results.length === 1) return results
    return positive(this.index([], results))
  }
}
