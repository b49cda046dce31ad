/**
 * `/healthz`, `/metrics` and the pages of services on loopback (D6, P9). The Host header is checked, so that a page in an
 * operator's browser cannot read them under another name (DNS rebinding).
 */
import { isProblem, Problem } from '@azukari/protocol/problem'
import fastify, { type FastifyInstance } from 'fastify'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { BudgetReport } from '../budgets/pool.ts'
import type { GatewayStatus } from '../gateway.ts'
import { gaugesOf } from '../host/gauges.ts'
import { factsOf } from '../host/health-calls.ts'
import type { HealthReport, RemoteHealth } from '../host/remote-health.ts'
import type { HealthPage, ServiceHealth } from '../host/service-module.ts'
import type { HostCounts } from '../service/host-limits.ts'
import { budgetMetrics } from './budget-metrics.ts'

export interface HealthSources {
  version: string
  status: () => GatewayStatus
  /** Counts of the services that run in this process, by name. */
  services: () => Record<string, HostCounts>
  /** Answers that contracts do not list, by contract and problem. */
  unlisted?: () => Readonly<Record<string, number>>
  /** What is in use of every budget. */
  budgets?: () => BudgetReport[]
  /** Seconds that each certificate of the site's folder still holds, by name. */
  certificates?: () => Promise<[certificate: string, seconds: number][]>
  /** What services of this process show of themselves. */
  parts?: readonly ServiceHealth[]
  /** Services in processes of their own. */
  apart?: readonly RemoteHealth[]
}

/** Makes the server; `listen({ host: '127.0.0.1', port })` starts it. */
export function healthServer(sources: HealthSources): FastifyInstance {
  const { parts = [], apart = [] } = sources
  const registry = metricsOf(sources)
  const server = fastify({
    logger: false,
    bodyLimit: 1_024,
    requestTimeout: 10_000,
    routerOptions: { maxParamLength: 32 },
  })
  server.addHook('onRequest', async (request, reply) => {
    if (!isLocalName(request.headers.host))
      return reply
        .code(403)
        .send({ problem: new Problem('message.unauthorised', 'ask under a loopback name').toWire() })
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff')
  })
  server.setErrorHandler((error, _request, reply) => {
    const problem = isProblem(error) ? error : new Problem('internal')
    return reply.code(500).send({ problem: problem.toWire() })
  })
  server.get('/healthz', async (_request, reply) => {
    const { site, boot, devicesUp, underWay, buffer } = sources.status()
    const ok = !buffer.full
    const facts = await factsOf(parts)
    const reports = await reportsOf(apart)
    for (const { report } of reports) if (report) Object.assign(facts, JSON.parse(report.facts))
    const away = reports.filter(({ report }) => !report).map(({ name }) => name)
    if (away.length > 0) facts['away'] = away
    const own = { ok, site, boot, version: sources.version, devicesUp, underWay, buffer }
    return reply.code(ok ? 200 : 503).send({ ...own, ...facts, ...(ok ? {} : { problem: 'storage.full' }) })
  })
  const show = (path: string, page: () => Promise<HealthPage>) =>
    server.get(path, async (_request, reply) => {
      const { type, policy, body } = await page()
      if (policy) reply.header('content-security-policy', policy)
      return reply.type(type).send(body)
    })
  for (const part of parts) for (const [path, page] of Object.entries(part.pages ?? {})) show(path, page)
  for (const service of apart) for (const path of service.pages) show(path, () => service.page(path))
  server.get('/metrics', async (_request, reply) => {
    const own = await registry.metrics()
    // Each family of metrics is one service's alone, so that the texts stand beside each other.
    const others = (await reportsOf(apart)).map(({ report }) => report?.metrics ?? '')
    return reply.type(registry.contentType).send([own, ...others].filter(Boolean).join('\n'))
  })
  return server
}

async function reportsOf(
  apart: readonly RemoteHealth[],
): Promise<{ name: string; report: HealthReport | undefined }[]> {
  return Promise.all(apart.map(async (service) => ({ name: service.name, report: await service.report() })))
}

function isLocalName(host: string | undefined): boolean {
  return host !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(host)
}

function metricsOf(sources: HealthSources): Registry {
  const { status, services, budgets, certificates, unlisted, parts = [], apart = [] } = sources
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'azukari_' })
  const { gauge, labelled, totals } = gaugesOf(registry)
  gauge('devices_up', 'Devices that have greeted', () => status().devicesUp)
  gauge('requests_under_way', 'Requests that wait for a service', () => status().underWay)
  gauge('buffer_bytes', 'Bytes announced to the receive buffer', () => status().buffer.bytes)
  gauge('buffer_transfers', 'Transfers in the receive buffer', () => status().buffer.transfers)
  gauge('buffer_full', '1 while the disk takes no blocks', () => (status().buffer.full ? 1 : 0))
  totals('router', 'What the router did since the start', 'what', () => ({ ...status().counts }))
  labelled('service_up', '1 while the service answers: here, or in its own process', 'service', async () => [
    ...Object.keys(services()).map((name): [string, number] => [name, 1]),
    ...(await reportsOf(apart)).map(({ name, report }): [string, number] => [name, report ? 1 : 0]),
  ])
  for (const what of ['acts', 'refused', 'duplicates', 'commits', 'failedCommits', 'calls', 'unlisted'] as const)
    totals(`service_${what.replace('C', '_c')}`, `Since the start, per service: ${what}`, 'service', async () => ({
      ...Object.fromEntries(Object.entries(services()).map(([name, counts]) => [name, counts[what]])),
      ...Object.fromEntries(
        (await reportsOf(apart)).flatMap(({ name, report }) =>
          report?.counts[what] === undefined ? [] : [[name, report.counts[what]]],
        ),
      ),
    }))
  if (certificates) labelled('certificate_seconds', 'How long a certificate still holds', 'certificate', certificates)
  if (unlisted)
    totals('unlisted_problems', 'Answers with a problem that the contract does not list', 'answer', () => ({
      ...unlisted(),
    }))
  if (budgets) budgetMetrics(registry, budgets)
  for (const part of parts) part.metrics?.(registry)
  return registry
}
