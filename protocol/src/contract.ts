/**
 * A contract is the one definition of a message: its name and version, who may send it, and the schemas of request,
 * reply and problems. Types, validators, router tables, topic rules, AsyncAPI, CDDL and the message reference are all
 * derived from it (ARCHITECTURE §3).
 */
import Type, { type Static, type TObject, type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { InternalError, Problem, type ProblemCode } from './problem.ts'
import { slugPattern } from './slug.ts'

/**
 * Who may send a message: nobody yet known (with a claim), an enrolled device, a session's member, a signer, a service, an
 * operator with a role, a shop's program with an API key, or whoever holds a signed link.
 */
export type Authority = 'claim' | 'device' | 'member' | 'signed' | 'service' | 'operator' | 'shop' | 'link'

/**
 * How a message travels.
 * `call`: asked and answered, not kept. `act`: kept in the outbox, done once, in order. `event`: from a service to a
 * device, kept until acknowledged. `internal`: between gateway, services and data servers. `command`: an operator's, by
 * the operator API. `https`: JSON or a file, at the listener for programs and people outside the site.
 */
export type Kind = 'call' | 'act' | 'event' | 'internal' | 'command' | 'https'

/** Where a message is handled: a service of the site by its name, or `gateway`, `data-server`, `device`. */
export type ServiceName = string

export interface Contract<
  Request extends TSchema = TSchema,
  Reply extends TSchema = TSchema,
  ContractId extends string = string,
  Signed extends TSchema = TSchema,
> {
  readonly name: string
  readonly version: number
  readonly kind: Kind
  readonly service: ServiceName
  readonly authority: Authority
  /** Whether sending it twice is harmless without the inbox. */
  readonly idempotent: boolean
  /** An event that is worth nothing later: not kept, not acknowledged. */
  readonly passing: boolean
  readonly title: string
  /** Requirement ids that it serves. */
  readonly serves: readonly string[]
  readonly request: Request
  readonly reply: Reply
  readonly problems: readonly ProblemCode[]
  /** Where the signed message is, exactly where the authority is `signed`. */
  readonly signed: SignedPart<Signed> | undefined
  /** Who among operators, exactly where the authority is `operator`. */
  readonly operator: OperatorPart | undefined
  /** Where it is asked, exactly where the authority is `shop` or `link`. */
  readonly https: HttpsPart | undefined
  /** `name@version`, as it stands on the wire and in signed bodies. */
  readonly id: ContractId
  checkRequest(body: unknown): Static<Request>
  checkReply(body: unknown): Static<Reply>
}

export type RequestOf<C> = C extends Contract<infer Q, TSchema> ? Static<Q> : never
export type ReplyOf<C> = C extends Contract<TSchema, infer R> ? Static<R> : never

/** What a contract with the authority `signed` says of its COSE_Sign1. */
export interface SignedDefinition<Signed extends TSchema> {
  /** The field of the request that holds it. */
  in: string
  /** What is signed. */
  body: Signed
  /** external_aad of the signature, and of the encryption around it. */
  domain: Uint8Array
  /** It is inside a COSE_Encrypt to the service. */
  sealed: boolean
  /** The field of the body that holds the very key that signs, where that is not known to the service yet. */
  keyIn?: string
}

export interface SignedPart<Signed extends TSchema> extends SignedDefinition<Signed> {
  check(body: unknown): Static<Signed>
}

/** What a contract with the authority `operator` asks of whoever calls. */
export interface OperatorPart {
  role: string
  /** It takes two different people: one begins it, another confirms it. */
  twoPeople?: boolean
}

/** Where a contract is asked at the HTTPS listener. */
export interface HttpsPart {
  /** `GET` changes nothing; what is `POST`ed carries an idempotency key and is done once. */
  method: 'GET' | 'POST'
  /** Begins with `/v1/`; `{field}` stands for a field of the request, other fields are in the query or the JSON body. */
  path: `/v1/${string}`
  /** What the API key must be allowed to do, exactly where the authority is `shop`. */
  scope?: string
}

/** What is signed in a request of this contract. */
export type SignedOf<C> = C extends Contract<TSchema, TSchema, string, infer S> ? Static<S> : never

interface Definition<
  Request extends TSchema,
  Reply extends TSchema,
  Name extends string,
  Version extends number,
  Signed extends TSchema,
> {
  name: Name
  version?: Version
  kind: Kind
  service: ServiceName
  authority: Authority
  signed?: SignedDefinition<Signed> | undefined
  operator?: OperatorPart | undefined
  https?: HttpsPart | undefined
  idempotent?: boolean
  passing?: boolean
  title: string
  serves: readonly string[]
  request: Request
  reply: Reply
  problems?: readonly ProblemCode[]
}

/**
 * Defines a contract. Validators are compiled on first use, so that a small board pays only for what it says.
 * Unknown optional fields pass and are ignored: releases N and N−1 speak to each other.
 */
export function contract<
  Request extends TSchema,
  Reply extends TSchema,
  const Name extends string,
  const Version extends number = 1,
  Signed extends TSchema = TSchema,
>(
  definition: Definition<Request, Reply, Name, Version, Signed>,
): Contract<Request, Reply, `${Name}@${Version}`, Signed> {
  const version = definition.version ?? (1 as Version)
  const id = `${definition.name}@${version}` as const
  const { signed } = definition
  if ((definition.authority === 'signed') !== (signed !== undefined))
    throw new InternalError(`${id}: a signed message goes with the authority signed`)
  requireParts(id, definition)
  return {
    ...definition,
    version,
    idempotent: definition.idempotent ?? (definition.kind !== 'act' && definition.https?.method !== 'POST'),
    passing: definition.passing ?? false,
    problems: definition.problems ?? [],
    signed: signed && { ...signed, check: checker(signed.body, `${id} signed body`) },
    operator: definition.operator,
    https: definition.https,
    id,
    checkRequest: checker(definition.request, `${id} request`),
    checkReply: checker(definition.reply, `${id} reply`),
  }
}

/** That kind, authority and what the host judges by belong together, so that none can be forgotten. @throws {InternalError} */
function requireParts(
  id: string,
  {
    kind,
    authority,
    operator,
    https,
  }: Pick<Contract, 'kind' | 'authority'> & { operator?: OperatorPart | undefined; https?: HttpsPart | undefined },
): void {
  const isOperators = authority === 'operator'
  if (isOperators !== (operator !== undefined) || isOperators !== (kind === 'command'))
    throw new InternalError(`${id}: a command, its role and the authority operator go together`)
  const isOutside = authority === 'shop' || authority === 'link'
  if (isOutside !== (https !== undefined) || isOutside !== (kind === 'https'))
    throw new InternalError(`${id}: a path, the kind https and the authority shop or link go together`)
  if ((authority === 'shop') !== (https?.scope !== undefined))
    throw new InternalError(`${id}: a scope goes with the authority shop`)
  if (authority === 'link' && https?.method !== 'GET') throw new InternalError(`${id}: a link changes nothing`)
}

/** A validator of one schema that names the place of the fault. @throws {Problem} `message.invalid` */
export function checker<S extends TSchema>(schema: S, what: string): (body: unknown) => Static<S> {
  let compiled: ReturnType<typeof Compile<S>> | undefined
  return (body) => {
    compiled ??= Compile(schema)
    if (compiled.Check(body)) return body as Static<S>
    const { place, words } = faultOf(schema, compiled.Errors(body))
    throw new Problem('message.invalid', `${what}: ${place || '/'} ${words}`)
  }
}

/** The first place at which something does not fit, as a JSON pointer, and in words what would. */
export function faultOf(schema: TSchema, errors: ReturnType<ReturnType<typeof Compile>['Errors']>): Fault {
  const [first] = errors
  if (!first) return { place: '', words: 'does not fit' }
  const { instancePath: place, keyword, schemaPath, message } = first
  if (keyword === 'const') {
    const allowed = errors.flatMap((error) =>
      error.keyword === 'const' && error.instancePath === place ? [String(error.params.allowedValue)] : [],
    )
    return { place, words: `must be ${allowed.join(' or ')}` }
  }
  if (keyword === 'required') return { place, words: `lacks ${first.params.requiredProperties.join(', ')}` }
  // A pattern says nothing to whoever typed the text; what the schema says of itself does.
  const described = keyword === 'pattern' ? descriptionAt(schema, schemaPath) : undefined
  return { place, words: described === undefined ? message : `does not fit: ${described}` }
}

export interface Fault {
  place: string
  words: string
}

function descriptionAt(schema: TSchema, schemaPath: string): string | undefined {
  let node: unknown = schema
  for (const step of schemaPath.split('/').slice(1)) node = (node as Record<string, unknown> | undefined)?.[step]
  const { description } = (node ?? {}) as { description?: unknown }
  return typeof description === 'string' ? description : undefined
}

// Schemas of this protocol's own vocabulary. `x-cddl` is what generated documents show.

/** A byte string of `min` to `max` bytes. */
export function Bytes(min: number, max: number = min) {
  return Type.Refine(
    Type.Unsafe<Uint8Array>({ 'x-bytes': [min, max] }),
    (value) => value instanceof Uint8Array && value.length >= min && value.length <= max,
    () => `must be a byte string of ${min === max ? min : `${min} to ${max}`} bytes`,
  )
}
/** A 16-byte id. */
export const Id = Bytes(16)
/** A SHA-256 hash, key thumbprint or root. */
export const Hash = Bytes(32)
/** A member's session token (`member-token.ts`). */
export const MemberToken = Bytes(64, 512)
/** Integer ms since the epoch. */
export const TimeMs = Type.Integer({
  minimum: 0,
  maximum: 8_640_000_000_000_000,
  description: 'ms since 1970-01-01 UTC',
})
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
/** Text shown to people. */
export const Text = (maxLength: number) => Type.String({ maxLength })
/** Ids that appear in topics: devices, sites, servers. */
export const Slug = Type.String({ pattern: slugPattern })
/** ISO 3166-2 code of a region (`JP-13`, `US-CA`) or ISO 3166-1 (`SG`). */
export const Region = Type.String({ pattern: '^[A-Z]{2}(-[A-Z0-9]{1,3})?$' })
export const Nothing = Type.Object({})

export type { Static, TObject, TSchema }
export { Type }
