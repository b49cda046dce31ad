/** What programs of the same machine ask of the running board over its local socket. */
import { checker, Slug, type Static, Text, Type } from '@azukari/protocol/contract'
import { Points } from '@azukari/protocol/contracts/work'
import { coseKey } from '@azukari/protocol/keys'
import { InternalError, Problem } from '@azukari/protocol/problem'
import type { Identity } from './identity.ts'
import type { LicenceApp } from './licences/licence-app.ts'
import type { WorkPoints } from './work/points.ts'

const LocalRequest = Type.Union([
  Type.Object({ do: Type.Literal('redeem'), points: Points }),
  Type.Object({ do: Type.Literal('licence-get'), app: Slug, name: Text(200), contact: Text(200) }),
  Type.Object({ do: Type.Literal('licence-list') }),
  Type.Object({
    do: Type.Literal('licence-prove'),
    app: Slug,
    nonce: Type.String({ pattern: '^[A-Za-z0-9+/]{22}==$' }),
  }),
])
export type LocalRequest = Static<typeof LocalRequest>

const check = checker(LocalRequest, 'local request')

/** What of the runtime answers. */
export interface LocalParts {
  points: WorkPoints | undefined
  licences: LicenceApp | undefined
  identity: Pick<Identity, 'trust'>
}

/** What an app is installed with: whom it believes. */
export interface Installed {
  title: string
  site: string
  /** COSE_Key, base64. */
  siteKey: string
}

async function get(
  { licences, identity }: LocalParts,
  { app, name, contact }: { app: string; name: string; contact: string },
  signal: AbortSignal,
): Promise<Installed> {
  if (!licences || !identity.trust) throw new Problem('work.unregistered')
  const { title } = await licences.enrol({ app, name, contact }, signal)
  const { site, gatewayKey } = identity.trust
  return { title, site, siteKey: base64(coseKey(gatewayKey)) }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/** @throws {Problem} `message.invalid`, what the asked part throws */
export async function answerLocally(parts: LocalParts, asked: unknown, signal: AbortSignal): Promise<unknown> {
  const request = check(asked)
  switch (request.do) {
    case 'redeem':
      if (!parts.points) throw new Problem('work.unregistered')
      return { redeemed: await parts.points.redeem(request.points, signal) }
    case 'licence-get':
      return get(parts, request, signal)
    case 'licence-list':
      return (await parts.licences?.list()) ?? []
    case 'licence-prove': {
      if (!parts.licences) throw new Problem('licence.unknown', request.app)
      const nonce = new Uint8Array(Buffer.from(request.nonce, 'base64'))
      const { lease, proof } = await parts.licences.prove(request.app, nonce)
      return { lease: base64(lease), proof: base64(proof) }
    }
    default:
      throw new InternalError(`local request ${JSON.stringify(request)}`)
  }
}
