/** A drill as one page that needs nothing beside itself: the map at every moment, on a slider. */
import { readFileSync } from 'node:fs'
import { landPath } from '../../testkit/land.ts'
import { type DrillReport, drillText } from './report.ts'

export function page(report: DrillReport): string {
  const [html, script] = ['drill.html', 'drill.js'].map((name) =>
    readFileSync(new URL(`./page/${name}`, import.meta.url), 'utf8'),
  )
  const values: Record<string, string> = {
    land: landPath('50m'),
    // Nothing within can end the element that it stands in.
    report: JSON.stringify(report).replaceAll('<', '\\u003c'),
    words: drillText(report).replaceAll('&', '&amp;').replaceAll('<', '&lt;'),
    script: script!,
  }
  return html!.replace(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? '')
}
