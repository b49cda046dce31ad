/** Which of several processes of a service answer, and which of them does its slow work (D6, docs/decisions/0034). */
import type { ServiceName } from '@azukari/protocol/contract'
import { serviceHealth } from '@azukari/protocol/contracts/internal'
import type { ApartProcess } from '../operator-api/service-commands.ts'
import { gaugesOf } from './gauges.ts'
import type { ServiceHealth } from './service-module.ts'

/** Prometheus gives up after ten seconds by itself, ms. */
const idleMs = 3_000

interface Standing {
  process: string
  isUp: boolean
  /** Epoch of its lease of the slow work, when it holds that. */
  workEpoch?: number
}

export function processesHealth(name: ServiceName, processes: readonly ApartProcess[]): ServiceHealth {
  const standings = () => Promise.all(processes.map(standingOf))
  return {
    facts: async () => ({ [`${name}Processes`]: await standings() }),
    metrics: (registry) => {
      const { gauge } = gaugesOf(registry)
      gauge(
        `${name}_processes_up`,
        'Processes of the service that answer',
        async () => (await standings()).filter(({ isUp }) => isUp).length,
      )
    },
  }
}

async function standingOf({ id, client }: ApartProcess): Promise<Standing> {
  try {
    const { facts } = await client.call(serviceHealth, {}, { idleMs })
    const stores = Object.values(JSON.parse(facts) as Record<string, { workEpoch?: number } | undefined>)
    const workEpoch = stores.map((store) => store?.workEpoch).find((epoch) => typeof epoch === 'number')
    return workEpoch === undefined ? { process: id, isUp: true } : { process: id, isUp: true, workEpoch }
  } catch {
    return { process: id, isUp: false }
  }
}
