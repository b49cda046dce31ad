/** Which asserts of a run failed, read from its TAP: on a long run they would otherwise be looked for in thousands of lines. */

export interface Failure {
  /** Titles from the outermost test to the assert. */
  path: string[]
  /** What tap tells of it: what was expected, what came, where. */
  details: string[]
}

const maxDetails = 40

/** The asserts that failed; a test that only failed through one of its own is not named again. */
export function failuresOf(tap: string): Failure[] {
  const failures: Failure[] = []
  const subtests: { depth: number; title: string }[] = []
  const lines = tap.split('\n')
  const failedDepths = new Set<number>()
  for (const [at, line] of lines.entries()) {
    const begun = /^( *)# Subtest: (.*)$/.exec(line)
    if (begun) enter(subtests, begun[1]!.length, begun[2]!)
    const point = /^( *)(not )?ok \d+(?: - )?(.*)$/.exec(line)
    if (!point) continue
    const [, indent, isFailed, rest] = point
    const depth = indent!.length
    const below = [...failedDepths].filter((failed) => failed > depth)
    for (const failed of below) failedDepths.delete(failed)
    if (!isFailed || /# (SKIP|TODO)\b/i.test(rest!)) continue
    failedDepths.add(depth)
    const around = subtests.filter((subtest) => subtest.depth < depth).map(({ title }) => title)
    if (below.length === 0) failures.push({ path: [...around, titleOf(rest!)], details: detailsAfter(lines, at + 1) })
  }
  return failures
}

function enter(subtests: { depth: number; title: string }[], depth: number, title: string): void {
  while (subtests.length > 0 && subtests.at(-1)!.depth >= depth) subtests.pop()
  subtests.push({ depth, title })
}

function titleOf(rest: string): string {
  return rest.replace(/ # time=.*$/, '').replace(/ \{$/, '')
}

/** The lines between `---` and `...` that follow an assert. */
function detailsAfter(lines: readonly string[], from: number): string[] {
  if (lines[from]?.trim() !== '---') return []
  const end = lines.findIndex((line, at) => at > from && line.trim() === '...')
  return lines.slice(from + 1, end < 0 ? from + maxDetails : Math.min(end, from + maxDetails))
}
