/** Metrics whose values are asked for when Prometheus asks. */
import { Counter, Gauge, type Registry } from 'prom-client'

type Now<T> = T | Promise<T>

export interface Gauges {
  gauge(name: string, help: string, value: () => Now<number>): void
  /** One value for each of several things. */
  labelled(name: string, help: string, label: string, values: () => Now<[of: string, value: number][]>): void
  /** Counted where it happens; Prometheus sees the difference since the last scrape added. */
  totals(name: string, help: string, label: string, values: () => Now<Record<string, number>>): void
}

export function gaugesOf(registry: Registry): Gauges {
  const registers = [registry]
  return {
    gauge(name, help, value) {
      new Gauge({
        name: `azukari_${name}`,
        help,
        registers,
        collect: async function () {
          this.set(await value())
        },
      })
    },
    labelled(name, help, label, values) {
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
    },
    totals(name, help, label, values) {
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
    },
  }
}
