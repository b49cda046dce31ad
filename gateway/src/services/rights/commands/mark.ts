/** `azukari-gateway mark …`: marks in picture files, for an author alone; needs no site (R1–R3, R6). */
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import type { Command, Values } from '@azukari/protocol/adapters/command'
import { text, UsageError } from '@azukari/protocol/adapters/command-line'
import { readNamedFile, readNamedText } from '@azukari/protocol/adapters/named-file'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { qualityMin } from '@azukari/protocol/marks/fingerprint'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { hex, markPicture, readFingerprint, readMark, type Sale, tracePicture } from '../marks/mark-picture.ts'
import { masterLength } from '../marks/sale-key.ts'

const workDigits = 16
const saleDigits = 10
const salesMax = 1_000_000

const keys = { type: 'string', what: 'file with the author’s master key, as mark keys makes it' } as const
const work = { type: 'string', what: 'the work’s id, 16 hexadecimal digits' } as const

export const markCommands: Record<string, Command> = {
  'mark keys': {
    what: 'Makes the master key of an author, from which the key of every sale is derived. Keep it: without it no sale can be traced.',
    options: { out: { type: 'string', what: 'file to write, which only you may read', required: true } },
    async run(values) {
      const out = text(values, 'out')
      writeNew(out, Buffer.from(`${Buffer.from(systemRandom.bytes(masterLength)).toString('hex')}\n`), 0o600)
      return { json: { out }, text: `The master key is in ${out}. Keep a copy in another place.` }
    },
  },
  'mark embed': {
    what: 'Marks pictures (JPEG, PNG, WebP) with a work’s id and, for a buyer’s copy, a sale’s id that only the keys can read.',
    positionals: 'FILE…',
    options: {
      work: { ...work, required: true },
      sale: { type: 'string', what: 'the sale’s id, 10 hexadecimal digits' },
      keys,
      out: { type: 'string', what: 'folder for the marked copies; nothing in it is overwritten', required: true },
    },
    async run(values, files) {
      const id = hexNumber('--work', text(values, 'work'), workDigits)
      const sale = saleOf(values)
      const out = text(values, 'out')
      if (!statSync(out).isDirectory()) throw new UsageError(`--out ${out} is no folder`)
      return each(files, async (bytes, file) => {
        const marked = await markPicture(bytes, id, sale)
        const to = join(out, basename(file))
        writeNew(to, marked.bytes)
        const { bytes: _, ...facts } = marked
        return { json: { out: to, ...facts }, text: `${to}: ${marked.psnrDb.toFixed(1)} dB` }
      })
    },
  },
  'mark read': {
    what: 'Reads the id of the work from pictures, also cropped, resized, turned and compressed copies.',
    positionals: 'FILE…',
    options: {},
    async run(_values, files) {
      return each(files, async (bytes, file) => {
        const found = await readMark(bytes)
        if (found === undefined) return { json: { work: null }, text: `${file}: no mark` }
        return { json: { work: hex(found, workDigits) }, text: `${file}: work ${hex(found, workDigits)}` }
      })
    },
  },
  'mark fingerprint': {
    what: 'Tells what pictures look like: 256 bits (PDQ), which differ in at most 31 between copies of one picture. A hint, never a proof.',
    positionals: 'FILE…',
    options: {},
    async run(_values, files) {
      return each(files, async (bytes, file) => {
        const { hash, quality } = await readFingerprint(bytes)
        const fingerprint = Buffer.from(hash).toString('hex')
        const worth = quality < qualityMin ? ', too low to tell pictures apart' : ''
        return { json: { fingerprint, quality }, text: `${file}: ${fingerprint} (quality ${quality}${worth})` }
      })
    },
  },
  'mark trace': {
    what: 'Tells which sale a copy comes from, of those that were issued. Nobody is named below the threshold.',
    positionals: 'FILE',
    options: {
      original: { type: 'string', what: 'the picture before it was marked', required: true },
      sales: { type: 'string', what: 'file with the ids of all sales, one in a line', required: true },
      keys: { ...keys, required: true },
      work: { ...work, what: 'the work’s id, where the copy’s public mark was removed' },
    },
    async run(values, files) {
      const [file, ...more] = files
      if (file === undefined || more.length > 0) throw new UsageError('one FILE is needed')
      const given = values['work'] === undefined ? undefined : hexNumber('--work', text(values, 'work'), workDigits)
      const sales = salesOf(text(values, 'sales'))
      const found = await tracePicture({
        suspect: readNamedFile(file),
        original: readNamedFile(text(values, 'original')),
        master: masterOf(text(values, 'keys')),
        sales,
        work: given,
      })
      const shown = ({ sale, score, isRead }: (typeof found.accused)[number]) => ({
        sale: hex(sale, saleDigits),
        score: Number(score.toFixed(2)),
        isRead,
      })
      const threshold = Number(found.threshold.toFixed(2))
      const next = found.next ? Number(found.next.score.toFixed(2)) : null
      const lines = found.accused.map(shown).map(({ sale, score }) => `sale ${sale}, score ${score}`)
      return {
        json: {
          work: hex(found.work, workDigits),
          isWorkRead: found.isWorkRead,
          accused: found.accused.map(shown),
          threshold,
          next,
          sales: sales.length,
          by: found.by,
        },
        text: [
          ...(lines.length > 0 ? lines : ['no sale is named']),
          `work ${hex(found.work, workDigits)}; threshold ${threshold}, highest of the ${sales.length - lines.length} others ${next ?? '–'}`,
        ].join('\n'),
      }
    },
  },
}

