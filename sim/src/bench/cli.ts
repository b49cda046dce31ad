#!/usr/bin/env node
/** `npm run bench -- [ROW…] --json FILE --quick`: measures, prints a table, writes JSON and a plot beside it. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { plot } from './plot.ts'
import type { Row, RowModule } from './row.ts'

/** The rows that can be measured, in the order of BENCHMARKS. */
const modules: Readonly<Record<string, { what: string; file: string; quick?: Record<string, number> }>> = {
  B1: { what: 'save: device to two sealed replicas', file: './b1-save.ts' },
  B2: { what: 'member acts through the whole gateway', file: './b2-acts.ts', quick: { rounds: 1, actsPerDevice: 200 } },
  B3: { what: 'a forecast: decision and moves queued, 10⁴ against 10⁶ objects', file: './b3-forecast.ts' },
  B4: { what: 'device runtime: memory, start, size', file: './b4-device.ts' },
  B5: { what: 'audit: rounds of random leaves, scan, repair over 3 GiB', file: './b5-audit.ts' },
  B6: { what: 'ledger: durable transfers, signed payments', file: './b6-ledger.ts' },
  B9: { what: 'marks in pictures: seen, read after attacks, time', file: './b9-marks.ts' },
  B10: { what: 'transfer: blocks, cuts, memory', file: './b10-transfer.ts' },
  B11: { what: 'fleet: 10,000 devices, memory, reconnect storm', file: './b11-fleet.ts' },
  B12: { what: 'simulation: hours per minute', file: './b12-simulation.ts' },
  B14: { what: 'start: commands, a data server, npm start to its page', file: './b14-start.ts' },
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, quick: { type: 'boolean' }, help: { type: 'boolean' } },
})
const wanted = positionals.length > 0 ? positionals.map((name) => name.toUpperCase()) : Object.keys(modules)
const unknown = wanted.filter((name) => !Object.hasOwn(modules, name))
if (values.help || unknown.length > 0) {
  if (unknown.length > 0) console.error(`no such row: ${unknown.join(', ')}`)
  console.log('npm run bench -- [ROW…] [--json FILE] [--quick]\n')
  for (const [name, { what }] of Object.entries(modules)) console.log(`  ${name.padEnd(4)} ${what}`)
  process.exit(unknown.length > 0 ? 2 : 0)
}

const rows: Row[] = []
for (const name of wanted) rows.push(...(await measure(name)))
printTable(rows)
if (values.json) {
  mkdirSync(dirname(values.json), { recursive: true })
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version }
  writeFileSync(values.json, `${JSON.stringify({ quick: values.quick === true, machine, rows }, null, 2)}\n`)
  writeFileSync(values.json.replace(/(\.json)?$/, '.svg'), plot(rows))
}
// What a row left open (sockets of a peer, say) does not keep the bench alive.
process.exit(0)

/** A row that fails is a row that says why: the others are still measured. */
async function measure(name: string): Promise<Row[]> {
  const { what, file, quick = {} } = modules[name]!
  const failed = (note: string): Row[] => [
    { row: name, what, value: null, unit: '', peer: null, ratio: null, target: '', met: null, note },
  ]
  if (!existsSync(new URL(file, import.meta.url))) return failed('not available yet')
  const folder = mkdtempSync(join(tmpdir(), `azukari-bench-${name.toLowerCase()}-`))
  const started = performance.now()
  try {
    console.error(`${name}: ${what}`)
    const { run } = (await import(file)) as RowModule
    const tell = (line: string) => console.error(`  ${((performance.now() - started) / 1000).toFixed(1)} s  ${line}`)
    return await run({ quick: values.quick === true, folder, tell, ...(values.quick ? quick : {}) })
  } catch (error) {
    console.error(error)
    return failed(`could not be measured: ${error instanceof Error ? error.message : error}`)
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

function printTable(rows: readonly Row[]): void {
  const cell = (value: number | null) =>
    value === null
      ? '–'
      : value.toLocaleString('en', {
          maximumSignificantDigits: Math.abs(value) >= 1000 ? 21 : 3,
          maximumFractionDigits: Math.abs(value) >= 1000 ? 0 : 3,
        })
  const lines = rows.map((row) => [
    row.row,
    row.what,
    `${cell(row.value)} ${row.unit}`.trim(),
    cell(row.peer),
    cell(row.ratio),
    row.target,
    row.met === null ? '' : row.met ? 'met' : 'MISSED',
  ])
  lines.unshift(['row', 'what', 'value', 'peer', 'ratio', 'target', ''])
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  for (const [at, line] of lines.entries()) {
    console.log(
      line
        .map((text, column) => text.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    if (at > 0 && rows[at - 1]!.note) console.log(`      ${rows[at - 1]!.note}`)
  }
}
