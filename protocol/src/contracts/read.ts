/** Reading back without placement (S10): the gateway carries frames between card and data server unopened. */
import { Bytes, contract, Slug, type Static, Type } from '../contract.ts'

export const carryFrame = contract({
  name: 'read.frame',
  kind: 'call',
  service: 'gateway',
  authority: 'device',
  title: 'One frame to a data server, and its answer',
  serves: ['S10'],
  request: Type.Object({ server: Slug, frame: Bytes(1, 8192) }),
  reply: Type.Object({ frame: Bytes(1, 131_072) }),
  problems: ['server.unreachable', 'service.busy', 'server.contained'],
})
export type CarryFrame = Static<typeof carryFrame.request>
