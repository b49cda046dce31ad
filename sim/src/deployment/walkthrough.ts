/** The commands of a document: which host types what, in order. */
import { Problem } from '@azukari/protocol/problem'

export interface Step {
  /** Names of the hosts on which somebody types this. */
  hosts: string[]
  lines: string[]
}

/**
 * Reads the blocks of commands of one section. Before each stands in bold on which hosts it is typed: **On gateway and osaka**.
 * @throws {Problem} `config.invalid` when the section is not there, or a block says no hosts
 */
export function stepsOf(document: string, heading: string): Step[] {
  const from = document.indexOf(`\n## ${heading}\n`)
  if (from < 0) throw new Problem('config.invalid', `no section “${heading}”`)
  const end = document.indexOf('\n## ', from + 1)
  const section = document.slice(from, end < 0 ? undefined : end)
  const steps: Step[] = []
  let after = 0
  for (const { index, 0: block, 1: text } of section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)) {
    const before = section.slice(after, index)
    after = index + block.length
    const said = [...before.matchAll(/\*\*On ([^*]+)\*\*/g)].at(-1)?.[1]
    if (!said) throw new Problem('config.invalid', `“${heading}”: a block does not say on which hosts it is typed`)
    const lines = text!.split('\n').map((line) => line.replace(/\s+# .*$/, ''))
    steps.push({ hosts: said.split(/, | and /), lines: lines.filter(Boolean) })
  }
  return steps
}
