import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { stalledEnds } from '@azukari/device/conformance/suite'
import t from 'tap'
import { IppPrinter } from './ipp-printer.ts'

t.test('S17: an IPP printer that takes a question and never answers it is left and given up', async (t) => {
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const page = { width: 4, height: 4, rgba: new Uint8Array(64) }
  await stalledEnds(
    t,
    'printer',
    async (clock) => new IppPrinter({ url: `ipp://127.0.0.1:${port}/ipp/print`, clock }),
    (printer, signal) => printer.print({ page, title: 'x', copies: 1 }, signal),
  )
})
