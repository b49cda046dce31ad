/** The data server as a process of its own: real disks, HTTP/2 with mutual TLS, graceful stop. */
import type { KeyObject } from 'node:crypto'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import type { Clock, Files, Log, Random } from '@azukari/protocol/ports'
import { logUnlisted } from '../service/unlisted.ts'
import { type CallServer, startCallServer, type TlsIdentity } from '../transport/server.ts'
import { dataServerAnswers, keyAnswers } from './answers.ts'
import { objectAnswers } from './object-answers.ts'
import { createDataServer, type DataServer, type DataServerLimits } from './server.ts'
import { Sources } from './sources.ts'
import type { TakesKeys, Trust } from './trust.ts'

export interface DataServerConfig {
  id: string
  /** Loopback unless told otherwise. */
  host?: string
  /** 0 = any free one. */
  port: number
  disks: readonly { path: string; capacityBytes: number }[]
  /** Ed25519. */
  identity: KeyObject
  /** Placement's keys; one that takes new ones is brought them by the gateway. */
  trust: Trust & Partial<TakesKeys>
  tls: TlsIdentity
  log: Log
  limits?: Partial<DataServerLimits>
  ports?: { files?: Files; clock?: Clock; random?: Random }
}

export interface RunningDataServer {
  server: DataServer
  calls: CallServer
  url: string
  /** Takes a renewed certificate without a restart, for who asks and for whom it asks. */
  renew(tls: TlsIdentity): void
  /** Takes no new replicas, finishes what is under way, then closes. */
  stop(): Promise<void>
}

export async function runDataServer(config: DataServerConfig): Promise<RunningDataServer> {
  const { files = systemFiles(), clock = systemClock, random = systemRandom } = config.ports ?? {}
  const { id, disks, identity, tls, port, host, limits } = config
  const log = config.log.child({ server: id })
  const sources = new Sources(tls, clock)
  const server = await createDataServer({
    id,
    peer: (other) => sources.of(other),
    identity,
    clock,
    random,
    files,
    disks,
    trust: config.trust,
    log,
    ...(limits ? { limits } : {}),
  })
  const calls = await startCallServer({
    tls,
    handlers: [...dataServerAnswers(server), ...objectAnswers(server.objects), ...keyAnswers(config.trust)],
    clock,
    log,
    port,
    unlisted: logUnlisted(log),
    ...(host ? { host } : {}),
  })
  log.info('data server is ready', { host: calls.host, port: calls.port, replicas: (await server.status()).replicas })
  return {
    server,
    calls,
    url: `https://${calls.host}:${calls.port}`,
    renew: (renewed) => {
      calls.renew(renewed)
      sources.renew(renewed)
    },
    stop: async () => {
      sources.close()
      await Promise.all([server.stop(), calls.stop()])
      log.info('data server has stopped')
    },
  }
}
