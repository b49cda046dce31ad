/**
 * Documents made from the contracts: AsyncAPI 3, CDDL and the message reference. Committed under docs/reference and
 * checked for freshness, so that what an implementer reads is what the code does.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { commandGroups } from '@azukari/gateway/command-groups'
import { openApi } from '@azukari/gateway/https-api/openapi'
import { authorityProblems, commonProblems } from '@azukari/protocol/common-problems'
import type { Contract, TSchema } from '@azukari/protocol/contract'
import { contracts } from '@azukari/protocol/contracts/all'
import { Conditions, SaveOffer, SaveReceipt } from '@azukari/protocol/contracts/save'
import { SessionProof } from '@azukari/protocol/contracts/session'
import { Birth, Site, Welcome } from '@azukari/protocol/envelope'
import { Manifest, ReplicaReceipt } from '@azukari/protocol/manifest'
import { catalogue } from '@azukari/protocol/problem-catalogue'
import { topicTable } from '@azukari/protocol/topics'

const root = resolve(import.meta.dirname, '..')
const note = 'Generated from the contracts by `npm run docs`; do not edit.'

/** Bodies that travel signed or sealed inside others. */
const parts: Record<string, { schema: TSchema; what: string }> = {
  birth: { schema: Birth, what: 'COSE_Sign1 by the device on `birth`; external_aad `azukari/birth/1`' },
  welcome: { schema: Welcome, what: 'COSE_Sign1 by the gateway on `reply`; external_aad `azukari/welcome/1`' },
  site: { schema: Site, what: 'COSE_Sign1 by the gateway on `site`; external_aad `azukari/site/1`' },
  'session-proof': {
    schema: SessionProof,
    what: 'COSE_Sign1 by the card’s authentication key; external_aad `azukari/session/1`',
  },
  'save-offer': { schema: SaveOffer, what: 'COSE_Sign1 by the card’s key for acts; external_aad `azukari/offer/1`' },
  'save-receipt': { schema: SaveReceipt, what: 'COSE_Sign1 by placement; external_aad `azukari/receipt/1`' },
  conditions: {
    schema: Conditions,
    what: 'COSE_Encrypt to the card’s agreement key; external_aad `azukari/conditions/1`',
  },
  manifest: { schema: Manifest, what: 'COSE_Sign1 by placement, beside each replica' },
  'replica-receipt': { schema: ReplicaReceipt, what: 'COSE_Sign1 by a data server' },
}

type Json = { [key: string]: unknown }

/** TypeBox is JSON Schema already, except for byte strings. */
function jsonSchema(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(jsonSchema)
  if (typeof schema !== 'object' || schema === null) return schema
  const bytes = (schema as Json)['x-bytes'] as [number, number] | undefined
  if (bytes)
    return { type: 'string', format: 'binary', 'x-cbor': 'bstr', 'x-minBytes': bytes[0], 'x-maxBytes': bytes[1] }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, jsonSchema(value)]))
}

/** One type in CDDL (RFC 8610). */
function cddl(schema: TSchema, indent = ''): string {
  const s = schema as Json
  const bytes = s['x-bytes'] as [number, number] | undefined
  if (bytes) return bytes[0] === bytes[1] ? `bstr .size ${bytes[0]}` : `bstr .size (${bytes[0]}..${bytes[1]})`
  if ('const' in s) return JSON.stringify(s['const'])
  if (s['anyOf']) return (s['anyOf'] as TSchema[]).map((option) => cddl(option, indent)).join(' / ')
  switch (s['type']) {
    case 'string':
      return s['pattern']
        ? `tstr .regexp ${JSON.stringify(s['pattern'])}`
        : s['maxLength']
          ? `tstr .size (0..${s['maxLength']})`
          : 'tstr'
    case 'integer': {
      const [low, high] = [s['minimum'] ?? 0, s['maximum']]
      return high === undefined || high === Number.MAX_SAFE_INTEGER ? 'uint' : `${low}..${high}`
    }
    case 'number':
      return 'number'
    case 'boolean':
      return 'bool'
    case 'array': {
      if (Array.isArray(s['items']))
        return `[${(s['items'] as TSchema[]).map((item) => cddl(item, indent)).join(', ')}]`
      const low = s['minItems'] ?? 0
      const high = s['maxItems'] ?? ''
      return `[${low}*${high} ${cddl(s['items'] as TSchema, indent)}]`
    }
    case 'object': {
      const properties = s['properties'] as Record<string, TSchema> | undefined
      if (!properties) return '{* tstr => any}'
      const required = new Set((s['required'] as string[] | undefined) ?? [])
      const lines = Object.entries(properties).map(
        ([name, value]) => `${indent}  ${required.has(name) ? '' : '? '}${name}: ${cddl(value, `${indent}  `)},`,
      )
      return `{\n${[...lines, `${indent}  * tstr => any,`].join('\n')}\n${indent}}`
    }
    default:
      return 'any'
  }
}

