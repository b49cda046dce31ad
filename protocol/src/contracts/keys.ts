/** How the key directory and what goes into it travels: to devices, data servers and services (ARCHITECTURE §3). */
import { Bytes, Count, contract, Nothing, type Static, TimeMs, Type } from '../contract.ts'
import { DirectoryKey, keyDirectoryMaxBytes } from '../key-directory.ts'

/** A signed key directory. */
export const SignedDirectory = Bytes(64, keyDirectoryMaxBytes)

const Newer = Type.Object({
  /** Absent when there is none above the version that was named. */
  directory: Type.Optional(SignedDirectory),
})

export const readKeyDirectory = contract({
  name: 'keys.read',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'The key directory, when it is newer than the one that the device has',
  serves: ['D1', 'D6'],
  request: Type.Object({ have: Count }),
  reply: Newer,
  problems: ['keys.missing'],
})

export const followKeyDirectory = contract({
  name: 'keys.follow',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'The key directory for a service that runs apart, when it is newer than the one it has',
  serves: ['D1', 'D4'],
  request: Type.Object({ have: Count }),
  reply: Newer,
  problems: ['keys.missing'],
})

export const putKeyDirectory = contract({
  name: 'keys.put',
  kind: 'internal',
  service: 'data-server',
  authority: 'service',
  title: 'The gateway brings a data server the key directory',
  serves: ['D1', 'S7'],
  request: Type.Object({ directory: SignedDirectory }),
  /** The version that it holds now. */
  reply: Type.Object({ version: Count }),
  problems: ['keys.forged', 'keys.wrong-site', 'keys.stale', 'keys.expired', 'config.invalid'],
})

const { holder: _, ...heldKey } = DirectoryKey.properties
/** A key as its holder tells of it. */
export const HeldKey = Type.Object(heldKey)
export type HeldKey = Static<typeof HeldKey>
const HeldKeys = Type.Object({ keys: Type.Array(HeldKey, { maxItems: 256 }) })

export const readServiceKeys = contract({
  name: 'keys.held',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'The gateway asks a service for its public keys',
  serves: ['D1', 'D4'],
  request: Nothing,
  reply: HeldKeys,
})

export const rotateServiceKeys = contract({
  name: 'keys.rotate',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'A service makes itself new keys, to be used from a time on; the former ones stay to open and verify',
  serves: ['D1', 'D4'],
  request: Type.Object({ fromMs: TimeMs, takenUntilMs: TimeMs }),
  reply: HeldKeys,
  problems: ['keys.fixed', 'keys.under-way', 'server.unreachable'],
})
