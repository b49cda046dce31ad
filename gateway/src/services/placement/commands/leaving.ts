/** `azukari-gateway servers drain|undrain|remove`: data servers leave the site, and nothing is lost with them (S9, D4). */
import { drainServer, removeServer, undrainServer } from '@azukari/protocol/contracts/placement-operators'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import { type Left, leftOn, serverNamed } from '../moves/leaving.ts'
import type { PlacementCommands, PlacementContext } from './context.ts'

/** How often a server that is emptied is looked at, ms. */
const followMs = 1_000
const positionals = ['server']

export const leavingCommands: PlacementCommands = {
  [commandName(drainServer)]: serviceContractCommand(
    drainServer,
    { positionals },
    async (open: PlacementContext, { server, follow = false }, act) => {
      const { clock } = open.ports
      await open.service.drainServer(server, 'draining')
      let reply = await lookAt(open, server)
      for (let told = ''; follow && !isEmpty(reply) && reply.state === 'draining' && !act.signal.aborted; ) {
        const line = drainText(reply)
        if (line !== told) act.tell(`${line}\n`)
        told = line
        await clock.sleep(followMs, act.signal).catch(() => undefined)
        reply = await lookAt(open, server)
      }
      return { reply, text: drainText(reply) }
    },
  ),

  [commandName(undrainServer)]: serviceContractCommand(
    undrainServer,
    { positionals },
    async (open: PlacementContext, { server }) => {
      await open.service.drainServer(server, 'open')
      const { stuck: _, ...reply } = await lookAt(open, server)
      return { reply, text: `${server} is in use again` }
    },
  ),

  [commandName(removeServer)]: serviceContractCommand(
    removeServer,
    { positionals },
    async (open: PlacementContext, { server }) => {
      await open.removeServer(server)
      return { reply: { server }, text: `${server} is no server of this site any more; its host may be switched off` }
    },
  ),
}

async function lookAt({ service: { store, mover } }: PlacementContext, server: string) {
  const { state } = await serverNamed(store.sql, server)
  return { server, state, ...(await leftOn(store.sql, server)), stuck: (await mover.status()).stuck }
}

const isEmpty = ({ copies, toDestroy }: Left): boolean => copies + toDestroy === 0

function drainText(now: Left & { server: string; stuck: number }): string {
  if (isEmpty(now)) return `${now.server} is empty: azukari-gateway servers remove ${now.server}`
  const stuck = now.stuck > 0 ? `; ${now.stuck} have nowhere to go (azukari-gateway moves says why)` : ''
  return `${now.server} is being emptied: ${now.copies} copies lie there, ${now.toDestroy} old ones are to be destroyed${stuck}`
}
