import type { DataServerPort } from '../../../data-server/port.ts'

/** How placement reaches a data server: over HTTP/2 with mutual TLS, or directly in simulation. */
export interface DataServers {
  of(server: { id: string; url: string; key: Uint8Array }): DataServerPort
}
