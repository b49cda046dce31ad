/**
 * Starts a program of ours: what its `bin` is. Plain JavaScript that old releases of Node can read, so that they say which
 * one is needed in place of a stack; and what was compiled once is kept, so that the next start takes a third of the time.
 */
import { existsSync, readFileSync } from 'node:fs'
import * as modules from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * @param {string} name of the program
 * @param {string} here URL of the module that calls, beside `cli.ts` or, in an installed package, `cli.js`
 */
export async function start(name, here) {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', here), 'utf8'))
  const needed = manifest.engines.node.replace(/^>=/, '')
  if (isOlder(process.versions.node, needed)) {
    console.error(
      `${name} needs Node.js ${needed} or newer; this is ${process.version} (${process.execPath}).\n` +
        `In a clone of the project, npx ${name} runs it with the Node.js that came with npm ci.`,
    )
    process.exit(1)
  }
  keepCompiled()
  const source = new URL('./cli.ts', here)
  await import(existsSync(fileURLToPath(source)) ? source.href : new URL('./cli.js', here).href)
}

/** Whether release `given` comes before `needed`, number by number. */
export function isOlder(given, needed) {
  const [have, want] = [given, needed].map((text) => text.split('.').map(Number))
  for (let at = 0; at < want.length; at++) {
    const difference = (have[at] || 0) - want[at]
    if (difference !== 0) return difference < 0
  }
  return false
}

/** In a folder of the user's own: what lies there is run. NODE_COMPILE_CACHE names another. */
function keepCompiled() {
  if (process.env.NODE_COMPILE_CACHE) return
  const cache = process.env.XDG_CACHE_HOME || (homedir() && join(homedir(), '.cache'))
  if (cache) modules.enableCompileCache(join(cache, 'azukari', 'compiled'))
}
