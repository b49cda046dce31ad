/**
 * A member's contract as the release before spoke it: the device names the session in the body, and placement, which made
 * the session, looks it up. To be deleted with the first release that need not speak to such devices any more.
 */
import { type Contract, contract, Id, type TObject, type TSchema, Type } from '../contract.ts'

export function bySession<P extends TObject['properties'], R extends TSchema>(now: Contract<TObject<P>, R>) {
  return contract({
    name: now.name,
    version: now.version - 1,
    kind: 'call',
    service: now.service,
    authority: 'device',
    title: `${now.title} (before tokens)`,
    serves: now.serves,
    request: Type.Object({ session: Id, ...now.request.properties }),
    reply: now.reply,
    problems: ['session.unknown', 'session.expired', 'session.ended'],
  })
}
