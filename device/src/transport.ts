/** MQTT as the link needs it: one connection at a time, no queue of its own, no reconnecting of its own. */
export interface MqttMessage {
  topic: string
  payload: Uint8Array
}

export interface MqttSession {
  /** Resolves when the broker has taken it (QoS 1) or it is on the wire (QoS 0); rejects when the line breaks. */
  publish(topic: string, payload: Uint8Array, options?: { qos?: 0 | 1; retain?: boolean }): Promise<void>
  subscribe(filters: readonly string[]): Promise<void>
  /** Resolves when the line is gone, with the reason. */
  readonly closed: Promise<string>
  close(): Promise<void>
}

export interface MqttConnectOptions {
  clientId: string
  username: string
  password: Uint8Array
  will: { topic: string; payload: Uint8Array; retain: boolean }
  keepaliveMs: number
  connectLimitMs: number
  onMessage: (message: MqttMessage) => void
}

export interface MqttTransport {
  /** @throws {Problem} `link.offline`, `device.unknown` when the broker refuses the credentials */
  connect(options: MqttConnectOptions, signal: AbortSignal): Promise<MqttSession>
}
