/** One-time claims of data servers on hosts of their own (D6): what the operator said of each, until it has joined. */
import { base32 } from '@azukari/protocol/base32'
import type { RequestOf } from '@azukari/protocol/contract'
import type { enrolServer } from '@azukari/protocol/contracts/server-enrolment'
import type { Clock, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { isSameProof, requestProof } from '../data-server/enrolment.ts'
import type { ServerEntry } from '../site-folder.ts'
import type { Sql } from '../storage/database.ts'
import { queries } from '../storage/query.ts'
import type { GatewayTables } from './tables.ts'

/** What is known of a server before it says where it is reached and which key it has. */
export type AwaitedServer = Omit<ServerEntry, 'url' | 'key' | 'capacityBytes'>

type ServerClaim = GatewayTables['server_claims']

/** Wrong proofs after which a claim is worth nothing. */
const maxFailures = 5
const secretBytes = 20

const query = queries<GatewayTables>()
const byId = query<{ id: string }>()((db, p) => db.selectFrom('server_claims').selectAll().where('id', '=', p.id))
const drop = query<{ id: string }>()((db, p) => db.deleteFrom('server_claims').where('id', '=', p.id))
const insert = query<ServerClaim>()((db, p) =>
  db.insertInto('server_claims').values({
    id: p.id,
    secret: p.secret,
    entry: p.entry,
    expires_ms: p.expires_ms,
    key: p.key,
    failures: p.failures,
  }),
)
const fail = query<{ id: string }>()((db, p) =>
  db
    .updateTable('server_claims')
    .set((row) => ({ failures: row('failures', '+', 1) }))
    .where('id', '=', p.id),
)
const use = query<{ id: string; key: Uint8Array }>()((db, p) =>
  db.updateTable('server_claims').set({ key: p.key }).where('id', '=', p.id),
)

/** Makes a claim, in place of an earlier one for the same server. Returns its text, `id.secret`, which is shown once. */
export async function newServerClaim(
  sql: Sql,
  { clock, random }: { clock: Clock; random: Random },
  server: AwaitedServer,
  lifeMs: number,
): Promise<string> {
  const secret = random.bytes(secretBytes)
  await drop.run(sql, { id: server.id })
  await insert.run(sql, {
    id: server.id,
    secret,
    entry: JSON.stringify(server),
    expires_ms: clock.now() + lifeMs,
    key: null,
    failures: 0,
  })
  return `${server.id}.${base32(secret)}`
}

/**
 * Checks a server's proof and, when it is right, uses the claim up. The same key may come again with it: its answer may have
 * been lost. A wrong proof is counted; the caller must commit that although this returns a problem.
 */
export async function useServerClaim(
  sql: Sql,
  asked: RequestOf<typeof enrolServer>,
  nowMs: number,
): Promise<{ secret: Uint8Array; server: AwaitedServer } | Problem> {
  const claim = await byId.get(sql, { id: asked.claim })
  if (!claim) return new Problem('claim.unknown')
  if (claim.failures >= maxFailures) return new Problem('claim.expired', 'after too many wrong tries')
  if (!isSameProof(requestProof(claim.secret, asked), asked.proof)) {
    await fail.run(sql, { id: claim.id })
    return new Problem('claim.wrong')
  }
  if (claim.key && !Buffer.from(claim.key).equals(asked.key)) return new Problem('claim.used')
  if (claim.expires_ms <= nowMs) return new Problem('claim.expired')
  if (!claim.key) await use.run(sql, { id: claim.id, key: asked.key })
  return { secret: claim.secret, server: JSON.parse(claim.entry) as AwaitedServer }
}