interface Told {
  json: Record<string, unknown>
  text: string
}

/** One after the other; what fails is told, and the others are done all the same. Exit code 1 when any failed. */
async function each(given: readonly string[], act: (bytes: Uint8Array, file: string) => Promise<Told>) {
  const files = given.flatMap(filesOf)
  if (files.length === 0) throw new UsageError('a FILE is needed, or a folder with JPEG, PNG or WebP files')
  const done: Record<string, unknown>[] = []
  const lines: string[] = []
  let failed = 0
  for (const [at, file] of files.entries()) {
    if (files.length > 1) console.error(`${at + 1}/${files.length} ${file}`)
    try {
      const told = await act(readNamedFile(file), file)
      done.push({ file, ...told.json })
      lines.push(told.text)
    } catch (error) {
      if (!isProblem(error)) throw error
      // Alone it is the call's own problem, with its title and what to do.
      if (files.length === 1) throw error
      failed++
      done.push({ file, problem: error.toWire() })
      lines.push(`${file}: ${error.message}`)
    }
  }
  return { json: { files: done, failed }, text: lines.join('\n'), exit: failed > 0 ? 1 : 0 }
}

/** A folder's pictures, in the order of their names; a file is itself. */
function filesOf(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path]
  return readdirSync(path)
    .filter((name) => /\.(jpe?g|png|webp)$/i.test(name))
    .sort()
    .map((name) => join(path, name))
}

function saleOf(values: Values): Sale | undefined {
  if (values['sale'] === undefined) {
    if (values['keys'] !== undefined) throw new UsageError('--keys is for a sale: --sale is needed with it')
    return undefined
  }
  if (values['keys'] === undefined) throw new UsageError('--sale needs --keys, the file with the master key')
  return {
    sale: hexNumber('--sale', text(values, 'sale'), saleDigits),
    master: masterOf(text(values, 'keys')),
  }
}

function masterOf(path: string): Uint8Array {
  const content = readNamedText(path).trim()
  if (!/^[0-9a-f]{64}$/i.test(content))
    throw new Problem('command.invalid', `${path} holds no master key: 64 hexadecimal digits, as mark keys makes them`)
  return new Uint8Array(Buffer.from(content, 'hex'))
}

function salesOf(path: string): bigint[] {
  const lines = readNamedText(path).split(/\r?\n/)
  const sales = new Set<bigint>()
  for (const [at, line] of lines.entries()) {
    const word = line.trim()
    if (word === '' || word.startsWith('#')) continue
    sales.add(hexNumber(`${path}, line ${at + 1}`, word, saleDigits))
  }
  if (sales.size === 0) throw new Problem('command.invalid', `${path} names no sale`)
  if (sales.size > salesMax) throw new Problem('command.invalid', `${path} names more than ${salesMax} sales`)
  return [...sales]
}

function hexNumber(name: string, given: string, digits: number): bigint {
  if (given.length !== digits || !/^[0-9a-f]+$/i.test(given))
    throw new UsageError(`${name}: ${given} is not ${digits} hexadecimal digits`)
  return BigInt(`0x${given}`)
}

/** Never over what is there. */
function writeNew(path: string, bytes: Uint8Array, mode = 0o644): void {
  try {
    writeFileSync(path, bytes, { flag: 'wx', mode })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST')
      throw new Problem('command.invalid', `${resolve(path)} is there already; nothing was written over it`)
    throw error
  }
}
