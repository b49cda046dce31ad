/** Data servers of a site, as its other processes reach them. */
import { putKeyDirectory } from '@azukari/protocol/contracts/keys'
import type { SitePorts } from '../site-folder.ts'
import { CallClient } from '../transport/client.ts'
import type { TlsIdentity } from '../transport/server.ts'
import { remoteDataServer } from './client.ts'
import { remoteObjects } from './object-client.ts'
import type { ObjectServerPort } from './object-port.ts'
import type { DataServerPort } from './port.ts'

/** Data servers over HTTP/2 with mutual TLS, one connection each, made when first needed. */
export class RemoteDataServers {
  readonly #tls: TlsIdentity
  readonly #ports: SitePorts
  readonly #open = new Map<
    string,
    { url: string; client: CallClient; port: DataServerPort; objects: ObjectServerPort }
  >()

  constructor(tls: TlsIdentity, ports: SitePorts) {
    this.#tls = tls
    this.#ports = ports
  }

  of(server: { id: string; url: string }): DataServerPort {
    return this.#reach(server).port
  }

  /** What it does with content. */
  objects(server: { id: string; url: string }): ObjectServerPort {
    return this.#reach(server).objects
  }

  #reach({ id, url }: { id: string; url: string }) {
    const known = this.#open.get(id)
    if (known?.url === url) return known
    void known?.client.close()
    const client = new CallClient({ url, tls: this.#tls, server: id, clock: this.#ports.clock })
    const made = { url, client, port: remoteDataServer(client), objects: remoteObjects(client) }
    this.#open.set(id, made)
    return made
  }

  /** Brings a data server the site's key directory. @returns the version that it holds then @throws {Problem} what it says; `server.unreachable` */
  async bringKeys(server: { id: string; url: string }, directory: Uint8Array): Promise<number> {
    this.of(server)
    return (await this.#open.get(server.id)!.client.call(putKeyDirectory, { directory })).version
  }

  close(): void {
    for (const { client } of this.#open.values()) void client.close()
    this.#open.clear()
  }
}
