/** Loaded before a test: the file that `AZUKARI_MUTANT` names reads as if one rule in it were another. Nothing on disk changes. */
import { readFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'

const { url, from, to } = JSON.parse(process.env['AZUKARI_MUTANT'] ?? '{}') as {
  url?: string
  from: string
  to: string
}

registerHooks({
  load: (asked, context, nextLoad) => {
    if (asked !== url) return nextLoad(asked, context)
    const source = readFileSync(new URL(asked), 'utf8').replace(from, () => to)
    return { format: 'module', source: stripTypeScriptTypes(source), shortCircuit: true }
  },
})
