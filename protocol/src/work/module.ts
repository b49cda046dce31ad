/**
 * Reads a WebAssembly module and refuses what a unit may not have (W4; core specification 1.0 §5.5): anything shared,
 * imported beyond the list, started by itself, or larger than the limits. The engine checks types; this checks that
 * nothing can name what the instrumenter adds.
 */
import { type HostFunction, hostFunctions, hostModule, instrumentedExports, moduleLimits, pageBytes } from './abi.ts'
import { ModuleReader, refused } from './reader.ts'

export interface FunctionType {
  readonly params: readonly number[]
  readonly results: readonly number[]
}

/** A list of a section that is copied as it is. */
export interface Entries {
  readonly count: number
  readonly bytes: Uint8Array
}

export interface WorkModule {
  readonly types: readonly FunctionType[]
  readonly typeEntries: Entries
  readonly importEntries: Entries
  readonly imports: number
  /** Type of every function, imported ones first. */
  readonly functions: readonly number[]
  readonly tables: number
  readonly tableEntries: Entries
  readonly memory: { readonly minPages: number; readonly maxPages: number }
  readonly globals: number
  readonly globalEntries: Entries
  readonly run: number
  readonly elementEntries: Entries
  readonly dataCount: number | undefined
  readonly bodies: readonly ModuleReader[]
  readonly dataEntries: Entries
}

const numberTypes = new Set([0x7f, 0x7e, 0x7d, 0x7c])
const i32 = 0x7f
const functionReference = 0x70
/** Ids in the order in which sections must come. */
const order = [1, 2, 3, 4, 5, 6, 7, 9, 12, 10, 11]
const none: Entries = { count: 0, bytes: new Uint8Array() }

type Building = { -readonly [key in keyof WorkModule]: WorkModule[key] } & { defined: number }

/** @throws {Problem} `work.module-refused`, naming what and where */
export function readModule(bytes: Uint8Array): WorkModule {
  if (bytes.length > moduleLimits.bytes) throw refused(`${bytes.length} bytes; at most ${moduleLimits.bytes}`)
  const reader = new ModuleReader(bytes)
  const head = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]
  if (head.some((byte) => reader.byte() !== byte)) throw refused('it is no WebAssembly module of version 1')
  const module: Building = {
    types: [],
    typeEntries: none,
    importEntries: none,
    imports: 0,
    functions: [],
    tables: 0,
    tableEntries: none,
    memory: { minPages: 0, maxPages: -1 },
    globals: 0,
    globalEntries: none,
    run: -1,
    elementEntries: none,
    dataCount: undefined,
    bodies: [],
    dataEntries: none,
    defined: 0,
  }
  let last = -1
  while (!reader.done) {
    const at = reader.at
    const id = reader.byte()
    const section = reader.part(reader.u32())
    // Names and notes of compilers.
    if (id === 0) continue
    if (id === 8) throw refused('it has a start function; do its work in “run”', at)
    const place = order.indexOf(id)
    if (place === -1) throw refused(`section ${id} is not allowed`, at)
    if (place <= last) throw refused(`section ${id} stands twice or out of order`, at)
    last = place
    sections[id]!(section, module)
    section.finish(`section ${id}`)
  }
  if (module.memory.maxPages < 0) throw refused('it has no memory')
  if (module.run < 0) throw refused('it exports no function “run”')
  if (module.bodies.length !== module.defined) throw refused('functions and their code differ in number')
  return module
}

const sections: Record<number, (reader: ModuleReader, module: Building) => void> = {
  1: readTypes,
  2: readImports,
  3: readFunctions,
  4: readTables,
  5: readMemory,
  6: readGlobals,
  7: readExports,
  9: readElements,
  10: readCode,
  11: readData,
  12: (reader, module) => {
    module.dataCount = reader.u32()
  },
}

function readTypes(reader: ModuleReader, module: Building): void {
  const types: FunctionType[] = []
  module.typeEntries = entries(reader, 'types', moduleLimits.types, () => {
    if (reader.byte() !== 0x60) throw refused('a type is no function type', reader.at)
    types.push({
      params: valueTypes(reader, 'parameters', moduleLimits.params),
      results: valueTypes(reader, 'results', moduleLimits.results),
    })
  })
  module.types = types
}

function readImports(reader: ModuleReader, module: Building): void {
  const functions: number[] = []
  module.importEntries = entries(reader, 'imports', 100, () => {
    const [from, name, kind] = [reader.name(), reader.name(), reader.byte()]
    const wanted = Object.hasOwn(hostFunctions, name) ? hostFunctions[name as HostFunction] : undefined
    if (kind !== 0 || from !== hostModule || !wanted)
      throw refused(
        `it imports “${from}.${name}”; there are the functions ${Object.keys(hostFunctions).join(', ')} of “${hostModule}”`,
      )
    const index = typeIndex(reader, module)
    const { params, results } = module.types[index]!
    const fits = params.length === wanted.params && results.length === wanted.results
    if (!fits || [...params, ...results].some((type) => type !== i32))
      throw refused(`it imports “${name}” with other parameters or results than it has`, reader.at)
    functions.push(index)
  })
  module.functions = functions
  module.imports = functions.length
}

function readFunctions(reader: ModuleReader, module: Building): void {
  const functions = [...module.functions]
  const { count } = entries(reader, 'functions', moduleLimits.functions, () => {
    functions.push(typeIndex(reader, module))
  })
  module.functions = functions
  module.defined = count
}

