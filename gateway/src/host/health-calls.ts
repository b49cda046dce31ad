/** What a service in a process of its own answers when the gateway asks how it stands (D6). */
import { serviceHealth, servicePage } from '@azukari/protocol/contracts/internal'
import { mapInOrder } from '@azukari/protocol/in-order'
import { Problem } from '@azukari/protocol/problem'
import { Registry } from 'prom-client'
import type { HostCounts } from '../service/host-limits.ts'
import { answers, type CallHandler, gatewayName } from '../transport/server.ts'
import type { ServiceHealth } from './service-module.ts'

/** @param parts what it shows; @param counts of its acts and calls, where it counts them */
export function healthHandlers(parts: readonly ServiceHealth[], counts?: Readonly<HostCounts>): CallHandler[] {
  const registry = new Registry()
  for (const part of parts) part.metrics?.(registry)
  return [
    answers(serviceHealth, [gatewayName], async () => ({
      reply: {
        facts: JSON.stringify(await factsOf(parts)),
        counts: { ...counts },
        metrics: await registry.metrics(),
        measures: (await mapInOrder(parts, async (part) => (await part.measures?.()) ?? [])).flat(),
      },
    })),
    answers(servicePage, [gatewayName], async ({ path }) => {
      const page = parts.map(({ pages }) => pages?.[path]).find(Boolean)
      if (!page) throw new Problem('object.unknown', path)
      return { reply: await page() }
    }),
  ]
}

/** What all say together. */
export async function factsOf(parts: readonly ServiceHealth[]): Promise<Record<string, unknown>> {
  const facts: Record<string, unknown> = {}
  for (const part of parts) Object.assign(facts, await part.facts?.())
  return facts
}
