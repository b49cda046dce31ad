/** `kill -9` before every write that a rotation of keys takes (D1, decision 14): nobody is told a key that is not kept. */
import { execFile } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { openDatabase } from '../../../adapters/database.ts'
import { systemPorts } from '../../../adapters/system-ports.ts'
import { keyDirectoryMigrations } from '../../../key-directory/store.ts'
import { SiteFolder } from '../../../site-folder.ts'
import { migrate } from '../../../storage/migrate.ts'
import { initPlacement } from '../main.ts'

interface Told {
  steps: number
  /** Signing keys that the directory names, oldest first, and that placement has. */
  told: string[]
  held: string[]
}

const child = join(import.meta.dirname, 'test-rotate-child.ts')

/** What the process said; undefined when it was killed. */
async function run(folder: string, step?: number): Promise<Told | undefined> {
  try {
    const words = step === undefined ? [child, folder] : [child, folder, String(step)]
    const { stdout } = await promisify(execFile)(process.execPath, words)
    return JSON.parse(stdout) as Told
  } catch (error) {
    if ((error as { signal?: string }).signal === 'SIGKILL') return undefined
    throw error
  }
}

t.test(
  'D1: kill -9 before any write of a rotation leaves keys that are kept and told, and the next one succeeds',
  async (t) => {
    const path = t.testdir({ site: {} })
    const first = join(path, 'site')
    await initPlacement(new SiteFolder(first, 'site', systemPorts), systemPorts)
    const database = openDatabase(`${first}/gateway.db`)
    await migrate(database, [keyDirectoryMigrations], 0)
    await database.close()
    const before = await run(first)
    t.match(before, { told: [String], held: [String] })
    let [killed, kept] = [0, 0]
    for (let step = 1; ; step++) {
      const folder = join(path, `site-${step}`)
      cpSync(first, folder, { recursive: true })
      const through = await run(folder, step)
      if (through) {
        t.equal(through.steps, step - 1, 'it was stopped before each of its writes')
        t.equal(through.told.length, 2)
        break
      }
      killed++
      const after = await run(folder)
      if (!after) throw new Error('a restart was killed')
      t.same(after.told, after.held, `before write ${step}: what is told is what is kept`)
      t.same(after.held[0], before?.held[0], 'the first key is there')
      if (after.held.length === 2) kept++
    }
    t.ok(killed >= 8, `${killed} writes`)
    t.ok(kept > 0 && kept < killed, `the next keys were there after ${kept} of them`)
  },
)
