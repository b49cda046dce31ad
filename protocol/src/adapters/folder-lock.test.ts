import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { holdFolder } from './folder-lock.ts'

/** A process that holds a lock until it is killed. */
async function holder(path: string): Promise<ChildProcess> {
  const module = JSON.stringify(new URL('./folder-lock.ts', import.meta.url).href)
  const script = `import { holdFolder } from ${module}; const held = holdFolder(${JSON.stringify(path)}); console.log('held'); setInterval(() => held, 1e6)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout!, 'data')
  return child
}

t.test('D5: one process at a time; it ends with its process, however that ends', async (t) => {
  const path = `${t.testdir()}/site/gateway.lock`
  const child = await holder(path)
  t.throws(() => holdFolder(path), { code: 'folder.in-use' })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const held = holdFolder(path)
  t.throws(() => holdFolder(path), { code: 'folder.in-use' }, 'in the same process, too')
  held[Symbol.dispose]()
  holdFolder(path)[Symbol.dispose]()
})

t.test('D5: what cannot be locked is left to who opens what lies there', async (t) => {
  const file = `${t.testdir()}/file`
  writeFileSync(file, '')
  t.doesNotThrow(() => holdFolder(`${file}/gateway.lock`)[Symbol.dispose]())
})
