/** Budgets for Prometheus: what is held, of how much, by how many, and what was refused (D6). */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { BudgetReport } from '../budgets/pool.ts'

const labelNames = ['budget', 'identity'] as const

export function budgetMetrics(registry: Registry, budgets: () => BudgetReport[]): void {
  const registers = [registry]
  const gauge = (name: string, help: string, value: (report: BudgetReport) => number) =>
    new Gauge({
      name: `azukari_budget_${name}`,
      help,
      labelNames,
      registers,
      collect: function () {
        this.reset()
        for (const report of budgets()) this.set({ budget: report.budget, identity: report.kind }, value(report))
      },
    })
  gauge('held', 'What is in use of a budget; 0 for rates', ({ held }) => held)
  gauge('limit', 'What all of one kind of identity may use together; of rates: per second, each', ({ limit }) => limit)
  gauge('holders', 'Names (devices, addresses, peers) that use a budget', ({ holders }) => holders)
  new Counter({
    name: 'azukari_budget_refused_total',
    help: 'Refused since the start, by budget',
    labelNames,
    registers,
    collect: function () {
      this.reset()
      for (const { budget, kind, refused } of budgets()) this.inc({ budget, identity: kind }, refused)
    },
  })
}
