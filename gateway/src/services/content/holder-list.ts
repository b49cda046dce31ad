/** The list of holders (C4), kept true: each data server is asked what it has whole; what it does not name it does not hold. */
import { hex } from '@azukari/protocol/bytes'
import type { Log } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import type { ServiceStore } from '../../service/service.ts'
import type { DataServers } from './data-servers.ts'
import { contents, holders } from './store.ts'

/** An entry counts so long after it was last told, ms: three looks. */
const leaseMs = 300_000

export async function renewHolders(store: ServiceStore, servers: DataServers, log: Log): Promise<void> {
  for (const server of await servers.all())
    try {
      const told = new Map<string, { root: Uint8Array; isPinned: boolean }>()
      for (let after: Uint8Array | undefined; ; ) {
        const page = await servers.of(server).list(after)
        for (const held of page) told.set(hex(held.root), held)
        after = page.at(-1)?.root
        if (after === undefined) break
      }
      await store.transaction(async ({ sql, nowMs }) => {
        for (const { root } of await holders.at(sql, server.id))
          if (!told.has(hex(new Uint8Array(root)))) await holders.remove(sql, root, server.id)
        for (const { root, isPinned } of told.values())
          if (await contents.knows(sql, root))
            await holders.put(sql, { root, server: server.id, pinned: isPinned ? 1 : 0, until: nowMs + leaseMs })
      })
    } catch (error) {
      if (!isProblem(error)) throw error
      servers.noteAway(server.id)
      log.info('a data server does not say what it holds', { server: server.id, code: error.code })
    }
}
