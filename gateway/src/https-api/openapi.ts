/** The HTTPS API in OpenAPI 3.1, from the contracts: committed in docs/reference, and served by the site itself. */
import { authorityProblems, commonProblems } from '@azukari/protocol/common-problems'
import type { Contract } from '@azukari/protocol/contract'
import { statusOf } from './answer.ts'

type Json = { [key: string]: unknown }

/** TypeBox is JSON Schema already, except for byte strings. */
function jsonSchema(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(jsonSchema)
  if (typeof schema !== 'object' || schema === null) return schema
  const bytes = (schema as Json)['x-bytes'] as [number, number] | undefined
  if (bytes) {
    const characters = (length: number) => Math.ceil((length * 4) / 3)
    const [minLength, maxLength] = bytes.map(characters)
    return { type: 'string', contentEncoding: 'base64url', pattern: '^[A-Za-z0-9_-]*$', minLength, maxLength }
  }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, jsonSchema(value)]))
}

export function openApi(contracts: readonly Contract[], note = ''): Json {
  const paths: Record<string, Json> = {}
  for (const contract of contracts) {
    const { https } = contract
    if (!https) continue
    paths[https.path] ??= {}
    paths[https.path]![https.method.toLowerCase()] = operation(contract, https)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Azukari for programs outside a site',
      version: '1',
      description: `Shops ask with an API key, holders of a link with the link. ${note}`.trim(),
    },
    paths,
    components: {
      securitySchemes: {
        shop: { type: 'http', scheme: 'bearer', description: 'An API key, azk_…, made by the site’s operator.' },
        link: { type: 'apiKey', in: 'query', name: 'link', description: 'Is part of the link.' },
      },
      schemas: { problem },
      responses: {
        problem: {
          description: 'A problem (RFC 9457)',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/problem' } } },
        },
      },
    },
  }
}

const problem: Json = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'retry', 'todo'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string', description: 'In English, or Japanese by Accept-Language.' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', description: 'As in problems.md.' },
    retry: { enum: ['no', 'later', 'after-fix'] },
    todo: { type: 'string', description: 'What to do.' },
  },
}

function operation(contract: Contract, { method, path, scope }: NonNullable<Contract['https']>): Json {
  const request = jsonSchema(contract.request) as { properties?: Json; required?: string[] }
  const { properties = {}, required = [] } = request
  const inPath = new Set([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!))
  const isFile = contract.authority === 'link'
  const others = Object.keys(properties).filter((name) => !inPath.has(name) && !isFile)
  const parameters: Json[] = [...inPath].map((name) => ({ name, in: 'path', required: true, schema: properties[name] }))
  const made: Json = {
    operationId: contract.name,
    summary: contract.title,
    security: [{ [contract.authority]: scope === undefined ? [] : [scope] }],
    parameters,
    responses: { 200: isFile ? file : ok(contract), ...refusals(contract) },
  }
  if (scope !== undefined) made['description'] = `Needs the scope \`${scope}\`.`
  if (isFile) parameters.push({ name: 'Range', in: 'header', schema: { type: 'string' } })
  else if (method === 'GET')
    for (const name of others)
      parameters.push({ name, in: 'query', required: required.includes(name), schema: properties[name] })
  else {
    parameters.push({
      name: 'Idempotency-Key',
      in: 'header',
      required: true,
      description: 'The same for the same request; its answer is kept for a day.',
      schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' },
    })
    const schema = {
      type: 'object',
      properties: Object.fromEntries(others.map((name) => [name, properties[name]])),
      required: required.filter((name) => !inPath.has(name)),
    }
    made['requestBody'] = { required: true, content: { 'application/json': { schema } } }
  }
  return made
}

const file: Json = { description: 'The file', content: { 'application/octet-stream': {} } }

function ok(contract: Contract): Json {
  return { description: 'Done', content: { 'application/json': { schema: jsonSchema(contract.reply) } } }
}

/** By status, with the codes that may stand there. */
function refusals({ problems, authority }: Contract): Json {
  const byStatus: Record<string, string[]> = {}
  for (const code of [...problems, ...(authorityProblems[authority] ?? []), ...outside]) {
    const status = statusOf(code)
    byStatus[status] = [...(byStatus[status] ?? []), code]
  }
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, codes]) => [
      status,
      { $ref: '#/components/responses/problem', description: codes.join(', ') },
    ]),
  )
}

/** Of what any contract may answer, what can come here: CBOR and streams of acts are none of its matters. */
const outside = commonProblems.filter((code) => !/^(cbor|act|link)\./.test(code))
