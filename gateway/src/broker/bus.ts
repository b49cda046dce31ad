/** What carries messages between the gateway and its devices: the embedded broker, or any MQTT broker (ARCHITECTURE §12). */
import type { Topic } from '@azukari/protocol/topics'

export interface BusHandlers {
  /**
   * A message from a device, on a topic that this device may publish. The payload may alias the packet.
   * A promise holds back what this device sends next.
   */
  message(topic: Topic & { device: string }, payload: Uint8Array): Promise<void> | undefined
  /** The bus can carry messages (again). */
  up(): void
  /** A device's connection is gone; never called by a bus that cannot know. */
  gone(device: string): void
}

export interface PublishOptions {
  retain?: boolean
  /** Where a lost message is asked for again anyway, 0 saves an acknowledgement. */
  qos?: 0 | 1
  /** Answers an enrolment: it is for those who claim to be this device, too, on a bus that knows them apart. */
  toClaimants?: boolean
}

export interface Bus {
  /** @throws {Problem} `link.offline`, `config.invalid` */
  start(handlers: BusHandlers): Promise<void>
  /** Never waits: a device that does not read is cut off rather than waited for. */
  publish(topic: string, payload: Uint8Array, options?: PublishOptions): void
  /** Cuts a device off; a bus that cannot does nothing. */
  disconnect(device: string): void
  /** Cuts off readers of telemetry that may no longer read, on a bus that knows them. */
  dropReaders?(stays: (name: string) => boolean): void
  stop(): Promise<void>
}
