/** This program as it is installed: its version and its script. */
import { readFileSync } from 'node:fs'

export function packageVersion(): string {
  return String(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version)
}

/** Absolute path of the script that starts it; in a bundle that is the one file there is. */
export function programPath(): string {
  return import.meta.filename.replace(/program(\.[jt]s)$/, 'cli$1')
}
