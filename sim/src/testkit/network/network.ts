/** What a site's line between devices and gateway is to the simulation, on either level (ARCHITECTURE §11). */
import type { MqttTransport } from '@azukari/device/transport'
import type { Admission, Credentials } from '@azukari/gateway/broker/admission'
import type { Bus } from '@azukari/gateway/broker/bus'
import type { LineFaults } from './faults.ts'

export interface SimNetwork {
  faults: LineFaults
  /** What it did on purpose, by kind. */
  readonly counts: Record<string, number>
  bus(admit: (credentials: Credentials) => Promise<Admission>, alive: () => boolean): Bus
  transport(alive: () => boolean): MqttTransport
  /** The gateway is gone. */
  lose(): void
  hangUp(device: string, reason: string): void
  cut(device: string): void
  join(device: string): void
  joinAll(): void
}
