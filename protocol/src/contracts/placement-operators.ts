/** What operators do with data servers that leave the site (S9, D4), as contracts. */
import { Count, contract, Slug, Text, Type } from '../contract.ts'

const frame = {
  kind: 'command',
  service: 'placement',
  authority: 'operator',
  operator: { role: 'placement' },
  serves: ['S9', 'D4'],
} as const

/** What still ties a data server to the site. */
const left = {
  /** Copies of members’ data, and those that are being made there. */
  copies: Count,
  /** Old copies that are still to be destroyed there. */
  toDestroy: Count,
}

export const drainServer = contract({
  ...frame,
  name: 'servers.drain',
  title: 'Empties a data server: what lies there goes elsewhere, and nothing new comes',
  request: Type.Object({
    server: Slug,
    follow: Type.Optional(Type.Boolean({ description: 'tell how far it is until nothing is left there' })),
  }),
  /** `stuck`: copies, on any server, that have nowhere to go. */
  reply: Type.Object({ server: Slug, state: Text(16), ...left, stuck: Count }),
  problems: ['config.invalid', 'server.not-leaving'],
})

export const undrainServer = contract({
  ...frame,
  name: 'servers.undrain',
  title: 'Takes a data server that is being emptied back into use; what has left it stays where it is',
  request: Type.Object({ server: Slug }),
  reply: Type.Object({ server: Slug, state: Text(16), ...left }),
  problems: ['config.invalid', 'server.not-leaving'],
})

export const removeServer = contract({
  ...frame,
  name: 'servers.remove',
  title: 'Takes a data server off the site for good, once nothing is left there',
  request: Type.Object({ server: Slug }),
  reply: Type.Object({ server: Slug }),
  problems: ['config.invalid', 'server.not-leaving', 'server.in-use'],
})
