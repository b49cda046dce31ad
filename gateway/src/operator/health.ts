/**
 * `/healthz`, `/metrics`, `/risks` and `/statistics` on loopback (D6, P9). The Host header is checked, so that a page in an operator's browser cannot
 * read them under another name (DNS rebinding).
 */
import { isProblem, Problem } from '@azukari/protocol/problem'
import fastify, { type FastifyInstance } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { BudgetReport } from '../budgets/pool.ts'
import type { GatewayStatus } from '../gateway.ts'
import type { HostCounts } from '../service/host-rules.ts'
import type { CareStatus } from '../services/placement/care/care.ts'
import type { MoverStatus } from '../services/placement/replace/mover.ts'
import type { RiskReport } from '../services/placement/risk-report.ts'
import type { ErasureReport } from '../services/placement/wishes/report.ts'
import type { CentreReport } from '../services/settlement/centre/watch.ts'
import { statisticsPage, statisticsPolicy } from '../services/settlement/statistics/page.ts'
import { type StatisticsReport, statisticsPicture } from '../services/settlement/statistics/picture.ts'
import { budgetMetrics } from './budget-metrics.ts'

export interface HealthSources {
  version: string
  status: () => GatewayStatus
  /** Counts of the services that run in this process, by name. */
  services: () => Record<string, HostCounts>
  /** What is in use of every budget. */
  budgets?: () => BudgetReport[]
  /** Re-placement, when placement runs in this process. */
  moves?: () => Promise<MoverStatus>
  /** Audits and verdicts, when placement runs in this process. */
  care?: () => Promise<CareStatus>
  /** What members had erased, when placement runs in this process. */
  erasures?: () => Promise<ErasureReport>
  /** The two settlement centres, when there are two (P9). */
  centres?: () => Promise<CentreReport[]>
  /** Risks and feeds, when placement runs in this process. */
  risks?: () => Promise<RiskReport>
  /** Figures of settlement, when it runs in this process. */
  statistics?: () => Promise<StatisticsReport>
}

/** How long figures of settlement are shown before they are added up again. */
const statisticsMs = 300_000

/** Makes the server; `listen({ host: '127.0.0.1', port })` starts it. */
export function healthServer(sources: HealthSources): FastifyInstance {
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
    const moves = await sources.moves?.()
    const care = await sources.care?.()
    return reply.code(ok ? 200 : 503).send({
      ok,
      site,
      boot,
      version: sources.version,
      devicesUp,
      underWay,
      buffer,
      ...(care && { audits: { suspects: care.suspects, overdue: care.overdue, verdicts: care.verdicts } }),
      ...(moves && { moves, ...(moves.stuck > 0 && { warning: 'placement.no-server' }) }),
      // A sick feed is told and does not make the gateway unhealthy: what it said is held.
      ...(sources.risks ? { feeds: feedsOf(await sources.risks()) } : {}),
      ...(ok ? {} : { problem: 'storage.full' }),
    })
  })
  server.get('/risks', async (_request, reply) =>
    sources.risks
      ? await sources.risks()
      : reply.code(404).send({ problem: new Problem('service.unavailable').toWire() }),
  )
  // Adding up a year of a large journal takes a while, during which nothing else runs: once is enough for some minutes.
  let drawn: { page: string; picture: string; atMs: number } | undefined
  const statistics = async () => {
    if (!sources.statistics) return undefined
    if (!drawn || performance.now() - drawn.atMs > statisticsMs) {
      const report = await sources.statistics()
      drawn = { page: statisticsPage(report), picture: statisticsPicture(report), atMs: performance.now() }
    }
    return drawn
  }
  for (const [path, what, type] of [
    ['/statistics', 'page', 'text/html; charset=utf-8'],
    ['/statistics.svg', 'picture', 'image/svg+xml'],
  ] as const)
    server.get(path, async (_request, reply) => {
      const found = await statistics()
      return found
        ? reply.type(type).header('content-security-policy', statisticsPolicy).send(found[what])
        : reply.code(404).send({ problem: new Problem('service.unavailable').toWire() })
    })
  server.get('/metrics', async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()))
  return server
}

function feedsOf({ feeds }: RiskReport) {
  return feeds.map(({ name, ageMs, hazards, problem }) => ({ name, ageMs, hazards, ...(problem ? { problem } : {}) }))
}

function isLocalName(host: string | undefined): boolean {
  return host !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(host)
}