function typeName(contract: Contract, side: 'request' | 'reply'): string {
  return `${contract.name.replaceAll('.', '-')}-${side}`
}

function cddlDocument(): string {
  const rules = contracts.flatMap((contract) => [
    `; ${contract.title} (${contract.serves.join(', ')})`,
    `${typeName(contract, 'request')} = ${cddl(contract.request)}`,
    ...(contract.kind === 'event' ? [] : [`${typeName(contract, 'reply')} = ${cddl(contract.reply)}`]),
    '',
  ])
  const bodies = Object.entries(parts).flatMap(([name, { schema, what }]) => [
    `; ${what}`,
    `${name} = ${cddl(schema)}`,
    '',
  ])
  return [`; ${note}`, '', ...envelopeCddl, ...bodies, ...rules].join('\n')
}

const envelopeCddl = [
  '; The plaintext of a sealed message on call/{op}, reply and evt/{kind}.',
  'request = { c: tstr, i: bstr .size 16, t: uint, ? x: uint, ? s: bstr .size 16, ? n: uint, ? o: bstr .size 24, b: any }',
  'reply = { i: bstr .size 16, ? b: any, ? p: problem, ? w: uint }',
  'event = { c: tstr, i: bstr .size 16, t: uint, b: any }',
  'problem = { code: tstr, ? detail: tstr, retry: "no" / "later" / "after-fix", ? data: { * tstr => any } }',
  '; Outside a channel: the answer to an enrolment (b or p) and to a birth (s), and the hint to greet again.',
  'open-reply = { ? i: bstr .size 16, ? s: bstr, ? b: any, ? p: problem, ? hint: tstr }',
  '',
]

function asyncApi(): string {
  const onTheLine = contracts.filter(({ kind }) => kind === 'call' || kind === 'act' || kind === 'event')
  const channels: Json = {}
  const operations: Json = {}
  const messages: Json = {}
  const parameters = { site: { description: 'the site’s name' }, device: { description: 'the device’s id' } }
  for (const row of topicTable) {
    if (row.kind === 'call' || row.kind === 'evt') continue
    const named = row.pattern.includes('{xfer}')
    channels[row.kind] = {
      address: row.pattern,
      description: `${row.what}${row.retain ? ' (retained)' : ''}`,
      parameters:
        row.kind === 'site'
          ? { site: parameters.site }
          : named
            ? {
                ...parameters,
                xfer: { description: 'the transfer, 32 hex digits' },
                index: { description: 'the block' },
              }
            : parameters,
      messages: { [row.kind]: { contentType: 'application/cose', payload: { type: 'string', format: 'binary' } } },
    }
    operations[row.kind] = {
      action: row.by === 'device' ? 'send' : 'receive',
      channel: { $ref: `#/channels/${row.kind}` },
    }
  }
  for (const contract of onTheLine) {
    const id = contract.name
    messages[`${id}.request`] = {
      name: contract.id,
      title: contract.title,
      contentType: 'application/cbor',
      payload: jsonSchema(contract.request),
    }
    if (contract.kind !== 'event')
      messages[`${id}.reply`] = {
        name: contract.id,
        contentType: 'application/cbor',
        payload: jsonSchema(contract.reply),
      }
    channels[id] = {
      address: `v1/{site}/d/{device}/${contract.kind === 'event' ? 'evt' : 'call'}/${contract.name}`,
      parameters,
      messages: { [`${id}.request`]: { $ref: `#/components/messages/${id}.request` } },
    }
    operations[id] = {
      action: contract.kind === 'event' ? 'receive' : 'send',
      channel: { $ref: `#/channels/${id}` },
      title: contract.title,
      messages: [{ $ref: `#/channels/${id}/messages/${id}.request` }],
    }
  }
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'Azukari devices',
      version: '1',
      description: `What devices say over MQTT. ${note} The envelope and the sealing are described in protocol.md.`,
    },
    channels,
    operations,
    components: { messages },
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

