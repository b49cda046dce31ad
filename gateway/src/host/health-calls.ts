/** What a service in a process of its own answers when the gateway asks how it stands (D6). */
import { serviceHealth, servicePage } from '@azukari/protocol/contracts/internal'
import { Problem } from '@azukari/protocol/problem'
import { Registry } from 'prom-client'
import type { HostCounts } from '../service/host-limits.ts'
import { answers, type CallHandler, gatewayName } from '../transport/server.ts'
import type { ServiceHealth } from './service-module.ts'

/** @param health what it shows; @param counts of its acts and calls, where it counts them */
export function healthHandlers(health: ServiceHealth = {}, counts?: Readonly<HostCounts>): CallHandler[] {
  const registry = new Registry()
  health.metrics?.(registry)
  return [
    answers(serviceHealth, [gatewayName], async () => ({
      reply: {
        facts: JSON.stringify((await health.facts?.()) ?? {}),
        counts: { ...counts },
        metrics: await registry.metrics(),
        measures: [...((await health.measures?.()) ?? [])],
      },
    })),
    answers(servicePage, [gatewayName], async ({ path }) => {
      const page = health.pages?.[path]
      if (!page) throw new Problem('object.unknown', path)
      return { reply: await page() }
    }),
  ]
}
