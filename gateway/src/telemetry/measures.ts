/** Facts as SenML packs (RFC 8428). Names: `azukari/{site}/…`; units from the IANA registry (RFC 8428, RFC 8798). Pure. */
import { type DeviceFacts, faultOf, outOfPaper, partsOf, type SiteFacts } from './facts.ts'
import { maxRecords, type SenmlRecord } from './senml.ts'

/** What the gateway measures of itself and of the site. @param everySeconds when the next pack comes at the latest */
export function siteMeasures(site: SiteFacts, everySeconds: number): SenmlRecord[] {
  const { buffer } = site
  const [first, ...rest]: SenmlRecord[] = [
    { n: 'uptime', u: 's', v: Math.round(site.uptimeMs / 1000), ut: everySeconds },
    { n: 'memory', u: 'B', v: site.memoryBytes },
    { n: 'devices', u: 'count', v: site.devicesKnown },
    { n: 'devices-up', u: 'count', v: site.devicesUp },
    { n: 'requests', u: 'count', v: site.requestsUnderWay },
    { n: 'buffer', u: 'B', v: buffer.bytes },
    { n: 'transfers', u: 'count', v: buffer.transfers },
    { n: 'buffer-full', vb: buffer.full },
  ]
  const known = site.measures.map(({ name: n, unit: u, value: v }) => ({ n, u, v }))
  return [{ ...base(site, 'gateway'), ...first }, ...rest, ...known].slice(0, maxRecords)
}

/** What is known of one device. */
export function deviceMeasures(site: SiteFacts, device: DeviceFacts, everySeconds: number): SenmlRecord[] {
  const { report, lastSaveMs } = device
  const pack: SenmlRecord[] = [
    { ...base(site, `device/${device.id}`), n: 'online', vb: device.online, ut: everySeconds },
    { n: 'model', vs: device.model },
    { n: 'version', vs: device.version },
  ]
  if (lastSaveMs !== undefined) pack.push({ n: 'since-save', u: 's', v: secondsSince(site, lastSaveMs) })
  if (report) {
    pack.push(
      { n: 'outbox', u: 'count', v: report.outboxRows, t: -secondsSince(site, report.atMs) },
      { n: 'outbox-size', u: 'B', v: report.outboxBytes, t: -secondsSince(site, report.atMs) },
    )
    for (const part of partsOf(device)) {
      const fault = faultOf(device, part)
      if (fault !== undefined) pack.push({ n: `${part}/fault`, vb: fault, t: -secondsSince(site, report.atMs) })
    }
    const paper = outOfPaper(device)
    if (paper !== undefined) pack.push({ n: 'printer/out-of-paper', vb: paper, t: -secondsSince(site, report.atMs) })
  }
  // −0 is a time like any other to a parser, and an ugly one.
  return pack.map((record) => (record.t === 0 ? { ...record, t: 0 } : record)).slice(0, maxRecords)
}

function base({ site, atMs }: SiteFacts, of: string): SenmlRecord {
  return { bn: `azukari/${site}/${of}/`, bt: atMs / 1000 }
}

function secondsSince({ atMs }: SiteFacts, ms: number): number {
  return Math.max(0, Math.round((atMs - ms) / 1000))
}
