/** Simulated mains, battery and temperature, set by hand (W4). */
import type { Power, PowerState } from '@azukari/device/drivers'
import { Faults } from './fault.ts'

export class SimulatedPower implements Power {
  readonly model = 'Azukari Simulated Power'
  readonly faults = new Faults('power')
  shown: PowerState = { isOnMains: true, temperatureC: 40 }

  async state(): Promise<PowerState> {
    this.faults.check()
    return { ...this.shown }
  }

  async close(): Promise<void> {}
}