function readTables(reader: ModuleReader, module: Building): void {
  module.tableEntries = entries(reader, 'tables', 1, () => {
    if (reader.byte() !== functionReference) throw refused('a table holds other things than functions', reader.at)
    const flags = reader.byte()
    if (flags > 1) throw refused('a table is shared or of 64 bits', reader.at)
    const [min, max] = [reader.u32(), flags === 1 ? reader.u32() : 0]
    if (Math.max(min, max) > moduleLimits.tableElements)
      throw refused(`its table has ${Math.max(min, max)} elements; at most ${moduleLimits.tableElements}`, reader.at)
  })
  module.tables = module.tableEntries.count
}

function readMemory(reader: ModuleReader, module: Building): void {
  entries(reader, 'memories', 1, () => {
    const flags = reader.byte()
    if (flags === 0) throw refused('its memory has no maximum', reader.at)
    if (flags !== 1) throw refused('its memory is shared or of 64 bits', reader.at)
    const [minPages, maxPages] = [reader.u32(), reader.u32()]
    if (maxPages < minPages) throw refused('its memory has a maximum below its minimum', reader.at)
    if (maxPages * pageBytes > moduleLimits.memoryBytes)
      throw refused(`its memory may have ${maxPages} pages; at most ${moduleLimits.memoryBytes / pageBytes}`, reader.at)
    module.memory = { minPages, maxPages }
  })
}

function readGlobals(reader: ModuleReader, module: Building): void {
  module.globalEntries = entries(reader, 'globals', moduleLimits.globals, () => {
    valueType(reader)
    if (reader.byte() > 1) throw refused('a global is neither constant nor variable', reader.at)
    skipConstant(reader)
  })
  module.globals = module.globalEntries.count
}

function readExports(reader: ModuleReader, module: Building): void {
  entries(reader, 'exports', moduleLimits.exports, () => {
    const [name, kind, index] = [reader.name(), reader.byte(), reader.u32()]
    if (name !== instrumentedExports.run) return
    if (module.run >= 0) throw refused('it exports “run” twice', reader.at)
    const type = kind === 0 && index >= module.imports ? module.types[module.functions[index] ?? -1] : undefined
    if (!type || type.params.length > 0 || type.results.length > 0)
      throw refused('its export “run” is no function of its own without parameters and results', reader.at)
    module.run = index
  })
}

function readElements(reader: ModuleReader, module: Building): void {
  module.elementEntries = entries(reader, 'element segments', moduleLimits.segments, () => {
    const flags = reader.u32()
    if (flags > 3) throw refused('an element segment holds expressions', reader.at)
    const isActive = (flags & 1) === 0
    if (flags === 2 && reader.u32() !== 0) throw refused('an element segment is for a second table', reader.at)
    if (isActive) skipConstant(reader)
    if (flags > 0 && reader.byte() !== 0) throw refused('an element segment holds other things', reader.at)
    const count = reader.count('elements', moduleLimits.tableElements)
    for (let i = 0; i < count; i++)
      if (reader.u32() >= module.functions.length) throw refused('an element is no function of it', reader.at)
  })
}

function readCode(reader: ModuleReader, module: Building): void {
  const bodies: ModuleReader[] = []
  entries(reader, 'functions', moduleLimits.functions, () => {
    const size = reader.u32()
    if (size > moduleLimits.bodyBytes)
      throw refused(`a function has ${size} bytes; at most ${moduleLimits.bodyBytes}`, reader.at)
    bodies.push(reader.part(size))
  })
  module.bodies = bodies
}

function readData(reader: ModuleReader, module: Building): void {
  module.dataEntries = entries(reader, 'data segments', moduleLimits.segments, () => {
    const flags = reader.u32()
    if (flags > 2) throw refused('a data segment is of an unknown kind', reader.at)
    if (flags === 2 && reader.u32() !== 0) throw refused('a data segment is for a second memory', reader.at)
    if (flags !== 1) skipConstant(reader)
    reader.skip(reader.u32())
  })
}

/** Reads a list to the end of its section. */
function entries(reader: ModuleReader, what: string, max: number, read: () => void): Entries {
  const count = reader.count(what, max)
  const from = reader.at
  for (let i = 0; i < count; i++) read()
  return { count, bytes: reader.bytes.subarray(from, reader.at) }
}

function valueTypes(reader: ModuleReader, what: string, max: number): number[] {
  return Array.from({ length: reader.count(what, max) }, () => valueType(reader))
}

export function valueType(reader: ModuleReader): number {
  const type = reader.byte()
  if (!numberTypes.has(type)) throw refused('a value is neither i32, i64, f32 nor f64', reader.at - 1)
  return type
}

function typeIndex(reader: ModuleReader, module: Building): number {
  const index = reader.u32()
  if (index >= module.types.length) throw refused(`there is no type ${index}`, reader.at)
  return index
}

/** A start value: one constant. */
function skipConstant(reader: ModuleReader): void {
  const opcode = reader.byte()
  if (opcode === 0x41) reader.skipSigned(32)
  else if (opcode === 0x42) reader.skipSigned(64)
  else if (opcode === 0x43) reader.skip(4)
  else if (opcode === 0x44) reader.skip(8)
  else throw refused('a start value is no constant', reader.at - 1)
  if (reader.byte() !== 0x0b) throw refused('a start value is no single constant', reader.at - 1)
}
