/** Databases, network and threads of the machine itself. */
import { RemoteDataServers } from '../data-server/remote.ts'
import type { MachinePorts } from '../host/machine-ports.ts'
import { argon2id } from '../passphrase-key.ts'
import { renewCertificate } from '../pki/renewal.ts'
import type { SiteFolder, SitePorts } from '../site-folder.ts'
import { CheckPool } from './check-pool.ts'
import { openDatabase } from './database.ts'
import { systemDefer } from './defer.ts'
import { guardedFetch } from './guarded-fetch.ts'

/** What a process of a site runs on: the real machine, or what its ports put in its place. */
export function machineOf(folder: SiteFolder, ports: SitePorts): MachinePorts {
  return (ports.machine ?? systemMachine)(folder, ports)
}

function systemMachine(folder: SiteFolder, ports: SitePorts): MachinePorts {
  return {
    openDatabase: (path) => openDatabase(`${folder.path}/${path}`),
    defer: systemDefer,
    passphraseKey: argon2id,
    fetch: guardedFetch,
    dataServers: async (service, log) => {
      const tls = await folder.keyring.identity(service, 'service')
      const servers = new RemoteDataServers(tls, ports)
      const renewal = renewCertificate({
        keyring: folder.keyring,
        id: service,
        role: 'service',
        tls,
        clock: ports.clock,
        log,
        servers: () => [],
      })
      return {
        of: (server) => servers.of(server),
        objects: (server) => servers.objects(server),
        close: async () => {
          await renewal.stop()
          servers.close()
        },
      }
    },
    checks: (agreement, log) => new CheckPool({ agreement, log }),
  }
}
