/** S7: a data server shows that it holds its key, before a byte is sent to it. */
import { openIdentification } from '@azukari/protocol/identify'
import { parseCoseKey, type RandomSource } from '@azukari/protocol/keys'
import type { DataServerPort } from '../../../data-server/port.ts'
import type { ServerRow } from '../store.ts'

/** @throws {Problem} `server.impostor` when it does not prove the key of the register, `server.unreachable` */
export async function identify(
  port: DataServerPort,
  server: ServerRow,
  placementKid: Uint8Array,
  random: RandomSource,
  signal: AbortSignal,
): Promise<void> {
  const nonce = random.bytes(32)
  openIdentification(await port.identify(nonce, placementKid, signal), parseCoseKey(server.key), {
    nonce,
    verifier: placementKid,
    server: server.id,
  })
}
