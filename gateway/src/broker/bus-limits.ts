/** What connections may use of the embedded broker. */
export interface BusLimits {
  /** Connections of enrolled devices: nobody else takes a place of theirs. */
  connections: number
  /** Connections of readers. */
  readers: number
  /** Connections that have not said who they are, and those of one address. When they are too many, the oldest goes. */
  strangers: number
  strangersPerAddress: number
  /** Connections of claimants, and those of one address. When they are too many, the oldest goes. */
  claimants: number
  claimantsPerAddress: number
  /** Filters that one connection may subscribe to. */
  subscriptions: number
  /** Bytes of one SUBSCRIBE or UNSUBSCRIBE. */
  subscribeBytes: number
  /** Bytes of one packet. */
  packetBytes: number
  /** Messages per second of one device, on average; it may send twice as many at once. */
  messagesPerSecond: number
  /** Bytes that may wait for a device that reads slowly, and for all; beyond it, it is cut off. */
  waitingBytes: number
  allWaitingBytes: number
  /** How long a device that does not read at all is kept. */
  drainMs: number
  connectMs: number
  /** How long a claimant may take to enrol, and a device whose token is late to greet. */
  claimMs: number
  /** Longest silence that a device may ask for. */
  keepaliveMs: number
}

export const busLimits: BusLimits = {
  connections: 20_000,
  readers: 32,
  strangers: 2_000,
  strangersPerAddress: 1_000,
  claimants: 256,
  claimantsPerAddress: 128,
  subscriptions: 32,
  subscribeBytes: 4_096,
  packetBytes: 196_608,
  messagesPerSecond: 2_000,
  waitingBytes: 8 * 1024 * 1024,
  allWaitingBytes: 512 * 1024 * 1024,
  drainMs: 1_000,
  connectMs: 10_000,
  claimMs: 120_000,
  keepaliveMs: 600_000,
}

/** Bytes that may wait on their way to all who subscribed. */
export const toAllBytes = 64 * 1024 * 1024

/** Bytes of a packet before CONNECT is accepted: a client id, a token and a will. */
export const strangerPacketBytes = 8_192
