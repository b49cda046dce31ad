/**
 * What a service uses of the machine that it runs on, beside clock, chance and files: databases, the network, costly
 * computing. The real ones are in `adapters/system-machine.ts`; a simulation puts its own in their place, so that what runs
 * there is opened by the very module that a site opens (ARCHITECTURE §11).
 */
import type { KeyObject } from 'node:crypto'
import type { Log } from '@azukari/protocol/ports'
import type { OutboundAnswer, OutboundRequest } from '../adapters/guarded-fetch.ts'
import type { ObjectServerPort } from '../data-server/object-port.ts'
import type { DataServerPort } from '../data-server/port.ts'
import type { SignatureChecks } from '../service/checks.ts'
import type { Database } from '../storage/database.ts'

export interface MachinePorts {
  /** @param path from the site's folder */
  openDatabase(path: string): Database
  /** Runs work when what the network has brought so far has been taken in. */
  defer(work: () => void): void
  /** Turns a passphrase into a key of 32 bytes. */
  passphraseKey(passphrase: string, salt: Uint8Array): Uint8Array
  /** Asks a server outside the site. @throws {Problem} one of `request.problems` */
  fetch(request: OutboundRequest): Promise<OutboundAnswer>
  /** The site's data servers, as a service of this name reaches them. */
  dataServers(service: string, log: Log): Promise<ReachedDataServers>
  /** Threads that check signatures; undefined: the service checks them itself. @param agreement to which messages are sealed */
  checks(agreement: KeyObject, log: Log): SignatureChecks | undefined
}

/** Data servers on their lines. */
export interface ReachedDataServers {
  of(server: { id: string; url: string; key: Uint8Array }): DataServerPort
  /** What such a server does with content. */
  objects(server: { id: string; url: string; key: Uint8Array }): ObjectServerPort
  close(): Promise<void>
}
