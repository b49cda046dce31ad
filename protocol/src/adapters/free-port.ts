/** A port of loopback that nobody uses: for programs that must be told their port before they start. */
import { createServer } from 'node:net'
import { InternalError } from '../problem.ts'

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address !== 'object' || address === null) throw new InternalError('no port')
  return address.port
}
