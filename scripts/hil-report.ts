/** The report of hardware-in-the-loop tests: what TAP said, as data and as one page of HTML that needs nothing else. */
export interface HilTest {
  name: string
  /** Names of the tests that it is in, the outermost first. */
  within: readonly string[]
  state: 'passed' | 'failed' | 'skipped'
  ms: number
}

export interface HilFile {
  file: string
  state: 'passed' | 'failed'
  ms: number
  /** Of single checks. */
  checks: number
  tests: HilTest[]
  /** The end of what it said, when it failed. */
  said?: string
}

export interface HilReport {
  /** ISO 8601. */
  at: string
  map: string
  system: string
  node: string
  passed: number
  failed: number
  skipped: number
  files: HilFile[]
}

/** Tests of a TAP 14 stream with subtests; single checks are counted. */
export function readTap(text: string): { tests: HilTest[]; checks: number } {
  const open: { depth: number; name: string }[] = []
  const tests: HilTest[] = []
  let checks = 0
  for (const line of text.split('\n')) {
    const depth = line.length - line.trimStart().length
    const begin = /^ *# Subtest: (.*)$/.exec(line)
    if (begin) {
      open.push({ depth, name: begin[1]!.replaceAll('\\#', '#') })
      continue
    }
    const end = /^ *(not )?ok \d+(?: - (.*?))?(?: # (SKIP|TODO|time=[\d.]+ms).*)?$/.exec(line)
    if (!end) continue
    const [, not, title = '', note = ''] = end
    const last = open.at(-1)
    const isSkipped = note === 'SKIP' || note === 'TODO'
    if (last && last.depth === depth && title.replaceAll('\\#', '#') === last.name) open.pop()
    else if (!isSkipped) {
      checks++
      continue
    }
    tests.push({
      name: title,
      within: open.map(({ name }) => name),
      state: isSkipped ? 'skipped' : not ? 'failed' : 'passed',
      ms: Math.round(Number(/time=([\d.]+)/.exec(note)?.[1] ?? 0)),
    })
  }
  return { tests, checks }
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const html = (text: string) => text.replace(/[&<>"]/g, (letter) => escapes[letter]!)

/** One page, self-contained, readable without scripts. */
export function reportPage(report: HilReport): string {
  const row = (test: HilTest) =>
    `<tr class="${test.state}"><td style="padding-left:${1 + test.within.length * 1.5}em">${html(test.name)}</td><td>${test.state}</td><td>${test.ms}</td></tr>`
  // A test ends after those within it; the page shows it before them.
  const ordered = (tests: readonly HilTest[]): HilTest[] => {
    const below = new Map<string, HilTest[]>()
    for (const test of tests) {
      const key = JSON.stringify(test.within)
      below.set(key, [...(below.get(key) ?? []), test])
    }
    const walk = (within: readonly string[]): HilTest[] =>
      (below.get(JSON.stringify(within)) ?? []).flatMap((test) => [test, ...walk([...within, test.name])])
    return walk([])
  }
  const section = (file: HilFile) => `<h2 class="${file.state}">${html(file.file)}: ${file.state}</h2>
<p>${file.tests.length} tests, ${file.checks} checks, ${(file.ms / 1000).toFixed(1)} s</p>
<table><thead><tr><th scope="col">test</th><th scope="col">state</th><th scope="col">ms</th></tr></thead><tbody>
${ordered(file.tests).map(row).join('\n')}
</tbody></table>${file.said ? `\n<pre>${html(file.said)}</pre>` : ''}`
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hardware in the loop: ${report.failed + report.skipped === 0 ? 'passed' : 'failed'}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #1a1a1a; background: #fff }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .2em 1em; border-bottom: 1px solid #ddd }
.failed td, h2.failed, .skipped td { color: #a30000; font-weight: bold } pre { overflow: auto; background: #f4f4f4; padding: 1em }
</style>
<h1>Hardware in the loop</h1>
<p>${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped. ${html(report.at)}, ${html(report.map)}, ${html(report.system)}, Node ${html(report.node)}.</p>
${report.files.map(section).join('\n')}
</html>
`
}