function reference(): string {
  const lines = [
    '# Messages',
    '',
    `${note} Types are CDDL (RFC 8610).`,
    '',
    '## Topics',
    '',
    '| topic | from | QoS | retained | what |',
    '|---|---|---|---|---|',
  ]
  for (const row of topicTable)
    lines.push(`| \`${row.pattern}\` | ${row.by} | ${row.qos} | ${row.retain ? 'yes' : 'no'} | ${row.what} |`)
  const codes = (problems: readonly string[]) => problems.map((code) => `\`${code}\``).join(', ')
  lines.push(
    '',
    '## Contracts',
    '',
    `Besides its own problems, every contract may answer ${codes(commonProblems)}.`,
    '',
  )
  for (const [authority, problems] of Object.entries(authorityProblems))
    lines.push(`Where the authority is ${authority}, also ${codes(problems)}.`, '')
  for (const contract of contracts) {
    lines.push(
      `### \`${contract.id}\``,
      '',
      `${contract.title}. ${kinds[contract.kind]}, for ${contract.service}, authority: ${contract.authority}; serves ${contract.serves.join(', ')}.`,
      '',
    )
    lines.push(
      '```cddl',
      `request = ${cddl(contract.request)}`,
      ...(contract.kind === 'event' ? [] : [`reply = ${cddl(contract.reply)}`]),
      '```',
      '',
    )
    if (contract.problems.length > 0) lines.push(`Problems: ${codes(contract.problems)}.`, '')
  }
  lines.push('## Signed and sealed bodies', '')
  for (const [name, { schema, what }] of Object.entries(parts))
    lines.push(`### ${name}`, '', `${what}.`, '', '```cddl', `${name} = ${cddl(schema)}`, '```', '')
  return `${lines.join('\n').trimEnd()}\n`
}

const kinds = {
  call: 'A call',
  act: 'An act, kept in the outbox, done once and in order',
  event: 'An event',
  internal: 'Between gateway, services and data servers',
  command: 'A command of operators',
  https: 'Asked over HTTPS from outside the site',
}

function problems(): string {
  const lines = [
    '# Problems',
    '',
    note,
    '',
    '| code | retry | what it says | what to do | 日本語 |',
    '|---|---|---|---|---|',
  ]
  for (const [code, { retry, en, ja }] of Object.entries(catalogue).sort(([a], [b]) => (a < b ? -1 : 1)))
    lines.push(`| \`${code}\` | ${retry} | ${en.title} | ${en.todo} | ${ja.title} ${ja.todo} |`)
  return `${lines.join('\n')}\n`
}

/** Of each command of the gateway, which group it is in and what its help says: calls load nothing else (B14). */
async function commandIndex(): Promise<string> {
  const index: Record<string, unknown> = {}
  for (const [group, load] of Object.entries(commandGroups))
    for (const [name, command] of Object.entries(await load())) {
      const {
        run: _,
        carryOut: __,
        check: ___,
        contract: ____,
        ...head
      } = { run: undefined, carryOut: undefined, check: undefined, contract: undefined, ...command }
      index[name] = { group, ...head }
    }
  // Short lists stand on one line, as the formatter has them.
  const json = JSON.stringify(index, null, 2).replace(
    /\[\n\s+("[^\]]*")\n\s+\]/g,
    (_, items: string) => `[${items.replace(/,\n\s+/g, ', ')}]`,
  )
  return `${json}\n`
}

/** Text by path in the project. */
async function documents(): Promise<Record<string, string>> {
  return {
    'docs/reference/asyncapi.json': asyncApi(),
    'docs/reference/openapi.json': `${JSON.stringify(openApi(contracts, note), null, 2)}\n`,
    'docs/reference/azukari.cddl': cddlDocument(),
    'docs/reference/messages.md': reference(),
    'docs/reference/problems.md': problems(),
    'gateway/src/command-index.json': await commandIndex(),
  }
}

/** Paths of generated documents that differ from what is committed. */
async function staleDocuments(): Promise<string[]> {
  return Object.entries(await documents())
    .filter(([path, text]) => !existsSync(join(root, path)) || readFileSync(join(root, path), 'utf8') !== text)
    .map(([path]) => path)
}

if (process.argv.includes('--check')) {
  const stale = await staleDocuments()
  for (const path of stale) console.error(`${path} is stale: run npm run docs`)
  process.exitCode = stale.length > 0 ? 1 : 0
} else {
  const made = await documents()
  mkdirSync(join(root, 'docs/reference'), { recursive: true })
  for (const [path, text] of Object.entries(made)) writeFileSync(join(root, path), text)
  console.log(`docs: ${Object.keys(made).join(', ')} written`)
}
