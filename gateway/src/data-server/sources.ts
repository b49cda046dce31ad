/** Other data servers of the site, as this one reaches them when it lacks an object: one connection each, made when first needed. */
import type { Clock } from '@azukari/protocol/ports'
import { CallClient } from '../transport/client.ts'
import type { TlsIdentity } from '../transport/server.ts'
import { remoteSource } from './object-client.ts'
import type { SourcePort } from './object-server.ts'

export class Sources {
  #tls: TlsIdentity
  readonly #clock: Clock
  readonly #open = new Map<string, { url: string; client: CallClient; port: SourcePort }>()

  constructor(tls: TlsIdentity, clock: Clock) {
    this.#tls = tls
    this.#clock = clock
  }

  of({ id, url }: { id: string; url: string }): SourcePort {
    const known = this.#open.get(id)
    if (known?.url === url) return known.port
    void known?.client.close()
    const client = new CallClient({ url, tls: this.#tls, server: id, clock: this.#clock })
    const port = remoteSource(client)
    this.#open.set(id, { url, client, port })
    return port
  }

  /** Connections are made anew with the renewed certificate. */
  renew(tls: TlsIdentity): void {
    this.#tls = tls
    this.close()
  }

  close(): void {
    for (const { client } of this.#open.values()) void client.close()
    this.#open.clear()
  }
}