function metricsOf({ status, services, budgets, moves, care, risks, erasures, centres }: HealthSources): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'azukari_' })
  const registers = [registry]
  const gauge = (name: string, help: string, value: () => number | Promise<number>) =>
    new Gauge({
      name: `azukari_${name}`,
      help,
      registers,
      collect: async function () {
        this.set(await value())
      },
    })
  gauge('devices_up', 'Devices that have greeted', () => status().devicesUp)
  gauge('requests_under_way', 'Requests that wait for a service', () => status().underWay)
  gauge('buffer_bytes', 'Bytes announced to the receive buffer', () => status().buffer.bytes)
  gauge('buffer_transfers', 'Transfers in the receive buffer', () => status().buffer.transfers)
  gauge('buffer_full', '1 while the disk takes no blocks', () => (status().buffer.full ? 1 : 0))
  if (moves) {
    gauge('moves_queued', 'Moves of replicas that wait', async () => (await moves()).queued)
    gauge('moves_queued_bytes', 'Sealed bytes of the moves that wait', async () => (await moves()).queuedBytes)
    gauge('moves_running', 'Moves under way', async () => (await moves()).running)
    gauge(
      'moves_stuck_buckets',
      'Buckets at risk with nowhere to go (placement.no-server)',
      async () => (await moves()).stuck,
    )
    gauge('moves_paused', '1 while an operator has paused moves', async () => ((await moves()).paused ? 1 : 0))
    gauge('moves_decide_ms', 'How long the last decision over all buckets took', async () => (await moves()).decideMs)
  }
  if (care) {
    gauge('audit_suspects', 'Replicas that are to be examined', async () => (await care()).suspects)
    gauge(
      'audit_overdue',
      'Objects that were not opened and compared within their maximum age',
      async () => (await care()).overdue,
    )
  }
  if (erasures) {
    gauge(
      'erasures_open',
      'Erased objects of which something is left somewhere (D8)',
      async () => (await erasures()).open,
    )
    gauge('accounts_closing', 'Accounts that are being closed', async () => (await erasures()).accountsClosing)
  }
  const labelled = (name: string, help: string, label: string, values: () => Promise<[of: string, value: number][]>) =>
    new Gauge({
      name: `azukari_${name}`,
      help,
      labelNames: [label],
      registers,
      collect: async function () {
        const now = await values()
        this.reset()
        for (const [of, value] of now) this.set({ [label]: of }, value)
      },
    })
  if (risks) {
    gauge('hazards', 'Hazards that count now', async () => (await risks()).hazards.length)
    labelled('risk', 'Probability per year that a data server is lost', 'server', async () =>
      (await risks()).servers.map(({ server, risk }) => [server, risk]),
    )
    labelled('feed_age_seconds', 'Since the last good answer of a hazard feed; -1 = never', 'feed', async () =>
      (await risks()).feeds.map(({ name, ageMs }) => [name, ageMs === null ? -1 : ageMs / 1000]),
    )
    labelled('feed_problem', '1 while something is wrong with a hazard feed', 'feed', async () =>
      (await risks()).feeds.map(({ name, problem }) => [name, problem ? 1 : 0]),
    )
  }
  if (centres) {
    const ofCentre = (name: string, help: string, value: (report: CentreReport) => number | boolean) =>
      new Gauge({
        name: `azukari_centre_${name}`,
        help,
        labelNames: ['centre'],
        registers,
        collect: async function () {
          const reports = await centres()
          this.reset()
          for (const report of reports) this.set({ centre: report.centre }, Number(value(report)))
        },
      })
    ofCentre('up', '1 when the settlement centre answers', ({ up }) => up)
    ofCentre('leading', '1 for the centre that leads', ({ leading }) => leading)
    ofCentre('epoch', 'Epoch of the leadership that the centre knows', ({ epoch }) => epoch)
    ofCentre('paired', '1 when what the leader acknowledges is on both disks', ({ paired }) => paired)
    ofCentre('entries', 'Commits that the centre has', ({ entries }) => entries)
    ofCentre('acknowledged', 'The last commit that the leader says is acknowledged', ({ acknowledged }) => acknowledged)
    ofCentre('lag', 'Commits not acknowledged yet, or not at this centre yet', ({ lag }) => lag)
  }
  if (budgets) budgetMetrics(registry, budgets)
  // Counted where it happens; Prometheus sees the difference since the last scrape added.
  const totals = (
    name: string,
    help: string,
    label: string,
    values: () => Record<string, number> | Promise<Record<string, number>>,
  ) =>
    new Counter({
      name: `azukari_${name}_total`,
      help,
      labelNames: [label],
      registers,
      collect: async function () {
        const now = await values()
        this.reset()
        for (const [of, value] of Object.entries(now)) this.inc({ [label]: of }, value)
      },
    })
  totals('router', 'What the router did since the start', 'what', () => ({ ...status().counts }))
  for (const what of ['acts', 'refused', 'duplicates', 'commits', 'failedCommits', 'calls'] as const)
    totals(`service_${what.replace('C', '_c')}`, `Since the start, per service: ${what}`, 'service', () =>
      Object.fromEntries(Object.entries(services()).map(([name, counts]) => [name, counts[what]])),
    )
  if (care) {
    totals('audits', 'Audits since the start', 'what', async () => {
      const { listed, leaves, scans, scannedBytes, opened, examined, bytes, extra, failures } = await care()
      return { listed, leaves, scans, scannedBytes, opened, examined, bytes, extra, failures }
    })
    totals('verdicts', 'Verdicts on replicas and servers, ever', 'kind', async () => (await care()).verdicts)
  }
  if (moves)
    totals('moves', 'Re-placement since the start', 'what', async () => {
      const { moved, movedBytes, resealed, cancelled, retired, failures, decisions } = await moves()
      return { moved, movedBytes, resealed, cancelled, retired, failures, decisions }
    })
  return registry
}
