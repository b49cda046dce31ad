/** Certificates that renew while their processes run (D6): nobody has to start anything anew before they end. */
import type { Clock, Log } from '@azukari/protocol/ports'
import { PeriodicWorker } from '../service/periodic-worker.ts'
import type { TlsIdentity } from '../transport/server.ts'
import type { Role } from './authority.ts'
import type { Keyring } from './keyring.ts'
import { nextLookMs } from './validity.ts'

export interface RenewalOptions {
  keyring: Keyring
  id: string
  role: Role
  /** Where it is kept, when that is not under its id. */
  file?: string
  /** What the process shows. A renewed certificate takes its place in this very object: new connections show the new one. */
  tls: TlsIdentity
  /** Servers that listen with it. */
  servers: () => Iterable<{ renew(tls: TlsIdentity): void }>
  clock: Clock
  log: Log
}

/** Looks every hour, or more often where certificates live shorter, until stopped. */
export function renewCertificate({
  keyring,
  id,
  role,
  file = id,
  tls,
  servers,
  clock,
  log,
}: RenewalOptions): PeriodicWorker {
  const worker = new PeriodicWorker({
    name: `certificate of ${file}`,
    clock,
    log,
    idleMs: 60_000,
    round: async () => {
      const now = await keyring.identity(id, role, file)
      if (now.cert !== tls.cert || String(now.ca) !== String(tls.ca)) {
        Object.assign(tls, now)
        for (const server of servers()) server.renew(tls)
        log.info('a certificate was renewed', { certificate: file })
      }
      return nextLookMs(tls.cert)
    },
  })
  worker.start()
  return worker
}
