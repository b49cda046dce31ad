/**
 * What a device and its site say before there is a channel between them (D1, D3; ARCHITECTURE §4): the token that opens the
 * line, the enrolment, the greeting, and the gateway's word that it is there. Messages in, messages out; `link.ts` sends them.
 */
import type { KeyObject } from 'node:crypto'
import { sameBytes } from '@azukari/protocol/bytes'
import { encode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, checker, Id, type Static, Type } from '@azukari/protocol/contract'
import { type EnrolRequest, enrol, enrolDomain } from '@azukari/protocol/contracts/fleet'
import { sign1, signerOf } from '@azukari/protocol/cose'
import { signCwt } from '@azukari/protocol/cwt'
import {
  birthDomain,
  Channel,
  checkSite,
  checkWelcome,
  openGreeting,
  signGreeting,
  siteDomain,
  welcomeDomain,
} from '@azukari/protocol/envelope'
import { coseKey, generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Random } from '@azukari/protocol/ports'
import { Problem, type ProblemWire } from '@azukari/protocol/problem'
import { claimProof, type Identity, type parseClaim, type SiteTrust, trustOf } from './identity.ts'

/** What a reply looks like outside a channel: the answer to an enrolment or a birth, or the hint to greet again. */
const OpenReply = Type.Object({
  i: Type.Optional(Id),
  s: Type.Optional(Bytes(1, 4096)),
  b: Type.Optional(Type.Unknown()),
  p: Type.Optional(Type.Unknown()),
  hint: Type.Optional(Type.String({ maxLength: 64 })),
})
export const checkOpenReply = checker(OpenReply, 'reply')
export type OpenReply = Static<typeof OpenReply>

type Welcome = ReturnType<typeof checkWelcome>
type SiteNews = ReturnType<typeof checkSite>

/** Who a device says it is, to which site. */
export interface Introduction {
  site: string
  identity: Identity
  model: string
  version: string
  roles: readonly string[]
  random: Random
}

/** CONNECT's password: a token of five minutes, signed by the device, for this site. */
export function connectToken(
  { site, identity }: Pick<Introduction, 'site' | 'identity'>,
  siteMs: number,
  confirmation?: Uint8Array,
): Uint8Array {
  const iat = Math.floor(siteMs / 1000)
  return signCwt(
    {
      iss: identity.device,
      aud: site,
      iat,
      exp: iat + 300,
      ...(confirmation ? { 8: new Map([[1, confirmation]]) } : {}),
    },
    signerOf(identity.key),
  )
}

/** A message that opens, and the id that its answer carries. */
export interface Opening {
  id: Uint8Array
  message: Uint8Array
}

export interface Enrolment extends Opening {
  /** What the site taught, believed only with its proof. @throws {Problem} what the gateway answered; `claim.wrong` */
  trustFrom(reply: OpenReply): { trust: SiteTrust; directory: Uint8Array | undefined }
}

/** With a claim: the device's key, and the proof that it knows the claim's secret. */
export function enrolment(
  { site, identity, model, version, roles, random }: Introduction,
  { claim, secret }: ReturnType<typeof parseClaim>,
): Enrolment {
  const body: EnrolRequest = {
    claim,
    key: coseKey(identity.key),
    proof: claimProof(secret, site, claim, identity.key),
    model,
    version,
    roles: [...roles],
  }
  const id = random.bytes(16)
  const message = encode({
    i: id,
    s: sign1(encodeDeterministic(body), signerOf(identity.key), new TextEncoder().encode(enrolDomain)),
  })
  return {
    id,
    message,
    trustFrom(reply) {
      if (reply.p) throw Problem.fromWire(reply.p as ProblemWire)
      const taught = enrol.checkReply(reply.b)
      return { trust: { ...trustOf(taught, secret), claim }, directory: taught.directory }
    },
  }
}

export interface Greeting extends Opening {
  /** The gateway's welcome. @throws {Problem} `cose.*`; `cose.wrong-audience`: it answers another birth */
  welcomeOf(reply: OpenReply): Welcome
  /** The channel that birth and welcome agree on. */
  agree(welcome: Welcome): Channel
}

/** A birth: the device is there, from this epoch on, with a fresh share of the channel's key. */
export function greeting(
  { site, identity, model, version, roles, random }: Introduction,
  trust: SiteTrust,
  epoch: number,
  siteMs: number,
): Greeting {
  const share = generateKey('x25519', random)
  const nonce = random.bytes(16)
  const birth = {
    site,
    device: identity.device,
    epoch,
    share: coseKey(publicOf(share)),
    nonce,
    at: siteMs,
    model,
    version,
    roles: [...roles],
  }
  return {
    id: nonce,
    message: signGreeting(birth, signerOf(identity.key), birthDomain),
    welcomeOf(reply) {
      const key = gatewayKeyFor(trust.gatewayKey)
      const welcome = openGreeting(reply.s ?? new Uint8Array(), key, welcomeDomain, checkWelcome)
      if (welcome.device !== identity.device || welcome.epoch !== epoch || !sameBytes(welcome.nonce, nonce))
        throw new Problem('cose.wrong-audience', 'a welcome for another birth')
      return welcome
    },
    agree: (welcome) => Channel.agree('device', share, welcome.share, birth, welcome.session),
  }
}

/** What the gateway says to all when it is there. @throws {Problem} `cose.*` */
export function siteNews(payload: Uint8Array, trust: SiteTrust): SiteNews {
  return openGreeting(payload, gatewayKeyFor(trust.gatewayKey), siteDomain, checkSite)
}

function gatewayKeyFor(key: KeyObject): (kid: Uint8Array) => KeyObject | undefined {
  const kid = thumbprint(key)
  return (asked) => (sameBytes(asked, kid) ? key : undefined)
}
