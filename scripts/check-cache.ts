/**
 * What was checked already: a check whose inputs are the same as when it last passed is not run again. Kept in `.cache/`; a
 * failure is never kept. `npm run check -- --all` takes no notice of it.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** One fingerprint of texts by name. */
export function fingerprint(texts: Iterable<readonly [name: string, text: string]>): string {
  const hash = createHash('sha256')
  for (const [name, text] of texts) hash.update(`${name}\0${text.length}\0${text}\0`)
  return hash.digest('hex')
}

/** What of a module the dependency rule looks at: its imports, in order. */
export function importsOf(source: string): string {
  const found = source.matchAll(
    /\bfrom\s*(['"][^'"\n]+['"])|\bimport\s*\(?\s*(['"][^'"\n]+['"])|\brequire\(\s*(['"][^'"\n]+['"])/g,
  )
  const types = [...source.matchAll(/^(?:import|export)\s+type\b.*$/gm)].map(([line]) => line)
  return [...[...found].map((match) => match[0]), ...types].join('\n')
}

export class CheckCache {
  readonly #path: string
  readonly #passed: Record<string, string>

  constructor(path: string, isUsed = true) {
    this.#path = path
    this.#passed = isUsed ? read(path) : {}
  }

  /** Whether this check passed on exactly these inputs. */
  hasPassed(check: string, inputs: string): boolean {
    return this.#passed[check] === inputs
  }

  pass(check: string, inputs: string): void {
    this.#passed[check] = inputs
  }

  /** Checks by file that are no files any more are forgotten. */
  keep(isKnown: (check: string) => boolean): void {
    for (const check of Object.keys(this.#passed)) if (!isKnown(check)) delete this.#passed[check]
    mkdirSync(dirname(this.#path), { recursive: true })
    writeFileSync(this.#path, JSON.stringify(this.#passed))
  }
}

function read(path: string): Record<string, string> {
  try {
    const found: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return typeof found === 'object' && found !== null ? (found as Record<string, string>) : {}
  } catch {
    return {}
  }
}
