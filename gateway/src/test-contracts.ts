/** Contracts of no service of ours, one of each kind, and a log that says nothing: for tests of whatever carries contracts. */
import { contract, Nothing, Type } from '@azukari/protocol/contract'
import type { Log } from '@azukari/protocol/ports'

export const note = contract({
  name: 'test.note',
  kind: 'act',
  service: 'placement',
  authority: 'device',
  title: 'test',
  serves: ['D5'],
  request: Type.Object({ text: Type.String({ maxLength: 8_000 }) }),
  reply: Type.Object({ n: Type.Integer() }),
  problems: ['member.suspended', 'placement.unavailable'],
})
export const noted = contract({
  name: 'test.noted',
  kind: 'event',
  service: 'device',
  authority: 'service',
  title: 'test',
  serves: ['D5'],
  request: Type.Object({ text: Type.String() }),
  reply: Nothing,
})
export const hum = contract({
  name: 'test.hum',
  kind: 'event',
  passing: true,
  service: 'device',
  authority: 'service',
  title: 'test',
  serves: ['D5'],
  request: Type.Object({ text: Type.String() }),
  reply: Nothing,
})
export const secret = contract({
  name: 'test.internal',
  kind: 'internal',
  service: 'placement',
  authority: 'service',
  title: 'test',
  serves: ['D4'],
  request: Nothing,
  reply: Nothing,
})
export const slow = contract({
  name: 'test.slow',
  kind: 'call',
  service: 'placement',
  authority: 'device',
  title: 'test',
  serves: ['D4'],
  request: Nothing,
  reply: Nothing,
})

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
